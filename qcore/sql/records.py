"""Writing a failed job, alone or in the transaction that deletes its payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.failed import FailedJob
    from qcore.sql.database import Database


def keep_failed(database: Database, record: FailedJob) -> None:
    """Keep a failed job under the next number, in place of an older record. Call it inside a transaction."""
    connection = database.connection()
    connection.changed(database.statements.forget_failed, uuid=record.payload.id)
    connection.changed(
        database.statements.keep_failed,
        uuid=record.payload.id,
        connection=record.connection,
        queue=record.queue,
        body=record.payload.body,
        # A traceback may show what no database stores, such as a file name in a broken encoding.
        exception=record.exception.encode("utf-8", "backslashreplace").decode(),
        failed_at=record.failed_at,
    )
