-- Before every script. Keys are not declared, since some follow from others: one Redis, not a Redis Cluster.
-- INBOX_LIFE (seconds) and INBOX_NEWS come from the settings. A script answers {'', ...} or {err_type}; a refusal has written nothing.

-- Changes when the memory is lost; cursors carry it, so that one from before starts again instead of waiting for ever.
local function epoch(candidate)
  redis.call('SET', 'relay:epoch', candidate, 'NX')
  return redis.call('GET', 'relay:epoch')
end

-- News for an inbox; the same again is not told while the last one there is unread (never yet delivered).
local function tell(inbox, news)
  local key = 'relay:inbox:' .. inbox
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  if last and last[2][2] == news and last[1] ~= redis.call('GET', key .. ':read') then return end
  redis.call('XADD', key, 'MAXLEN', '~', INBOX_NEWS, '*', 'news', news)
  if not last then redis.call('EXPIRE', key, INBOX_LIFE) end
  redis.call('PUBLISH', 'relay:wake', 'inbox:' .. inbox)
end
