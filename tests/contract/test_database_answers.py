"""Answers of database servers are lost, one after another: the call is made again and changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import Effects, Settled
from qcore.drivers.database import driver_on
from qcore.sql.connection import Connection
from qcore.sql.trouble import LostError
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.database_batches import DatabaseBatchStore
from qtest.clock import FrozenClock
from qtest.contract_base import reserved
from tests.contract.lost_answers import CALLS, FAILED, Scene

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


@pytest.mark.parametrize("pipelined", [True, False], ids=["and reserve", "alone"])
@pytest.mark.parametrize("failing", [True, False], ids=["failing", "succeeding"])
def test_who_repeats_a_delete_does_not_take_the_end_that_another_gave_the_job_for_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch, *, failing: bool, pipelined: bool
) -> None:
    """The call was lost on its way, and before it came again the job ended otherwise: it cannot be done and failed."""
    if pipelined and (failing or not database.dialect.is_pipelined):
        pytest.skip("there is no such call")
    on = scene(database)
    on.clock.advance(91)
    newer = reserved(on.driver)
    mine, other = (newer, on.held) if failing else (on.held, newer)
    failed = Effects(failed=FAILED)
    run = Connection._run

    def lose_call_while_another_ends_it(connection: Connection, *_: object, **__: object) -> object:
        monkeypatch.setattr(Connection, "_run", run)
        ended = on.driver.delete(other) if failing else on.driver.delete(other, effects=failed, only_last=True)
        assert ended in {Settled.DONE, Settled.LATE}
        connection.close()
        raise LostError("lost on its way")

    monkeypatch.setattr(Connection, "_run", lose_call_while_another_ends_it)

    if failing:
        assert Settled.GONE is on.driver.delete(mine, effects=failed, only_last=True)
    elif pipelined:
        assert (Settled.GONE, None) == on.driver.delete_and_reserve(mine, ["default"])
    else:
        assert Settled.GONE is on.driver.delete(mine)
    assert ([] if failing else [FAILED]) == [record._replace(number=0) for record in on.failed.listed()]
