-- Tell what one worker knows and read what the others told, in one step and on one clock: the server's.
-- KEYS[1]: a hash, a field a worker, `milliseconds:bytes`. ARGV: this worker, its bytes, how many ms a field counts.
-- The key is ours and holds nothing that lasts: whatever else is found there is removed.
local key, node, told, keep = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kind = redis.call('TYPE', key).ok
if (kind ~= 'hash' and kind ~= 'none') or (kind == 'hash' and redis.call('HLEN', key) > 512) then
  redis.call('UNLINK', key)
end
redis.call('HSET', key, node, string.format('%.0f:', now) .. told)
redis.call('PEXPIRE', key, keep * 5)
local others = {}
for _, field in ipairs(redis.call('HKEYS', key)) do
  local at, bytes
  if #field <= 32 and redis.call('HSTRLEN', key, field) <= 65536 then
    at, bytes = string.match(redis.call('HGET', key, field), '^(%d+):(.*)$')
    at = at and #at < 16 and tonumber(at)
  end
  if not at or at < now - keep or at > now + keep then
    redis.call('HDEL', key, field)
  elseif field ~= node then
    others[#others + 1] = {now - at, bytes}
  end
end
return others
