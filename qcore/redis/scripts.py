"""The scripts that move payloads.

A payload is a hash: ``q`` its queue, ``p`` its body, ``n`` the number of its push, ``d`` the millisecond since which
it is ready, ``a`` attempts, ``t`` the newest token, ``r`` the reservation or release that came last, ``v`` the verdict.

Numbers and tokens come from one counter that only grows. So a token belongs to the life of a payload that began
with ``n`` exactly when it is larger than ``n``, and no token is used twice, whatever was deleted meanwhile.
The members of the sorted sets begin with ``n``, 16 digits, so that what is due in one millisecond keeps the order of
its pushes. Nothing migrates: to reserve is to take the first of three heads, so a million that are due cost nothing.

A server that is out of memory refuses a first write that needs some, and changes nothing. What frees memory
goes through: the first write of reserve, delete, release and extend is a removal.
"""

from __future__ import annotations

from qcore.redis.parts import BEGIN, COUNTED, FAILED, FOUND, KEYS, LOCKS, START, STORE, WAKE
from qcore.redis.script import Script

PUSH = Script(
    START,
    WAKE,
    STORE,
    """
for at = 3, #ARGV, 4 do
  if call('EXISTS', P .. 'qcore:job:' .. ARGV[at + 1]) == 0 then
    store(ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3]))
  end
end
""",
)

PUSH_LOCKED = Script(
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

TAKE_LOCK = Script(
    START, KEYS, LOCKS.partition("local function push")[0], "return take(ARGV[3], ARGV[4], ARGV[5], ARGV[6])"
)

# What was taken is told in one piece, which a client reads in one step: see ``qcore.redis.records.taken``.
_RESERVE = """
local lease, rid = tonumber(ARGV[leased]), ARGV[leased + 1]
local function is_before(due, member, other_due, other)
  if due ~= other_due then return due < other_due end
  return (tonumber(string.sub(member, 1, 16)) or 0) < (tonumber(string.sub(other, 1, 16)) or 0)
end
local function record(id, body, attempts, token, verdict, place)
  local lengths = #id .. ' ' .. #verdict .. ' ' .. #place
  return attempts .. ' ' .. token .. ' ' .. lengths .. ' ' .. id .. verdict .. place .. body
end
local function taken(index, reserved, id, member)
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
  call('ZADD', reserved, whole(math.ceil((now + lease) / 1000)), j[2] .. ':' .. id)
  return record(id, j[1], attempts, token, j[4] or '', ARGV[index])
end
local function reserved_before(from)
  for index = from, #ARGV do
    local q = P .. 'queues:' .. ARGV[index]
    for _, member in ipairs(call('ZREVRANGE', q .. ':reserved', 0, 999)) do
      local id = string.sub(member, 18)
      local j = call('HMGET', P .. 'qcore:job:' .. id, 'r', 'p', 'a', 't', 'v')
      if j[1] == rid then return record(id, j[2], j[3], j[4], j[5] or '', ARGV[index]) end
    end
  end
end
local function reserve(from)
  local before = again and reserved_before(from)
  if before then return before end
  local next_due
  for index = from, #ARGV do
    local q = P .. 'queues:' .. ARGV[index]
    local part, reserved = q .. ':delayed', q .. ':reserved'
    local head, lost = call('ZRANGE', part, 0, 0, 'WITHSCORES'), call('ZRANGE', reserved, 0, 0, 'WITHSCORES')
    local first, due = head[1], head[1] and tonumber(head[2])
    if lost[1] and not (due and is_before(due, first, tonumber(lost[2]), lost[1])) then
      first, due, part = lost[1], tonumber(lost[2]), reserved
    end
    if due and due <= ms then
      local waits = call('LINDEX', q, 0)
      local j = waits and call('HMGET', P .. 'qcore:job:' .. waits, 'd', 'n')
      if not (j and j[1] and is_before(tonumber(j[1]), j[2], due, first)) then
        call('ZREM', part, first)
        return taken(index, reserved, string.sub(first, 18), first)
      end
    elseif due and (not next_due or due < next_due) then
      next_due = due
    end
    local id = call('LPOP', q)
    if id then return taken(index, reserved, id) end
  end
  return next_due and next_due * 1000 - now
end
"""

_LEASED = "local leased = 3"

_TOLD = "return type(found) == 'string' and said .. ' ' .. found or said"

RESERVE = Script(START, _LEASED, _RESERVE, "return reserve(5)")

# A call that is made again finds the job gone. It was its own first time, unless another worker ended the job before
# that time came through: who fails a job leaves a mark, so that nobody takes the end that another gave it for its own.
_ENDED = """
local function said_again(id, token, only_last)
  local failed = call('GET', P .. 'qcore:ended:' .. id)
  if only_last then return failed == token and 'done' or 'gone' end
  return failed and tonumber(failed) > tonumber(token) and 'gone' or 'done'
end
"""

_REMOVE = (
    _ENDED
    + """
local job, refused = found(ARGV[3], ARGV[4])
local only_last = ARGV[5] == '1'
if not job then return again and refused == 'gone' and said_again(ARGV[3], ARGV[4], only_last) or refused end
if only_last and not (job.newest and call('ZSCORE', job.q .. ':reserved', job.member)) then return 'stale' end
"""
)

_REMOVED = """
call('DEL', job.k)
if call('ZREM', job.q .. ':reserved', job.member) == 0 then call('ZREM', job.q .. ':delayed', job.member) end
"""

_MARK = "if only_last then call('SET', P .. 'qcore:ended:' .. ARGV[3], ARGV[4], 'PX', 60000) end"

DELETE = Script(BEGIN, FOUND, _REMOVE, _REMOVED, _MARK, "return job.newest and 'done' or 'late'")

DELETE_AND_RESERVE = Script(
    START,
    FOUND,
    _ENDED,
    _LEASED,
    _RESERVE,
    """
local job, said = found(ARGV[5], ARGV[6])
if job then
  said = job.newest and 'done' or 'late'
""",
    _REMOVED,
    """
elseif again and said == 'gone' then
  said = said_again(ARGV[5], ARGV[6], false)
end
local found = reserve(7)
""",
    _TOLD,
)

_DELETE_WITH = (
    START,
    WAKE,
    STORE,
    KEYS,
    LOCKS,
    FOUND,
    FAILED,
    COUNTED,
    "local function delete_with()",
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
for each = pushes_at, failed_at - 1, 8 do  -- a key of somebody else is met while nothing is changed yet
  local q = P .. 'queues:' .. ARGV[each]
  call('LLEN', q) call('ZCARD', q .. ':delayed') call('LLEN', q .. ':notify')
end
""",
    _REMOVED,
    _MARK,
    """
for each = unlocks_at, pushes_at - 1, 2 do
  local held = call('HGET', P .. 'qcore:keys', ARGV[each])
  if held then
    local _, _, owner = parted(held)
    if owner == ARGV[each + 1] or owner == 'pending:' .. ARGV[each + 1] then drop_key(ARGV[each]) end
  end
end
if batch == '1' then keep_counted(at) end
for each = pushes_at, failed_at - 1, 8 do push(each) end
if failed == '1' then keep_failed(failed_at) end
return job.newest and 'done' or 'late'
end
""",
)

DELETE_WITH = Script(*_DELETE_WITH, "return delete_with()")

# In one script: what is refused there shall not take another job.
DELETE_WITH_AND_RESERVE = Script(
    *_DELETE_WITH,
    "local leased = 10 + 2 * ARGV[6] + 8 * ARGV[7] + 6 * ARGV[8]",
    _RESERVE,
    "local said = delete_with()",
    "local found = reserve(leased + 2)",
    _TOLD,
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
