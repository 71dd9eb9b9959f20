-- Before every script of a room; ARGV[1] is its uuid.
local UUID, ROOMS = ARGV[1], 'relay:rooms'
local ROOM = 'relay:room:' .. UUID
local PARTIES, DONE, LOG, BODIES = ROOM .. ':parties', ROOM .. ':done', ROOM .. ':log', ROOM .. ':bodies'
local clock = redis.call('TIME')
local NOW = tonumber(clock[1])

local function pairs_of(key)
  local flat, found = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do found[flat[i]] = flat[i + 1] end
  return found
end

local room = pairs_of(ROOM)

local function keep_until(expires)
  redis.call('HSET', ROOM, 'expires', expires)
  redis.call('ZADD', ROOMS, expires, UUID)
  for _, key in ipairs({ROOM, PARTIES, DONE, LOG, BODIES}) do redis.call('EXPIREAT', key, expires) end
end
