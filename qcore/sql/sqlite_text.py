"""What ``statements.py`` and ``tables.py`` say, compiled for SQLite. Generated, not edited.

Importing SQLAlchemy takes longer than all else that a worker on SQLite does before its first job.
Written by ``python -m qcore.sql.generate``.
"""
# ruff: noqa

from qcore.sql.statement import Statement

VERSION = 1

CREATION = (
'CREATE TABLE IF NOT EXISTS qcore_failed_jobs (\n\tnumber INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tuuid VARCHAR(190) NOT NULL, \n\tconnection VARCHAR(190) NOT NULL, \n\tqueue VARCHAR(190) NOT NULL, \n\tbody BLOB NOT NULL, \n\texception TEXT NOT NULL, \n\tfailed_at DOUBLE NOT NULL, \n\tUNIQUE (uuid)\n)',
'CREATE TABLE IF NOT EXISTS qcore_jobs (\n\tid INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, \n\tuuid VARCHAR(190) NOT NULL, \n\tqueue VARCHAR(190) NOT NULL, \n\tbody BLOB NOT NULL, \n\tattempts BIGINT NOT NULL, \n\ttoken BIGINT NOT NULL, \n\tverdict TEXT NOT NULL, \n\tavailable_at BIGINT NOT NULL, \n\treserved_at BIGINT, \n\tcreated_at BIGINT NOT NULL, \n\tUNIQUE (uuid)\n)',
'CREATE INDEX IF NOT EXISTS qcore_jobs_due ON qcore_jobs (queue, available_at, id)',
'CREATE TABLE IF NOT EXISTS qcore_keys (\n\t"key" VARCHAR(255) NOT NULL, \n\tvalue TEXT NOT NULL, \n\texpires_at BIGINT, \n\tPRIMARY KEY ("key")\n)',
'CREATE INDEX IF NOT EXISTS ix_qcore_keys_expires_at ON qcore_keys (expires_at)',
'CREATE TABLE IF NOT EXISTS qcore_schema (\n\tversion INTEGER NOT NULL, \n\tPRIMARY KEY (version)\n)',
'INSERT INTO qcore_schema (version) SELECT 1 FROM (SELECT COUNT(*) AS known FROM qcore_schema) AS had WHERE had.known = 0',
)

_RESERVE = (
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now', 'queue_6', 'now'),
),
Statement(
    'UPDATE qcore_jobs SET attempts=(qcore_jobs.attempts + 1), token=(CASE WHEN (qcore_jobs.token >= qcore_jobs.id * 16777216) THEN qcore_jobs.token ELSE qcore_jobs.id * 16777216 END + 1), available_at=?, reserved_at=? WHERE qcore_jobs.id = coalesce((SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0), (SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.queue = ? AND qcore_jobs.available_at <= ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT 1 OFFSET 0)) RETURNING id, queue, uuid, CAST(body AS BLOB) AS body, attempts, token, verdict',
    ('lease_end', 'now', 'queue_0', 'now', 'queue_1', 'now', 'queue_2', 'now', 'queue_3', 'now', 'queue_4', 'now', 'queue_5', 'now', 'queue_6', 'now', 'queue_7', 'now'),
),
)

add_key = Statement(
    'INSERT INTO qcore_keys ("key", value, expires_at) VALUES (?, ?, ?) ON CONFLICT ("key") DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at WHERE qcore_keys.expires_at <= ?',
    ('key', 'value', 'end', 'now'),
)
clear = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.queue = ?',
    ('queue',),
)
counts = Statement(
    'SELECT qcore_jobs.queue, count(CASE WHEN (qcore_jobs.available_at <= ?) THEN 1 END) AS count_1, count(CASE WHEN (qcore_jobs.available_at > ? AND qcore_jobs.reserved_at IS NULL) THEN 1 END) AS count_2, count(CASE WHEN (qcore_jobs.available_at > ? AND qcore_jobs.reserved_at IS NOT NULL) THEN 1 END) AS count_3, min(CASE WHEN (qcore_jobs.available_at <= ?) THEN qcore_jobs.available_at END) AS min_1 FROM qcore_jobs GROUP BY qcore_jobs.queue ORDER BY qcore_jobs.queue',
    ('now', 'now', 'now', 'now'),
)
delete = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.id = ? RETURNING token',
    ('row',),
)
delete_last = Statement(
    'DELETE FROM qcore_jobs WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NOT NULL RETURNING token',
    ('row', 'token'),
)
extend = Statement(
    'UPDATE qcore_jobs SET available_at=? WHERE qcore_jobs.id = ? AND qcore_jobs.token = ? AND qcore_jobs.reserved_at IS NOT NULL',
    ('lease_end', 'row', 'token'),
)
find_failed = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs WHERE qcore_failed_jobs.uuid = ?',
    ('uuid',),
)
flush_failed = Statement(
    'DELETE FROM qcore_failed_jobs',
    (),
)
flush_failed_before = Statement(
    'DELETE FROM qcore_failed_jobs WHERE qcore_failed_jobs.failed_at <= ?',
    ('before',),
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
get_key = Statement(
    'SELECT qcore_keys.value, qcore_keys.expires_at FROM qcore_keys WHERE qcore_keys."key" = ? AND (qcore_keys.expires_at IS NULL OR qcore_keys.expires_at > ?)',
    ('key', 'now'),
)
is_live = Statement(
    'SELECT qcore_jobs.id FROM qcore_jobs WHERE qcore_jobs.uuid = ?',
    ('uuid',),
)
keep_failed = Statement(
    'INSERT INTO qcore_failed_jobs (uuid, connection, queue, body, exception, failed_at) VALUES (?, ?, ?, ?, ?, ?)',
    ('uuid', 'connection', 'queue', 'body', 'exception', 'failed_at'),
)
list_failed = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs ORDER BY qcore_failed_jobs.number DESC',
    (),
)
list_failed_of = Statement(
    'SELECT CAST(qcore_failed_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_failed_jobs.body AS BLOB) AS body, qcore_failed_jobs.connection, qcore_failed_jobs.queue, qcore_failed_jobs.exception, qcore_failed_jobs.failed_at, qcore_failed_jobs.number FROM qcore_failed_jobs WHERE qcore_failed_jobs.queue = ? ORDER BY qcore_failed_jobs.number DESC',
    ('queue',),
)
listed = Statement(
    'SELECT CAST(qcore_jobs.uuid AS VARCHAR) AS uuid, CAST(qcore_jobs.body AS BLOB) AS body, qcore_jobs.attempts, qcore_jobs.reserved_at, qcore_jobs.available_at FROM qcore_jobs WHERE qcore_jobs.queue = ? ORDER BY qcore_jobs.available_at, qcore_jobs.id LIMIT ? OFFSET 0',
    ('queue', 'most'),
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
size = Statement(
    'SELECT count(*) AS count_1 FROM qcore_jobs WHERE qcore_jobs.queue = ?',
    ('queue',),
)
sweep_keys = Statement(
    'DELETE FROM qcore_keys WHERE qcore_keys.expires_at <= ?',
    ('now',),
)


def reserve(queues: int) -> Statement:
    if queues <= len(_RESERVE):
        return _RESERVE[queues - 1]
    from sqlalchemy.dialects import sqlite

    from qcore.sql.statements import Statements

    return Statements(sqlite.dialect(paramstyle="qmark")).reserve(queues)
