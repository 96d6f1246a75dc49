"""A database of users' own beside the queue, with transactions as SQLite's own documentation has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from qcore import Job

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from sqlalchemy import Connection


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Ship(Job, unique=True):
    def handle(self) -> None: ...


def opened(path: Path, **options: Any) -> Engine:
    """Open a file. Python's own module would begin transactions late, and release savepoints for good."""
    engine = create_engine(f"sqlite:///{path}", **options)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", begin)
    Base.metadata.create_all(engine)
    return engine


def _leave_transactions_to_us(raw: sqlite3.Connection, _: object) -> None:
    raw.isolation_level = None


def begin(connection: Connection) -> None:
    """Begin a transaction with its first statement, whatever that is."""
    connection.exec_driver_sql("BEGIN")


def names(engine: Engine) -> list[str]:
    """The orders that were committed."""
    with Session(engine) as session:
        return [order.name for order in session.query(Order).order_by(Order.id)]
