-- uuid, party, err_type: the first hint stands; a full room heeds one only while it signs, since a hint is unsigned
if not room.size then return {'room_not_found'} end
if room.ended or room.refused or (room.filled and room.kind ~= 'sign') then return {''} end
redis.call('HSET', ROOM, 'refused', ARGV[3])
local news = '{"room":"' .. UUID .. '","event":"refused","err_type":"' .. ARGV[3] .. '"}'
for party, inbox in pairs(pairs_of(PARTIES)) do
  redis.call('PUBLISH', 'relay:wake', 'room:' .. UUID .. ':' .. party)
  if party ~= ARGV[2] then tell(inbox, news) end
end
return {''}
