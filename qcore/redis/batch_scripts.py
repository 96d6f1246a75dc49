"""The scripts that keep batches.

A batch is a hash of its fields and a version, which grows with every change. The hash of its members holds, by id, the
letter of a state and the position at which the member was added.
"""

from __future__ import annotations

from qcore.redis.parts import COUNTED, KEYS, LOCKS, START, STORE, WAKE
from qcore.redis.script import Script

LOOK = Script(
    START,
    """
local k, fields, states = P .. 'qcore:batch:' .. ARGV[3], nil, {}
fields = call('HMGET', k, unpack(ARGV, 4, 20))
if not fields[17] then return false end
for at = 21, #ARGV do states[at - 20] = call('HGET', P .. 'qcore:members:' .. ARGV[3], ARGV[at]) end
return {fields, states}
""",
)

CREATE = Script(
    START,
    """
local k = P .. 'qcore:batch:' .. ARGV[3]
if call('EXISTS', k) == 1 then return again and call('HGET', k, 'by') == ARGV[4] and 1 or 0 end
call('HSET', k, 'version', 1, 'by', ARGV[4], unpack(ARGV, 6))
call('ZADD', P .. 'qcore:batches', ARGV[5], ARGV[3])
return 1
""",
)

ADD = Script(
    START,
    WAKE,
    STORE,
    KEYS,
    LOCKS,
    """
local id, wanted = ARGV[3], tonumber(ARGV[4])
local k, members, fresh, count = P .. 'qcore:batch:' .. id, P .. 'qcore:members:' .. id, {}, 0
if call('EXISTS', k) == 0 then return 0 end
local position = tonumber(call('HGET', k, 'position') or '0')
for at = 5, 4 + wanted do
  if call('HSETNX', members, ARGV[at], 'p' .. position) == 1 then
    fresh[ARGV[at]], count, position = true, count + 1, position + 1
  end
end
for at = 5 + wanted, #ARGV, 8 do
  local member = ARGV[at + 1]
  if fresh[member] and push(at) then
    fresh[member], count = nil, count - 1
    call('HDEL', members, member)
  end
end
if count > 0 then
  call('HSET', k, 'position', position, 'finished_at', '')
  call('HINCRBY', k, 'total', count)
  call('HINCRBY', k, 'pending', count)
  call('HINCRBY', k, 'version', 1)
end
return 1
""",
)

KEEP = Script(
    START,
    WAKE,
    STORE,
    KEYS,
    LOCKS,
    COUNTED,
    """
local pushes = tonumber(ARGV[3])
local at = 4 + 8 * pushes
if is_changed(at) then
  return again and call('HGET', P .. 'qcore:batch:' .. ARGV[at], 'by') == ARGV[at + 2] and 'kept' or 'changed'
end
keep_counted(at)
for each = 4, at - 1, 8 do push(each) end
return 'kept'
""",
)

FORGET = Script(
    START,
    """
local k = P .. 'qcore:batch:' .. ARGV[3]
if ARGV[4] ~= '' and call('HGET', k, 'version') ~= ARGV[4] then return 0 end
call('UNLINK', P .. 'qcore:members:' .. ARGV[3])
call('ZREM', P .. 'qcore:batches', ARGV[3])
return math.max(call('DEL', k), again and 1 or 0)
""",
)

NEWEST = Script(START, "return call('ZREVRANGE', P .. 'qcore:batches', ARGV[3], ARGV[4])")

MEMBERS = Script(START, "return call('HSCAN', P .. 'qcore:members:' .. ARGV[3], ARGV[4], 'COUNT', 1000)")
