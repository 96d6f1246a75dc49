"""Answers of database servers are lost, one after another: the call is made again and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.drivers.database import driver_on
from qcore.sql.connection import Connection
from qcore.sql.trouble import LostError
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.clock import FrozenClock
from tests.contract.lost_answers import CALLS, Scene

if TYPE_CHECKING:
    from qcore.sql import Database
    from qtest.servers import MariaServer, PostgresServer


@pytest.fixture(scope="module", params=["postgres_server", "maria_server"])
def server(request: pytest.FixtureRequest) -> PostgresServer | MariaServer:
    server: PostgresServer | MariaServer = request.getfixturevalue(request.param)
    return server


def scene(database: Database) -> Scene:
    database.empty()
    clock = FrozenClock()
    store, batches = DatabaseStore(database, clock), DatabaseBatchStore(database, clock)
    return Scene(clock, (driver_on(database, clock), store, DatabaseFailedStore(database), batches))


EXCEPT = (
    "increment",  # nobody could tell whether it was counted when the answer to the commit is lost: that raises
    "increment a second time",
    "add, taken by an equal value",  # who adds says by the value who he is
)


MOST = 30
"""Answers of one call that are lost. Only who waits gets more, always the same ones."""


class Losing:
    """Lets the server do what it is asked, and loses one of its answers together with the connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 0
        """Answers until the one that is lost; 0 for none."""
        run = Connection._run

        def answered(connection: Connection, sql: str, *arguments: object, **options: object) -> object:
            answer: object = run(connection, sql, *arguments, **options)  # type: ignore[arg-type]
            self.left -= 1
            if self.left == 0:
                connection.close()
                raise LostError("the answer was lost")
            return answer

        monkeypatch.setattr(Connection, "_run", answered)


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch) -> Losing:
    return Losing(monkeypatch)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in EXCEPT])
def test_a_call_whose_answer_is_lost_is_made_again_and_changes_nothing(
    database: Database, losing: Losing, name: str
) -> None:
    """Whichever of its answers it is."""
    if "and reserve" in name and not database.dialect.is_pipelined:
        pytest.skip("it takes two steps there")
    call = CALLS[name]
    quiet = scene(database)
    expected, then = call(quiet), quiet.everything()
    lost, reached = 0, True
    while reached and lost < MOST:
        lost += 1
        loud = scene(database)
        losing.left = lost
        answer = call(loud)
        reached, losing.left = losing.left <= 0, 0
        assert (lost, expected, then) == (lost, answer, loud.everything())
