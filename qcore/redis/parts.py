"""The parts that scripts are joined from.

Only plain string functions are used, so that they run on every server and on fakeredis.
"""

from __future__ import annotations

BEGIN = """
local call = redis.call
local P = string.sub(KEYS[1], 1, -13)
local again = ARGV[2] == '1'
"""

START = (
    BEGIN
    + """
local now = ARGV[1]
if now == '' then local t = call('TIME') now = t[1] * 1000000 + t[2] else now = tonumber(now) end
local ms = math.floor(now / 1000)
local function whole(n) return string.format('%.0f', n) end
local function number()
  local n = call('INCR', KEYS[1])
  if n < 1e15 then  -- a new counter starts at the time, beyond all that a lost one has given
    n = now < 1e15 and now + 1e15 or now
    call('SET', KEYS[1], whole(n))
  end
  return whole(n)
end
"""
)

WAKE = """
local function wake(q, count)
  local notes = q .. ':notify'
  for _ = 1, math.min(16 - call('LLEN', notes), count) do
    if call('LPUSH', notes, '1') == 1 then call('EXPIRE', notes, 3600) end  -- who comes later looks before he waits
  end
end
local function wake_if_first(q, member)
  if call('ZRANGE', q .. ':delayed', 0, 0)[1] == member then wake(q, 1) end
end
"""

STORE = """
local function store(place, id, body, delay)
  local n, q, k = number(), P .. 'queues:' .. place, P .. 'qcore:job:' .. id
  if delay <= 0 then
    call('HSET', k, 'q', place, 'p', body, 'n', n, 'd', whole(ms))
    if call('RPUSH', q, id) == 1 then call('SADD', P .. 'qcore:queues', place) end
    wake(q, 1)
  else
    local member = n .. ':' .. id
    call('HSET', k, 'q', place, 'p', body, 'n', n)
    call('ZADD', q .. ':delayed', whole(math.ceil((now + delay) / 1000)), member)
    call('SADD', P .. 'qcore:queues', place)
    wake_if_first(q, member)
  end
end
"""

PARTED = """
local function parted(held)
  local first = string.find(held, ':', 1, true)
  local second = string.find(held, ':', first + 1, true)
  return string.sub(held, 1, first - 1), string.sub(held, first + 1, second - 1), string.sub(held, second + 1)
end
"""

KEYS = (
    PARTED
    + """
local function read_key(key)
  local held = call('HGET', P .. 'qcore:keys', key)
  if not held then return nil end
  local till, by, value = parted(held)
  if till ~= '' and tonumber(till) <= ms then return nil end
  return value, till, by
end
local function write_key(key, value, till, by)
  local ends = P .. 'qcore:keys:ends'
  call('HSET', P .. 'qcore:keys', key, till .. ':' .. (by or '') .. ':' .. value)
  if till == '' then call('ZREM', ends, key) else call('ZADD', ends, till, key) end
  for _, over in ipairs(call('ZRANGEBYSCORE', ends, '-inf', whole(ms), 'LIMIT', 0, 3)) do
    call('HDEL', P .. 'qcore:keys', over)
    call('ZREM', ends, over)
  end
end
local function drop_key(key)
  call('HDEL', P .. 'qcore:keys', key)
  call('ZREM', P .. 'qcore:keys:ends', key)
end
local function till_after(ttl)
  if ttl == '' then return '' end
  return whole(math.ceil((now + ttl) / 1000))
end
"""
)

LOCKS = """
local function take(key, owner, ttl, rule)
  if rule ~= 'replace' then
    local held = read_key(key)
    if held and held ~= owner and held ~= 'pending:' .. owner then
      if string.sub(held, 1, 8) == 'pending:' or call('EXISTS', P .. 'qcore:job:' .. held) == 1 then return held end
    end
  end
  write_key(key, owner, till_after(ttl))
  return false
end
local function push(at)
  local place, id, key, rule = ARGV[at], ARGV[at + 1], ARGV[at + 4], ARGV[at + 7]
  if call('EXISTS', P .. 'qcore:job:' .. id) == 1 then return false end
  if rule == '' then store(place, id, ARGV[at + 2], tonumber(ARGV[at + 3])) return false end
  local held = take(key, ARGV[at + 5], ARGV[at + 6], rule)
  if held and rule == 'refuse' then return held end
  store(place, id, ARGV[at + 2], tonumber(ARGV[at + 3]))
  return false
end
"""

FOUND = """
local function found(id, token)
  local k = P .. 'qcore:job:' .. id
  local j = call('HMGET', k, 'n', 't', 'q', 'r')
  if not j[1] then return nil, 'gone' end
  local q = P .. 'queues:' .. j[3]
  if not j[2] or tonumber(token) <= tonumber(j[1]) then return nil, 'stale' end
  return {k = k, q = q, member = j[1] .. ':' .. id, newest = j[2] == token, last = j[4]}
end
"""

FAILED = """
local function keep_failed(at)
  local id, k = ARGV[at], P .. 'qcore:failed:' .. ARGV[at]
  local n = call('INCR', P .. 'qcore:failures')
  call('DEL', k)
  call('HSET', k, 'p', ARGV[at + 1], 'c', ARGV[at + 2], 'q', ARGV[at + 3], 'e', ARGV[at + 4], 'f', ARGV[at + 5], 'n', n)
  call('ZADD', P .. 'qcore:failed', n, id)
end
"""

COUNTED = """
local function is_changed(at)
  local version = call('HGET', P .. 'qcore:batch:' .. ARGV[at], 'version')
  return (version or '') ~= ARGV[at + 1]
end
local function keep_counted(at)
  local id, k, fields = ARGV[at], P .. 'qcore:batch:' .. ARGV[at], tonumber(ARGV[at + 3])
  call('HSET', k, 'version', ARGV[at + 1] + 1, 'by', ARGV[at + 2], unpack(ARGV, at + 4, at + 3 + 2 * fields))
  at = at + 4 + 2 * fields
  local members = P .. 'qcore:members:' .. id
  for _ = 1, tonumber(ARGV[at]) do
    local old = call('HGET', members, ARGV[at + 1])
    call('HSET', members, ARGV[at + 1], ARGV[at + 2] .. string.sub(old, 2))
    at = at + 2
  end
end
"""
