-- uuid, party, inbox, kind, until, smallest, largest, longest wait, seconds that a full room lives
-- -> size, joined, filled or '', refused or ''
if not room.size then return {'room_not_found'} end
if room.ended and (room.filled or not room.refused) then return {'room_used'} end
if room.kind and room.kind ~= ARGV[4] then return {'room_kind'} end
local size = tonumber(room.size)
if size < tonumber(ARGV[6]) or size > tonumber(ARGV[7]) then return {'room_size'} end
local inbox = redis.call('HGET', PARTIES, ARGV[2])
if inbox and inbox ~= ARGV[3] then return {'party_taken'} end
if not inbox and room.filled then return {'room_full'} end

if not room.refused then
  if not inbox then
    redis.call('HSET', PARTIES, ARGV[2], ARGV[3])
    redis.call('HSET', ROOM, 'kind', ARGV[4])
  end
  if not room.filled and redis.call('HLEN', PARTIES) == size then
    -- Microseconds, but never twice the same and never back: still an order after the memory was lost.
    local last = tonumber(redis.call('GET', 'relay:filled') or 0)
    room.filled = string.format('%.0f', math.max(last + 1, NOW * 1000000 + clock[2]))
    redis.call('SET', 'relay:filled', room.filled)
    redis.call('HSET', ROOM, 'filled', room.filled)
    keep_until(NOW + ARGV[9])
    local news = '{"room":"' .. UUID .. '","event":"full","filled":' .. room.filled .. ',"room_size":' .. room.size .. '}'
    for party, other in pairs(pairs_of(PARTIES)) do
      if party ~= ARGV[2] then tell(other, news) end
    end
  elseif not room.filled then
    local wait = math.min(tonumber(ARGV[5]), NOW + ARGV[8])
    if room.kind then wait = math.max(wait, tonumber(room.expires)) end
    keep_until(wait)
  end
end
return {'', room.size, redis.call('HLEN', PARTIES), room.filled or '', room.refused or ''}
