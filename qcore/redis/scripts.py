"""The scripts that move payloads.

A payload is a hash: ``q`` its queue, ``p`` its body, ``n`` the number of its push, ``d`` the millisecond since which
it is ready, ``a`` attempts, ``t`` the newest token, ``r`` the reservation or release that came last, ``v`` the verdict.

Numbers and tokens come from one counter that only grows. So a token belongs to the life of a payload that began
with ``n`` exactly when it is larger than ``n``, and no token is used twice, whatever was deleted meanwhile.
The members of the sorted sets begin with ``n``, 16 digits, so that what is due in one millisecond keeps the order of
its pushes. Nothing migrates: to reserve is to take the first of three heads, so a million that are due cost nothing.

A server that is out of memory refuses a first write that needs some, and changes nothing. What frees memory
goes through: the first write of reserve, delete, release and extend is a removal.

Only plain string functions are used, so that they run on every server and on fakeredis.
"""

from __future__ import annotations

from qcore.redis.script import Script

START = """
local call = redis.call
local P = string.sub(KEYS[1], 1, -13)
local now = ARGV[1]
if now == '' then local t = call('TIME') now = t[1] * 1000000 + t[2] else now = tonumber(now) end
local ms = math.floor(now / 1000)
local again = ARGV[2] == '1'
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

WAKE = """
local function wake(q, count)
  local left = 16 - call('LLEN', q .. ':notify')
  for _ = 1, math.min(left, count) do call('LPUSH', q .. ':notify', '1') end
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

KEYS = """
local function read_key(key)
  local held = call('HGET', P .. 'qcore:keys', key)
  if not held then return nil end
  local colon = string.find(held, ':', 1, true)
  local till = string.sub(held, 1, colon - 1)
  if till ~= '' and tonumber(till) <= ms then return nil end
  return string.sub(held, colon + 1), till
end
local function write_key(key, value, till)
  local ends = P .. 'qcore:keys:ends'
  call('HSET', P .. 'qcore:keys', key, till .. ':' .. value)
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

PUSH_WIDTH = 8
"""Arguments of one push: queue, id, body, delay, and of its lock the key, owner, time to live and rule."""

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

PUSH = Script(
    START,
    WAKE,
    STORE,
    """
local refused = false
if call('EXISTS', P .. 'qcore:job:' .. ARGV[4]) == 0 then store(ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])) end
""",
)

PUSH_ALL = Script(
    START,
    WAKE,
    STORE,
    KEYS,
    LOCKS,
    """
local held = false
for at = 3, #ARGV, 8 do held = push(at) end
return held
""",
)

TAKE_LOCK = Script(START, KEYS, LOCKS.partition("local function push")[0], "return take(ARGV[3], ARGV[4], ARGV[5], ARGV[6])")

RESERVE = Script(
    START,
    """
local lease, rid, next_due = tonumber(ARGV[3]), ARGV[4], nil
local function taken(index, q, id, member)
  local k = P .. 'qcore:job:' .. id
  local j = call('HMGET', k, 'p', 'n', 'a', 'v')
  if not j[1] then  -- somebody else's work, or its hash was removed: what is left of it is the payload
    j[1], j[2] = member or id, number()
    id = 'unknown-' .. j[2]
    k = P .. 'qcore:job:' .. id
    call('HSET', k, 'q', ARGV[index], 'p', j[1], 'n', j[2])
  end
  local token, attempts = number(), (tonumber(j[3]) or 0) + 1
  call('HSET', k, 'a', attempts, 't', token, 'r', rid)
  call('ZADD', q .. ':reserved', whole(math.ceil((now + lease) / 1000)), j[2] .. ':' .. id)
  return {id, j[1], attempts, token, j[4] or '', index - 5}
end
if again then
  for index = 5, #ARGV do
    local q = P .. 'queues:' .. ARGV[index]
    for _, member in ipairs(call('ZREVRANGE', q .. ':reserved', 0, 999)) do
      local id = string.sub(member, 18)
      local j = call('HMGET', P .. 'qcore:job:' .. id, 'r', 'p', 'a', 't', 'v')
      if j[1] == rid then return {id, j[2], tonumber(j[3]), j[4], j[5] or '', index - 5} end
    end
  end
end
for index = 5, #ARGV do
  local q = P .. 'queues:' .. ARGV[index]
  local first, due, part = nil, nil, nil
  for _, name in ipairs({':delayed', ':reserved'}) do
    local head = call('ZRANGE', q .. name, 0, 0, 'WITHSCORES')
    local its = head[1] and tonumber(head[2])
    if its and (not due or its < due or (its == due and tonumber(string.sub(head[1], 1, 16)) < tonumber(string.sub(first, 1, 16)))) then
      first, due, part = head[1], its, name
    end
  end
  if due and due <= ms then
    local head = call('LINDEX', q, 0)
    local j = head and call('HMGET', P .. 'qcore:job:' .. head, 'd', 'n')
    if not (j and j[1] and (tonumber(j[1]) < due or (tonumber(j[1]) == due and tonumber(j[2]) < tonumber(string.sub(first, 1, 16))))) then
      call('ZREM', q .. part, first)
      return taken(index, q, string.sub(first, 18), first)
    end
  elseif due and (not next_due or due < next_due) then
    next_due = due
  end
  local id = call('LPOP', q)
  if id then return taken(index, q, id) end
end
return next_due and whole(next_due * 1000 - now)
""",
)

_REMOVE = """
local job, refused = found(ARGV[3], ARGV[4])
if not job then return again and refused == 'gone' and 'done' or refused end
local only_last = ARGV[5] == '1'
if only_last and not (job.newest and call('ZSCORE', job.q .. ':reserved', job.member)) then return 'stale' end
"""

_REMOVED = """
call('DEL', job.k)
if call('ZREM', job.q .. ':reserved', job.member) == 0 then call('ZREM', job.q .. ':delayed', job.member) end
"""

DELETE = Script(START, FOUND, _REMOVE, _REMOVED, "return job.newest and 'done' or 'late'")

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
local function keep_counted(at)  -- gives where its arguments end
  local id, k, fields = ARGV[at], P .. 'qcore:batch:' .. ARGV[at], tonumber(ARGV[at + 2])
  call('HSET', k, 'version', ARGV[at + 1] + 1, unpack(ARGV, at + 3, at + 2 + 2 * fields))
  at = at + 3 + 2 * fields
  local members = P .. 'qcore:members:' .. id
  for _ = 1, tonumber(ARGV[at]) do
    local old = call('HGET', members, ARGV[at + 1])
    call('HSET', members, ARGV[at + 1], ARGV[at + 2] .. string.sub(old, 2))
    at = at + 2
  end
end
"""

DELETE_WITH = Script(
    START,
    WAKE,
    STORE,
    KEYS,
    LOCKS,
    FOUND,
    FAILED,
    COUNTED,
    _REMOVE,
    """
local at = 6
local unlocks, pushes, failed, batch = ARGV[6], ARGV[7], ARGV[8], ARGV[9]
at = 10
local unlocks_at = at
at = at + 2 * unlocks
local pushes_at = at
at = at + 8 * pushes
local failed_at = at
at = at + 6 * failed
if batch == '1' and is_changed(at) then return 'changed' end
""",
    _REMOVED,
    """
for each = unlocks_at, pushes_at - 1, 2 do
  local held = call('HGET', P .. 'qcore:keys', ARGV[each])
  if held then
    local owner = string.sub(held, string.find(held, ':', 1, true) + 1)
    if owner == ARGV[each + 1] or owner == 'pending:' .. ARGV[each + 1] then drop_key(ARGV[each]) end
  end
end
if batch == '1' then keep_counted(at) end
for each = pushes_at, failed_at - 1, 8 do push(each) end
if failed == '1' then keep_failed(failed_at) end
return job.newest and 'done' or 'late'
""",
)

RELEASE = Script(
    START,
    WAKE,
    FOUND,
    """
local job, refused = found(ARGV[3], ARGV[4])
if not job then return refused end
local mine = 'released ' .. ARGV[4]
if not job.newest or call('ZREM', job.q .. ':reserved', job.member) == 0 then
  return again and job.last == mine and 'done' or 'stale'
end
local delay = tonumber(ARGV[5])
call('ZADD', job.q .. ':delayed', whole(delay <= 0 and ms or math.ceil((now + delay) / 1000)), job.member)
call('HSET', job.k, 'r', mine)
if ARGV[6] == '1' then call('HINCRBY', job.k, 'a', -1) end
if ARGV[7] == '' then call('HDEL', job.k, 'v') else call('HSET', job.k, 'v', ARGV[7]) end
if delay <= 0 then wake(job.q, 1) else wake_if_first(job.q, job.member) end
return 'done'
""",
)

EXTEND = Script(
    START,
    WAKE,
    FOUND,
    """
local job, refused = found(ARGV[3], ARGV[4])
if not job then return refused end
if not job.newest or call('ZREM', job.q .. ':reserved', job.member) == 0 then return 'stale' end
local more = tonumber(ARGV[5])
call('ZADD', job.q .. ':reserved', whole(more <= 0 and ms or math.ceil((now + more) / 1000)), job.member)
if call('ZRANGE', job.q .. ':reserved', 0, 0)[1] == job.member then wake(job.q, 1) end
return 'done'
""",
)

CLEAR = Script(
    START,
    """
local q, count = P .. 'queues:' .. ARGV[3], 0
for _ = 1, 500 do
  local id = call('LPOP', q)
  if not id then break end
  count = count + call('DEL', P .. 'qcore:job:' .. id)
end
for _, name in ipairs({':delayed', ':reserved'}) do
  for _, member in ipairs(call('ZRANGE', q .. name, 0, 499)) do
    call('ZREM', q .. name, member)
    count = count + call('DEL', P .. 'qcore:job:' .. string.sub(member, 18))
  end
end
return count
""",
)

SIZE = Script(
    START,
    """
local q = P .. 'queues:' .. ARGV[3]
return call('LLEN', q) + call('ZCARD', q .. ':delayed') + call('ZCARD', q .. ':reserved')
""",
)

COUNTS = Script(
    START,
    """
local counts = {}
for index = 3, #ARGV do
  local q = P .. 'queues:' .. ARGV[index]
  local ready, oldest = call('LLEN', q), nil
  local head = call('LINDEX', q, 0)
  if head then oldest = tonumber(call('HGET', P .. 'qcore:job:' .. head, 'd') or ms) end
  local row = {ARGV[index], 0, 0, 0, ''}
  for at, name in ipairs({':delayed', ':reserved'}) do
    local due = call('ZCOUNT', q .. name, '-inf', whole(ms))
    row[at + 2] = call('ZCARD', q .. name) - due
    ready = ready + due
    if due > 0 then
      local its = tonumber(call('ZRANGE', q .. name, 0, 0, 'WITHSCORES')[2])
      if not oldest or its < oldest then oldest = its end
    end
  end
  row[2], row[5] = ready, oldest and whole(oldest) or ''
  if row[2] + row[3] + row[4] > 0 then
    counts[#counts + 1] = row
  else
    call('SREM', P .. 'qcore:queues', ARGV[index])
  end
end
return counts
""",
)

QUEUES = Script(START, "return call('SMEMBERS', P .. 'qcore:queues')")

LISTED = Script(
    START,
    """
local q, most, rows = P .. 'queues:' .. ARGV[3], ARGV[4] - 1, {}
for _, id in ipairs(call('LRANGE', q, 0, most)) do
  local j = call('HMGET', P .. 'qcore:job:' .. id, 'd', 'n')
  if j[1] then rows[#rows + 1] = {j[1], j[2], id, 'ready'} end
end
for name, part in pairs({delayed = ':delayed', reserved = ':reserved'}) do
  local found = call('ZRANGE', q .. part, 0, most, 'WITHSCORES')
  for at = 1, #found, 2 do
    local due = tonumber(found[at + 1])
    local state = due <= ms and 'ready' or name
    rows[#rows + 1] = {whole(due), string.sub(found[at], 1, 16), string.sub(found[at], 18), state}
  end
end
return rows
""",
)

BODIES = Script(
    START,
    """
local rows = {}
for index = 3, #ARGV do
  local j = call('HMGET', P .. 'qcore:job:' .. ARGV[index], 'p', 'a')
  rows[#rows + 1] = {ARGV[index], j[1] or '', j[1] and (j[2] or '0') or ''}
end
return rows
""",
)

FIND = Script(
    START,
    """
local j = call('HMGET', P .. 'qcore:job:' .. ARGV[3], 'q', 'p', 'a', 'd', 'n')
if not j[1] then return false end
local q, due, state = P .. 'queues:' .. j[1], j[4], 'ready'
for name, part in pairs({delayed = ':delayed', reserved = ':reserved'}) do
  local score = call('ZSCORE', q .. part, j[5] .. ':' .. ARGV[3])
  if score then due, state = whole(tonumber(score)), tonumber(score) <= ms and 'ready' or name end
end
return {j[1], j[2], j[3] or '0', due or '0', state}
""",
)

NEXT_DUE = Script(
    START,
    """
local first = nil
for index = 3, #ARGV do
  local q = P .. 'queues:' .. ARGV[index]
  local head = call('LINDEX', q, 0)
  local dues = {head and tonumber(call('HGET', P .. 'qcore:job:' .. head, 'd') or ms) or false}
  for at, name in ipairs({':delayed', ':reserved'}) do
    dues[at + 1] = tonumber(call('ZRANGE', q .. name, 0, 0, 'WITHSCORES')[2]) or false
  end
  for at = 1, 3 do
    if dues[at] and (not first or dues[at] < first) then first = dues[at] end
  end
end
return first and whole(first)
""",
)
