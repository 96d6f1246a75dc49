"""The statements about keys, locks among them. Imports SQLAlchemy; see ``statements.py``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, String, and_, cast, delete, func, literal_column, not_, or_, select, update

from qcore.driver import pending
from qcore.sql.compiled import Compiled, given
from qcore.sql.tables import jobs, keys

if TYPE_CHECKING:
    from qcore.sql.statement import Statement

_PENDING = pending("")


class KeyStatements(Compiled):
    """The statements about keys. Instants are milliseconds."""

    hold_key: Statement | None = None
    """Inputs: key. Keeps others from a key that is there or not, where ``add_key`` and ``lock_key`` do not."""

    @cached_property
    def get_key(self) -> Statement:
        """Inputs: key, now. Returns value, expires_at."""
        columns = select(keys.c.value, keys.c.expires_at)
        return self._compiled(columns.where(keys.c.key == given("key"), self._alive()))

    @cached_property
    def lock_key(self) -> Statement:
        """Inputs: key. Returns value, and keeps others from changing the row; also when its time is over."""
        return self._compiled(select(keys.c.value).where(keys.c.key == given("key")).with_for_update())

    @cached_property
    def list_keys(self) -> Statement:
        """Inputs: prefix, length (of the prefix), now, most. Returns key, value, expires_at."""
        begins = func.substr(keys.c.key, literal_column("1"), given("length")) == given("prefix")
        return self._compiled(
            select(cast(keys.c.key, String), keys.c.value, keys.c.expires_at)
            # The first condition lets the index find where they begin.
            .where(keys.c.key >= given("prefix"), begins, self._alive())
            .order_by(keys.c.key)
            .limit(given("most"))
            .offset(literal_column("0"))
        )

    @cached_property
    def put_key(self) -> Statement:
        """Inputs: key, value, end (or None)."""
        return self._compiled(self._words.put(keys, self._key(), ["key"]))

    @cached_property
    def add_key(self) -> Statement:
        """Inputs: key, value, end (or None). Changes nothing when there is such a row, be its time over or not."""
        return self._compiled(self._words.add(keys, self._key(), ["key"]))

    @cached_property
    def renew_key(self) -> Statement:
        """Inputs: key, value, end (or None), now. Changes nothing unless its time is over."""
        over = update(keys).where(keys.c.key == given("key"), keys.c.expires_at <= self._words.now())
        return self._compiled(over.values(value=given("value"), expires_at=self._words.instant("end")))

    @cached_property
    def change_key(self) -> Statement:
        """Inputs: key, value. It lives as long as before."""
        return self._compiled(update(keys).where(keys.c.key == given("key")).values(value=given("value")))

    @cached_property
    def take_over_key(self) -> Statement:
        """Inputs: key, value (its new owner), waiting (its owner while its payload waits for a commit), end, now.

        Changes nothing while somebody else holds the lock whose payload is live or waits for a commit.
        """
        # By its written name: SQLAlchemy would put a second table of keys into the subquery.
        is_live = select(jobs.c.id).where(jobs.c.uuid == literal_column("qcore_keys.value")).exists()
        waits = func.substr(keys.c.value, literal_column("1"), literal_column(str(len(_PENDING)))) == _written(_PENDING)
        is_own = or_(keys.c.value == given("value"), keys.c.value == given("waiting"))
        free = or_(keys.c.expires_at <= self._words.now(), is_own, and_(not_(waits), not_(is_live)))
        taken = update(keys).where(keys.c.key == given("key"), free)
        return self._compiled(taken.values(value=given("value"), expires_at=self._words.instant("end")))

    def _key(self) -> dict[str, Any]:
        return {"key": given("key"), "value": given("value"), "expires_at": self._words.instant("end")}

    def _alive(self) -> ColumnElement[bool]:
        return or_(keys.c.expires_at.is_(None), keys.c.expires_at > self._words.now())

    @cached_property
    def unlock(self) -> Statement:
        """Inputs: key, owner, waiting."""
        is_own = or_(keys.c.value == given("owner"), keys.c.value == given("waiting"))
        return self._compiled(delete(keys).where(keys.c.key == given("key"), is_own))

    @cached_property
    def forget_key(self) -> Statement:
        """Inputs: key, now."""
        return self._compiled(delete(keys).where(keys.c.key == given("key"), self._alive()))

    @cached_property
    def forget_key_with(self) -> Statement:
        """Inputs: key, value, now."""
        of_owner = delete(keys).where(keys.c.key == given("key"), keys.c.value == given("value"), self._alive())
        return self._compiled(of_owner)

    @cached_property
    def sweep_keys(self) -> Statement:
        """Inputs: now."""
        return self._compiled(delete(keys).where(keys.c.expires_at <= self._words.now()))


def _written(text: str) -> ColumnElement[str]:
    return literal_column(f"'{text}'", String)
