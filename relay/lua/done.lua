-- uuid, party, seconds that an ended room is remembered
if not room.size then return {'room_not_found'} end
if room.ended then return {''} end
if redis.call('HEXISTS', PARTIES, ARGV[2]) == 0 then return {'not_joined'} end
redis.call('SADD', DONE, ARGV[2])
redis.call('EXPIREAT', DONE, room.expires)
if redis.call('SCARD', DONE) == redis.call('HLEN', PARTIES) then
  redis.call('UNLINK', PARTIES, DONE, LOG, BODIES)
  redis.call('ZREM', ROOMS, UUID)
  redis.call('HSET', ROOM, 'ended', 1)
  redis.call('EXPIRE', ROOM, ARGV[3])
end
return {''}
