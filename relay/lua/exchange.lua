-- uuid, party, epoch and position to read after, how many to answer at least, epoch if there is none,
-- most messages, most bytes of a room, most bytes of an answer; then slot, receiver, body of each message
-- -> epoch, position, refused or '', then slot, body of each message
local ME, FIRST = ARGV[2], 10
if not room.size then return {'room_not_found'} end
if room.ended then return {'room_used'} end
if redis.call('HEXISTS', PARTIES, ME) == 0 then return {'not_joined'} end

local fresh, seen, bytes = {}, {}, 0
for i = FIRST, #ARGV, 3 do
  local slot, body = ARGV[i], ARGV[i + 2]
  local old = seen[slot] or redis.call('HGET', BODIES, slot)
  if not old then
    seen[slot] = body
    fresh[#fresh + 1] = i
    bytes = bytes + #slot + #body
  elseif old ~= body then
    return {'slot_taken'}
  end
end

if #fresh > 0 then
  if (room.messages or 0) + #fresh > tonumber(ARGV[7]) or (room.bytes or 0) + bytes > tonumber(ARGV[8]) then
    return {'room_limit'}
  end
  redis.call('HINCRBY', ROOM, 'messages', #fresh)
  redis.call('HINCRBY', ROOM, 'bytes', bytes)
  local addressed = {}
  for _, i in ipairs(fresh) do
    redis.call('HSET', BODIES, ARGV[i], ARGV[i + 2])
    redis.call('XADD', LOG, '*', 'slot', ARGV[i], 'sender', ME, 'receiver', ARGV[i + 1])
    addressed[ARGV[i + 1]] = true
  end
  redis.call('EXPIREAT', BODIES, room.expires)
  redis.call('EXPIREAT', LOG, room.expires)
  local names = {}
  for party, inbox in pairs(pairs_of(PARTIES)) do
    if party ~= ME and (addressed[''] or addressed[party]) then
      names[#names + 1] = 'room:' .. UUID .. ':' .. party
      if room.kind ~= 'sign' then tell(inbox, '{"room":"' .. UUID .. '","event":"message"}') end
    end
  end
  if #names > 0 then redis.call('PUBLISH', 'relay:wake', table.concat(names, ' ')) end
end

local age, position, start = epoch(ARGV[6]), '0-0', '-'
if age == ARGV[3] then position, start = ARGV[4], '(' .. ARGV[4] end
local entries, mine = redis.call('XRANGE', LOG, start, '+'), {}
for _, entry in ipairs(entries) do
  local sender, receiver = entry[2][4], entry[2][6]
  if sender ~= ME and (receiver == '' or receiver == ME) then mine[#mine + 1] = entry end
end
local answer = {'', age, position, room.refused or ''}
if #mine < tonumber(ARGV[5]) and not room.refused then return answer end

local size = 0
for _, entry in ipairs(mine) do
  local body = redis.call('HGET', BODIES, entry[2][2])
  size = size + #body
  if size > tonumber(ARGV[9]) and #answer > 4 then return answer end -- the rest with the next exchange
  answer[#answer + 1] = entry[2][2]
  answer[#answer + 1] = body
  answer[3] = entry[1]
end
if #entries > 0 then answer[3] = entries[#entries][1] end
return answer
