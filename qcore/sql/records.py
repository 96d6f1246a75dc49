"""Writing a failed job, alone or in the transaction that deletes its payload."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.failed import FailedJob
    from qcore.sql.connection import Connection
    from qcore.sql.statements import Statements


def keep_failed(connection: Connection, statements: Statements, record: FailedJob) -> None:
    """Keep a failed job under the next number, in place of an older record. Call it inside a transaction."""
    connection.changed(statements.forget_failed, uuid=record.payload.id)
    connection.changed(
        statements.keep_failed,
        uuid=record.payload.id,
        connection=record.connection,
        queue=record.queue,
        body=record.payload.body,
        # A traceback may show what no database stores, such as a file name in a broken encoding.
        exception=record.exception.encode("utf-8", "backslashreplace").decode(),
        failed_at=record.failed_at,
    )
