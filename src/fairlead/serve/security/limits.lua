-- One token bucket for all workers of all machines. KEYS[1]: the bucket; ARGV: tokens a second, burst, tokens wanted.
-- The server's clock counts, so machines need not agree on the time.
-- Gives how many tokens were taken, as many of the wanted ones as there are, and where it is none the milliseconds to wait.
local rate, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
level = math.min(burst, level + math.max(0, now - at) * rate / 1000)
local taken, wait = math.min(wanted, math.floor(level)), 0
if taken >= 1 then
  level = level - taken
else
  wait = math.ceil((1 - level) / rate * 1000)
end
redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', string.format('%.17g', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.min(86400000, math.ceil(burst / rate * 1000) + 1000))
return {taken, wait}
