-- inbox, epoch and position to read after, epoch if there is none, most news -> epoch, position, news ...
local KEY, age, position, start = 'relay:inbox:' .. ARGV[1], epoch(ARGV[4]), '0-0', '-'
if age == ARGV[2] then position, start = ARGV[3], '(' .. ARGV[3] end
local answer = {'', age, position}
for _, entry in ipairs(redis.call('XRANGE', KEY, start, '+', 'COUNT', ARGV[5])) do
  answer[3] = entry[1]
  answer[#answer + 1] = entry[2][2]
end
if #answer > 3 then redis.call('SET', KEY .. ':read', answer[3], 'EX', INBOX_LIFE) end
redis.call('EXPIRE', KEY, INBOX_LIFE)
return answer
