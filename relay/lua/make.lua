-- uuid, size, most rooms, seconds to live
if room.ended then return {'room_used'} end
if room.size then
  if room.size ~= ARGV[2] then return {'room_size'} end
  return {''}
end
redis.call('ZREMRANGEBYSCORE', ROOMS, '-inf', NOW)
if redis.call('ZCARD', ROOMS) >= tonumber(ARGV[3]) then return {'too_many_requests'} end
redis.call('HSET', ROOM, 'size', ARGV[2])
keep_until(NOW + ARGV[4])
return {''}
