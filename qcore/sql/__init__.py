"""A SQL database as a home of queues, failed jobs and keys.

Importing this is cheap: SQLAlchemy is loaded when a database is first used.
"""

from __future__ import annotations

from qcore.sql.database import Database, ddl

__all__ = ["Database", "ddl"]
