-- One token bucket for all workers of all machines. KEYS[1]: the bucket; ARGV: tokens a second, burst.
-- The server's clock counts, so machines need not agree on the time. Gives the milliseconds to wait; 0: taken.
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local kept = redis.call('HMGET', KEYS[1], 'level', 'at')
local level, at = tonumber(kept[1]) or burst, tonumber(kept[2]) or now
level = math.min(burst, level + math.max(0, now - at) * rate / 1000)
local wait = 0
if level >= 1 then
  level = level - 1
else
  wait = math.ceil((1 - level) / rate * 1000)
end
redis.call('HSET', KEYS[1], 'level', string.format('%.17g', level), 'at', string.format('%.17g', math.max(now, at)))
redis.call('PEXPIRE', KEYS[1], math.min(86400000, math.ceil(burst / rate * 1000) + 1000))
return wait
