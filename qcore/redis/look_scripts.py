"""The scripts that show, count and clear what waits."""

from __future__ import annotations

from qcore.redis.parts import START
from qcore.redis.script import Script

CLEAR = Script(
    START,
    """
local q, count = P .. 'queues:' .. ARGV[3], 0
for _ = 1, 200 do
  local id = call('LPOP', q)
  if not id then break end
  call('DEL', P .. 'qcore:job:' .. id)
  count = count + 1
end
for _, name in ipairs({':delayed', ':reserved'}) do
  for _, member in ipairs(call('ZRANGE', q .. name, 0, 199)) do
    call('DEL', P .. 'qcore:job:' .. string.sub(member, 18))
    count = count + call('ZREM', q .. name, member)
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
  row[2], row[5] = ready, oldest and whole(math.max(ms - oldest, 0)) or ''
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
    local number = tonumber(string.sub(found[at], 1, 16)) or 0  -- 0: of somebody else, whose payload is not looked for
    rows[#rows + 1] = {whole(due), whole(number), string.sub(found[at], 18), state}
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
