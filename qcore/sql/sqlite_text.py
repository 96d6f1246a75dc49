"""What ``statements.py``, ``batch_statements.py`` and ``tables.py`` say, compiled for SQLite.

Generated, not edited.

Importing SQLAlchemy takes longer than all else that a worker on SQLite does before its first job.
Written by ``python -m qcore.sql.generate``.
"""
# ruff: noqa

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from qcore.sql.statement import Statement

if TYPE_CHECKING:
    from qcore.sql.statements import Statements

VERSION = 2

CREATION = (
'CREATE TABLE IF NOT EXISTS qcore_batch_members (\n\tbatch_id VARCHAR(190) NOT NULL, \n\tmember VARCHAR(190) NOT NULL, \n\tstate VARCHAR(1) NOT NULL, \n\tposition BIGINT NOT NULL, \n\tPRIMARY KEY (batch_id, member)\n)\n WITHOUT ROWID',
'CREATE INDEX IF NOT EXISTS qcore_batch_members_state ON qcore_batch_members (batch_id, state, position)',
'CREATE TABLE IF NOT EXISTS qcore_batches (\n\tid VARCHAR(190) NOT NULL, \n\tname TEXT NOT NULL, \n\tconnection VARCHAR(190) NOT NULL, \n\tqueue VARCHAR(190) NOT NULL, \n\tcreated_at DOUBLE NOT NULL, \n\toptions TEXT NOT NULL, \n\ttotal BIGINT NOT NULL, \n\tpending BIGINT NOT NULL, \n\tfailed BIGINT NOT NULL, \n\tdropped BIGINT NOT NULL, \n\tadding INTEGER NOT NULL, \n\tcancelled_at DOUBLE, \n\tcancelled_by VARCHAR(20) NOT NULL, \n\tfinished_at DOUBLE, \n\tfailure TEXT NOT NULL, \n\tfired VARCHAR(20) NOT NULL, \n\tpositions BIGINT NOT NULL, \n\tPRIMARY KEY (id)\n)',
'CREATE INDEX IF NOT EXISTS qcore_batches_newest ON qcore_batches (created_at, id)',
'CREATE TABLE IF NOT EXISTS qcore_failed_jobs (\n\tnumber INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tuuid VARCHAR(190) NOT NULL, \n\tconnection VARCHAR(190) NOT NULL, \n\tqueue VARCHAR(190) NOT NULL, \n\tbody BLOB NOT NULL, \n\texception TEXT NOT NULL, \n\tfailed_at DOUBLE NOT NULL, \n\tUNIQUE (uuid)\n)',
'CREATE TABLE IF NOT EXISTS qcore_jobs (\n\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tuuid VARCHAR(190) NOT NULL, \n\tqueue VARCHAR(190) NOT NULL, \n\tbody BLOB NOT NULL, \n\tattempts BIGINT NOT NULL, \n\ttoken BIGINT NOT NULL, \n\tverdict TEXT NOT NULL, \n\tavailable_at BIGINT NOT NULL, \n\treserved_at BIGINT, \n\tcreated_at BIGINT NOT NULL, \n\tUNIQUE (uuid)\n)',
'CREATE INDEX IF NOT EXISTS qcore_jobs_due ON qcore_jobs (queue, available_at, id)',
'CREATE TABLE IF NOT EXISTS qcore_keys (\n\t"key" VARCHAR(255) NOT NULL, \n\tvalue TEXT NOT NULL, \n\texpires_at BIGINT, \n\tPRIMARY KEY ("key")\n)',
'CREATE INDEX IF NOT EXISTS ix_qcore_keys_expires_at ON qcore_keys (expires_at)',
'CREATE TABLE IF NOT EXISTS qcore_schema (\n\tversion INTEGER NOT NULL, \n\tPRIMARY KEY (version)\n)',
'UPDATE qcore_schema SET version = 2 WHERE version < 2',
'INSERT INTO qcore_schema (version) SELECT 2 FROM (SELECT COUNT(*) AS known FROM qcore_schema) AS had WHERE had.known = 0',
)

EMPTYING = (
'DELETE FROM qcore_batch_members',
'DELETE FROM qcore_batches',
'DELETE FROM qcore_failed_jobs',
'DELETE FROM qcore_jobs',
'DELETE FROM qcore_keys',
)

_RESERVE = (
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now', 'queue_6', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'call', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now', 'queue_6', 'now', 'queue_7', 'now'),
),
)

_DUE_IN = (
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1',
    ('queue_0', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2',
    ('queue_0', 'exact', 'queue_1', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3, (SELECT min(qcore_jobs.available_at) AS min_4 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_4',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact', 'queue_3', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3, (SELECT min(qcore_jobs.available_at) AS min_4 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_4, (SELECT min(qcore_jobs.available_at) AS min_5 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_5',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact', 'queue_3', 'exact', 'queue_4', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3, (SELECT min(qcore_jobs.available_at) AS min_4 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_4, (SELECT min(qcore_jobs.available_at) AS min_5 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_5, (SELECT min(qcore_jobs.available_at) AS min_6 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_6',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact', 'queue_3', 'exact', 'queue_4', 'exact', 'queue_5', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3, (SELECT min(qcore_jobs.available_at) AS min_4 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_4, (SELECT min(qcore_jobs.available_at) AS min_5 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_5, (SELECT min(qcore_jobs.available_at) AS min_6 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_6, (SELECT min(qcore_jobs.available_at) AS min_7 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_7',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact', 'queue_3', 'exact', 'queue_4', 'exact', 'queue_5', 'exact', 'queue_6', 'exact'),
),
Statement(
    'SELECT (SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_1, (SELECT min(qcore_jobs.available_at) AS min_2 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_2, (SELECT min(qcore_jobs.available_at) AS min_3 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_3, (SELECT min(qcore_jobs.available_at) AS min_4 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_4, (SELECT min(qcore_jobs.available_at) AS min_5 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_5, (SELECT min(qcore_jobs.available_at) AS min_6 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_6, (SELECT min(qcore_jobs.available_at) AS min_7 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_7, (SELECT min(qcore_jobs.available_at) AS min_8 FROM qcore_jobs WHERE qcore_jobs.queue = ?) - ? AS anon_8',
    ('queue_0', 'exact', 'queue_1', 'exact', 'queue_2', 'exact', 'queue_3', 'exact', 'queue_4', 'exact', 'queue_5', 'exact', 'queue_6', 'exact', 'queue_7', 'exact'),
),
)

add_key = Statement(
    'INSERT INTO qcore_keys ("key", value, expires_at) VALUES (?, ?, ?) ON CONFLICT ("key") DO NOTHING',
    ('key', 'value', 'end'),
)
add_member = Statement(
    "INSERT INTO qcore_batch_members (batch_id, member, state, position) VALUES (?, ?, 'p', ?) ON CONFLICT (batch_id, member) DO NOTHING",
    ('batch', 'member', 'position'),
)
cancel_batch = Statement(
    "UPDATE qcore_batches SET cancelled_at=?, cancelled_by='request' WHERE qcore_batches.id = ? AND qcore_batches.cancelled_at IS NULL AND qcore_batches.finished_at IS NULL",
    ('at', 'batch'),
)
change_key = Statement(
    'UPDATE qcore_keys SET value=? WHERE qcore_keys."key" = ?',
    ('value', 'key'),
)
change_member = Statement(
    'UPDATE qcore_batch_members SET state=? WHERE qcore_batch_members.batch_id = ? AND qcore_batch_members.member = ?',
    ('state', 'batch', 'member'),
)
clear = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.queue = ?',
    ('queue',),
)
count_batch = Statement(
    'UPDATE qcore_batches SET total=?, pending=?, failed=?, dropped=?, adding=?, cancelled_at=?, cancelled_by=?, finished_at=?, failure=?, fired=? WHERE qcore_batches.id = ?',
    ('total', 'pending', 'failed', 'dropped', 'adding', 'cancelled_at', 'cancelled_by', 'finished_at', 'failure', 'fired', 'batch'),
)
counts = Statement(
    'SELECT qcore_jobs.queue, count(CASE WHEN (qcore_jobs.available_at <= ?) THEN 1 END) AS count_1, count(CASE WHEN (qcore_jobs.available_at > ? AND qcore_jobs.reserved_at IS NULL) THEN 1 END) AS count_2, count(CASE WHEN (qcore_jobs.available_at > ? AND qcore_jobs.reserved_at IS NOT NULL) THEN 1 END) AS count_3, max(CASE WHEN (qcore_jobs.available_at <= ?) THEN ? - qcore_jobs.available_at END) AS max_1 FROM qcore_jobs GROUP BY qcore_jobs.queue ORDER BY qcore_jobs.queue',
    ('now', 'now', 'now', 'now', 'now'),
)
create_batch = Statement(
    'INSERT INTO qcore_batches (id, name, connection, queue, created_at, options, total, pending, failed, dropped, adding, cancelled_at, cancelled_by, finished_at, failure, fired, positions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO NOTHING',
    ('id', 'name', 'connection', 'queue', 'created_at', 'options', 'total', 'pending', 'failed', 'dropped', 'adding', 'cancelled_at', 'cancelled_by', 'finished_at', 'failure', 'fired'),
)
delete = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.id = ?',
    ('row',),
)
delete_last = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NOT NULL',
    ('row', 'token'),
)
delete_newest = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.id = ? AND qcore_jobs.token = ?',
    ('row', 'token'),
)
extend = Statement(
    'UPDATE qcore_jobs SET available_at=? WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NOT NULL',
    ('lease_end', 'row', 'token'),
)
find_batch = Statement(
    'SELECT qcore_batches.id, qcore_batches.name, qcore_batches.connection, qcore_batches.queue, qcore_batches.created_at, qcore_batches.options, qcore_batches.total, qcore_batches.pending, qcore_batches.failed, qcore_batches.dropped, qcore_batches.adding, qcore_batches.cancelled_at, qcore_batches.cancelled_by, qcore_batches.finished_at, qcore_batches.failure, qcore_batches.fired FROM qcore_batches WHERE qcore_batches.id = ?',
    ('batch',),
)
find_failed = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs WHERE qcore_failed_jobs.uuid = ?',
    ('uuid',),
)
find_job = Statement(
    'SELECT qcore_jobs.queue, CAST(qcore_jobs.body AS BLOB) AS body, qcore_jobs.attempts, qcore_jobs.reserved_at, qcore_jobs.available_at, ? AS at FROM qcore_jobs WHERE qcore_jobs.uuid = ?',
    ('now', 'uuid'),
)
flush_failed = Statement(
    'DELETE FROM qcore_failed_jobs',
    (),
)
flush_failed_before = Statement(
    'DELETE FROM qcore_failed_jobs WHERE qcore_failed_jobs.failed_at <= ?',
    ('before',),
)
forget_batch = Statement(
    'DELETE FROM qcore_batches WHERE qcore_batches.id = ?',
    ('batch',),
)
forget_failed = Statement(
    'DELETE FROM qcore_failed_jobs WHERE qcore_failed_jobs.uuid = ?',
    ('uuid',),
)
forget_failure = Statement(
    'DELETE FROM qcore_failed_jobs WHERE qcore_failed_jobs.uuid = ? AND qcore_failed_jobs.number = ?',
    ('uuid', 'number'),
)
forget_key = Statement(
    'DELETE FROM qcore_keys WHERE qcore_keys."key" = ? AND (qcore_keys.expires_at IS NULL OR qcore_keys.expires_at > ?)',
    ('key', 'now'),
)
forget_key_with = Statement(
    'DELETE FROM qcore_keys WHERE qcore_keys."key" = ? AND qcore_keys.value = ? AND (qcore_keys.expires_at IS NULL OR qcore_keys.expires_at > ?)',
    ('key', 'value', 'now'),
)
forget_member = Statement(
    'DELETE FROM qcore_batch_members WHERE qcore_batch_members.batch_id = ? AND qcore_batch_members.member = ?',
    ('batch', 'member'),
)
forget_members = Statement(
    'DELETE FROM qcore_batch_members WHERE qcore_batch_members.batch_id = ?',
    ('batch',),
)
forget_old_batch = Statement(
    'DELETE FROM qcore_batches WHERE qcore_batches.id = ? AND (qcore_batches.finished_at <= ? OR qcore_batches.finished_at IS NULL AND qcore_batches.created_at <= ? OR qcore_batches.cancelled_at IS NOT NULL AND qcore_batches.created_at <= ?)',
    ('batch', 'finished', 'unfinished', 'cancelled'),
)
get_key = Statement(
    'SELECT qcore_keys.value, qcore_keys.expires_at FROM qcore_keys WHERE qcore_keys."key" = ? AND (qcore_keys.expires_at IS NULL OR qcore_keys.expires_at > ?)',
    ('key', 'now'),
)
give_positions = Statement(
    'UPDATE qcore_batches SET positions=(qcore_batches.positions + ?) WHERE qcore_batches.id = ?',
    ('count', 'batch'),
)
is_live = Statement(
    'SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.uuid = ?',
    ('uuid',),
)
is_released = Statement(
    'SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NULL',
    ('row', 'token'),
)
keep_failed = Statement(
    'INSERT INTO qcore_failed_jobs (uuid, connection, queue, body, exception, failed_at) VALUES (?, ?, ?, ?, ?, ?)',
    ('uuid', 'connection', 'queue', 'body', 'exception', 'failed_at'),
)
list_batches = Statement(
    'SELECT qcore_batches.id, qcore_batches.name, qcore_batches.connection, qcore_batches.queue, qcore_batches.created_at, qcore_batches.options, qcore_batches.total, qcore_batches.pending, qcore_batches.failed, qcore_batches.dropped, qcore_batches.adding, qcore_batches.cancelled_at, qcore_batches.cancelled_by, qcore_batches.finished_at, qcore_batches.failure, qcore_batches.fired FROM qcore_batches ORDER BY qcore_batches.created_at DESC, qcore_batches.id DESC LIMIT ? OFFSET 0',
    ('most',),
)
list_failed = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs ORDER BY qcore_failed_jobs.number DESC',
    (),
)
list_failed_of = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs WHERE qcore_failed_jobs.queue = ? ORDER BY qcore_failed_jobs.number DESC',
    ('queue',),
)
list_keys = Statement(
    'SELECT CAST(qcore_keys."key" AS VARCHAR) AS "key", qcore_keys.value, qcore_keys.expires_at FROM qcore_keys WHERE qcore_keys."key" >= ? AND substr(qcore_keys."key", 1, ?) = ? AND (qcore_keys.expires_at IS NULL OR qcore_keys.expires_at > ?) ORDER BY qcore_keys."key" LIMIT ? OFFSET 0',
    ('prefix', 'length', 'prefix', 'now', 'most'),
)
list_members = Statement(
    'SELECT qcore_batch_members.member FROM qcore_batch_members WHERE qcore_batch_members.batch_id = ? AND qcore_batch_members.state = ? ORDER BY qcore_batch_members.position LIMIT ? OFFSET 0',
    ('batch', 'state', 'most'),
)
list_old_batches = Statement(
    'SELECT qcore_batches.id FROM qcore_batches WHERE qcore_batches.finished_at <= ? OR qcore_batches.finished_at IS NULL AND qcore_batches.created_at <= ? OR qcore_batches.cancelled_at IS NOT NULL AND qcore_batches.created_at <= ?',
    ('finished', 'unfinished', 'cancelled'),
)
listed = Statement(
    'SELECT CAST(qcore_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_jobs.body AS BLOB) AS body, qcore_jobs.attempts, qcore_jobs.reserved_at, qcore_jobs.available_at, ? AS at FROM qcore_jobs WHERE qcore_jobs.queue = ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT ? OFFSET 0',
    ('now', 'queue', 'most'),
)
lock_batch = Statement(
    'SELECT qcore_batches.id, qcore_batches.name, qcore_batches.connection, qcore_batches.queue, qcore_batches.created_at, qcore_batches.options, qcore_batches.total, qcore_batches.pending, qcore_batches.failed, qcore_batches.dropped, qcore_batches.adding, qcore_batches.cancelled_at, qcore_batches.cancelled_by, qcore_batches.finished_at, qcore_batches.failure, qcore_batches.fired, qcore_batches.positions FROM qcore_batches WHERE qcore_batches.id = ?',
    ('batch',),
)
lock_key = Statement(
    'SELECT qcore_keys.value FROM qcore_keys WHERE qcore_keys."key" = ?',
    ('key',),
)
member_state = Statement(
    'SELECT qcore_batch_members.state FROM qcore_batch_members WHERE qcore_batch_members.batch_id = ? AND qcore_batch_members.member = ?',
    ('batch', 'member'),
)
members_from = Statement(
    'SELECT qcore_batch_members.member FROM qcore_batch_members WHERE qcore_batch_members.batch_id = ? AND qcore_batch_members.position >= ? ORDER BY qcore_batch_members.position',
    ('batch', 'first'),
)
next_due = Statement(
    'SELECT min(qcore_jobs.available_at) AS min_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?',
    ('queue',),
)
push = Statement(
    "INSERT INTO qcore_jobs (uuid, queue, body, attempts, token, verdict, available_at, created_at) VALUES (?, ?, ?, 0, 0, '', ?, ?) ON CONFLICT (uuid) DO NOTHING",
    ('uuid', 'queue', 'body', 'due', 'now'),
)
put_key = Statement(
    'INSERT INTO qcore_keys ("key", value, expires_at) VALUES (?, ?, ?) ON CONFLICT ("key") DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at',
    ('key', 'value', 'end'),
)
release = Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts - ?), verdict=?, available_at=?, reserved_at=NULL WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NOT NULL',
    ('returned', 'note', 'due', 'row', 'token'),
)
renew_key = Statement(
    'UPDATE qcore_keys SET value=?, expires_at=? WHERE qcore_keys."key" = ? AND qcore_keys.expires_at <= ?',
    ('value', 'end', 'key', 'now'),
)
size = Statement(
    'SELECT count(*) AS count_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?',
    ('queue',),
)
sweep_keys = Statement(
    'DELETE FROM qcore_keys WHERE qcore_keys.expires_at <= ?',
    ('now',),
)
take_back = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.uuid = ?',
    ('uuid',),
)
take_over_key = Statement(
    'UPDATE qcore_keys SET value=?, expires_at=? WHERE qcore_keys."key" = ? AND (qcore_keys.expires_at <= ? OR qcore_keys.value = ? OR qcore_keys.value = ? OR substr(qcore_keys.value, 1, 8) != \'pending:\' AND NOT (EXISTS (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.uuid = qcore_keys.value)))',
    ('value', 'end', 'key', 'now', 'value', 'waiting'),
)
taken_by = Statement(
    'SELECT qcore_jobs.id, qcore_jobs.queue, qcore_jobs.uuid, CAST(qcore_jobs.body AS BLOB) AS body, qcore_jobs.attempts, qcore_jobs.token, qcore_jobs.verdict FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at > ? AND qcore_jobs.available_at <= ? + 60000 AND qcore_jobs.reserved_at = ?',
    ('queue', 'now', 'lease_end', 'call'),
)
unlock = Statement(
    'DELETE FROM qcore_keys WHERE qcore_keys."key" = ? AND (qcore_keys.value = ? OR qcore_keys.value = ?)',
    ('key', 'owner', 'waiting'),
)
when_failed = Statement(
    'SELECT qcore_failed_jobs.failed_at FROM qcore_failed_jobs WHERE qcore_failed_jobs.uuid = ?',
    ('uuid',),
)

hold_key = None


def reserve(queues: int) -> Statement:
    return _RESERVE[queues - 1] if queues <= len(_RESERVE) else _compiled().reserve(queues)


def due_in(queues: int) -> Statement:
    return _DUE_IN[queues - 1] if queues <= len(_DUE_IN) else _compiled().due_in(queues)


@cache
def _compiled() -> Statements:
    from qcore.sql.statements import Statements
    from qcore.sql.words import SqliteWords

    return Statements(SqliteWords())
