"""The scripts that keep keys and failed jobs.

All keys of the store are fields of one hash, as ``MILLISECOND:CALL:value``. The time is empty for what stays for
ever; the call is the one that added or counted, so that its repetition is known. A sorted set has those whose time
will be over, by that time. A failed job is a hash; a sorted set has the ids of all, by the number of the failure.
"""

from __future__ import annotations

from qcore.redis.parts import FAILED, KEYS, PARTED, START
from qcore.redis.script import Script

GET = Script(START, KEYS, "local value, till = read_key(ARGV[3]) return value and {value, till}")

PUT = Script(START, KEYS, "write_key(ARGV[3], ARGV[4], till_after(ARGV[5])) return 1")

ADD = Script(
    START,
    KEYS,
    """
local held, _, by = read_key(ARGV[3])
if held then return again and by == ARGV[6] and 1 or 0 end
write_key(ARGV[3], ARGV[4], till_after(ARGV[5]), ARGV[6])
return 1
""",
)

INCREMENT = Script(
    START,
    KEYS,
    """
local value, till, by = read_key(ARGV[3])
if not value then value, till = '0', till_after(ARGV[5]) end
if not string.find(value, '^-?%d+$') then return {value} end
if again and by == ARGV[6] then return value end
local total = whole(tonumber(value) + ARGV[4])
write_key(ARGV[3], total, till, ARGV[6])
return total
""",
)

FORGET = Script(
    START,
    KEYS,
    """
local held = read_key(ARGV[3])
if not held then return again and 1 or 0 end
if ARGV[4] == '1' and held ~= ARGV[5] then return 0 end
drop_key(ARGV[3])
return 1
""",
)

SCAN = Script(
    START,
    PARTED,
    """
local page, kept = call('HSCAN', P .. 'qcore:keys', ARGV[3], 'COUNT', 1000), {}
for at = 1, #page[2], 2 do
  if string.sub(page[2][at], 1, #ARGV[4]) == ARGV[4] then
    local till, _, value = parted(page[2][at + 1])
    if till == '' or tonumber(till) > ms then kept[#kept + 1] = {page[2][at], value, till} end
  end
end
return {page[1], kept}
""",
)

KEEP_FAILED = Script(START, FAILED, "keep_failed(3) return 1")

_SHOW = """
local function show(id)
  local f = call('HMGET', P .. 'qcore:failed:' .. id, 'p', 'c', 'q', 'e', 'f', 'n')
  return f[1] and {id, unpack(f)}
end
"""

FIND_FAILED = Script(START, _SHOW, "return show(ARGV[3])")

FAILED_IDS = Script(
    START, "return call('ZREVRANGEBYSCORE', P .. 'qcore:failed', ARGV[3], '-inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])"
)

SHOW_FAILED = Script(START, _SHOW, "local rows = {} for at = 3, #ARGV do rows[at - 2] = show(ARGV[at]) end return rows")

FORGET_FAILED = Script(
    START,
    """
local count = 0
for at = 5, #ARGV do
  local k = P .. 'qcore:failed:' .. ARGV[at]
  local f = call('HMGET', k, 'n', 'f')
  if f[1] and (ARGV[3] == '' or f[1] == ARGV[3]) and (ARGV[4] == '' or tonumber(f[2]) <= tonumber(ARGV[4])) then
    call('DEL', k)
    call('ZREM', P .. 'qcore:failed', ARGV[at])
    count = count + 1
  end
end
return count
""",
)
