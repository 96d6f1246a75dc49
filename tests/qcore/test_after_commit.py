"""Jobs that are pushed when a transaction of SQLAlchemy has committed (behaviour DSP-40 to DSP-44, G-28, G-32)."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import qcore
from qcore import App, Config, ConfigError, Job, JobDefinitionError, PayloadError, Prepared, batch, bulk, chain
from qcore.driver import pending
from qcore.errors import DriverError
from qcore.events import Event, JobDiscarded, JobHeld, JobQueued, JobQueueing, UniqueJobSkipped
from qcore.unique import key_of
from qcore.unique_locks import RESERVED_FOR
from tests.qcore.shop import Order, names, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Engine

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

ROOT = Path(__file__).parents[2]
said: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = opened(tmp_path / "shop.sqlite3")
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """A session that has written something, and so is in a transaction."""
    with Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        yield session


class Say(Job):
    def __init__(self, what: object = "hello") -> None:
        self.what = what

    def handle(self) -> None:
        said.append(self.what)


class Waits(Say, after_commit=True):
    pass


class DoesNotWait(Waits, after_commit=False):
    pass


class Once(Say, unique=True):
    def unique_id(self) -> object:
        return self.what


class RefusedError(Exception):
    pass


def waiting(app: App, queue: str = "default") -> list[str]:
    """The ids on the queue."""
    return [each.payload.id for each in app.connection().listed(queue)]


def lock_of(app: App, name: str = "hello") -> str | None:
    """The owner, also of one that waits."""
    return app.connections.store.get(key_of(Once(name)))


# Commit and rollback.


def test_a_job_is_pushed_when_the_transaction_has_committed(
    app: App, session: Session, events: list[Event], work: Callable[..., Stopped]
) -> None:
    """DSP-41, G-32. The id is there at once, the events of a push come with the push."""
    job_id = Say().dispatch(after_commit=session)

    assert (waiting(app), [type(event) for event in events]) == ([], [JobHeld])
    session.commit()
    assert waiting(app) == [job_id]
    assert [type(event) for event in events] == [JobHeld, JobQueueing, JobQueued]
    work()
    assert said == ["hello"]


def test_a_rollback_leaves_nothing(app: App, session: Session, events: list[Event]) -> None:
    """DSP-41, DSP-44, G-32. In memory, too: tests see what production sees."""
    Say().dispatch(after_commit=session)

    session.rollback()
    session.commit()

    assert (waiting(app), [type(event) for event in events]) == ([], [JobHeld, JobDiscarded])


def test_closing_without_a_commit_is_a_rollback(app: App, session: Session, engine: Engine) -> None:
    Once().dispatch(after_commit=session)

    session.close()
    session.add(Order(name="second"))
    session.commit()

    assert waiting(app) == []
    assert lock_of(app) is None
    assert names(engine) == ["second"]


def test_an_exception_in_a_with_block_leaves_nothing(app: App, engine: Engine) -> None:
    with pytest.raises(RefusedError), Session(engine) as session, session.begin():  # noqa: PT012 - it ends the block
        Say().dispatch(after_commit=session)
        raise RefusedError

    assert waiting(app) == []


def test_a_with_block_that_ends_well_pushes(app: App, engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        Say("one").dispatch(after_commit=session)
        assert waiting(app) == []

    assert len(waiting(app)) == 1


def test_a_commit_that_fails_pushes_nothing(app: App, engine: Engine) -> None:
    with Session(engine) as session:
        session.add(Order(id=1, name="first"))
        session.add(Order(id=1, name="again"))
        Say().dispatch(after_commit=session)
        with pytest.raises(Exception, match=r"UNIQUE|conflicts"):
            session.commit()
        session.rollback()

    assert waiting(app) == []


def test_a_session_serves_many_transactions(app: App, session: Session) -> None:
    first = Say(1).dispatch(after_commit=session)
    session.commit()
    session.add(Order(name="second"))
    Say(2).dispatch(after_commit=session)
    session.rollback()
    session.add(Order(name="third"))
    third = Say(3).dispatch(after_commit=session)
    assert waiting(app) == [first]
    session.commit()

    assert waiting(app) == [first, third]


def test_jobs_keep_their_order(app: App, session: Session) -> None:
    ids = [Say(1).dispatch(after_commit=session)]
    with session.begin_nested():
        ids.append(Say(2).dispatch(after_commit=session))
    ids.append(Say(3).dispatch(after_commit=session))

    session.commit()

    assert waiting(app) == ids


def test_a_session_that_has_the_info_of_another_one_waits_for_itself(
    app: App, engine: Engine, session: Session
) -> None:
    Say("other").dispatch(after_commit=session)
    with Session(engine, info=session.info) as copied:
        copied.execute(text("SELECT 1"))
        job_id = Say().dispatch(after_commit=copied)
        copied.commit()

    assert waiting(app) == [job_id]


def test_another_session_does_not_matter(app: App, engine: Engine, session: Session) -> None:
    Say().dispatch(after_commit=session)

    with Session(engine) as other:
        other.execute(text("SELECT 1"))
        other.commit()

    assert waiting(app) == []


@pytest.mark.parametrize("begin", ["add", "select"])
def test_a_session_begins_its_transaction_by_itself(app: App, engine: Engine, begin: str) -> None:
    with Session(engine) as session:
        if begin == "add":
            session.add(Order(name="first"))
        else:
            session.execute(text("SELECT 1"))
        Say().dispatch(after_commit=session)
        assert waiting(app) == []
        session.commit()

    assert len(waiting(app)) == 1


# Without a transaction.


def test_without_an_open_transaction_it_is_pushed_at_once(app: App, engine: Engine) -> None:
    """DSP-41."""
    with Session(engine) as session:
        job_id = Say().dispatch(after_commit=session)

        assert waiting(app) == [job_id]


def test_without_a_source_true_is_at_once(app: App, session: Session) -> None:
    job_id = Waits().dispatch()

    assert waiting(app) == [job_id]


# Savepoints.


def test_a_savepoint_that_is_rolled_back_takes_along_what_was_dispatched_inside(app: App, session: Session) -> None:
    outside = Say("outside").dispatch(after_commit=session)
    savepoint = session.begin_nested()
    Once("inside").dispatch(after_commit=session)
    assert lock_of(app, "inside")
    savepoint.rollback()
    behind = Say("behind").dispatch(after_commit=session)
    assert lock_of(app, "inside") is None

    session.commit()

    assert waiting(app) == [outside, behind]


def test_a_released_savepoint_waits_for_what_is_around_it(app: App, session: Session) -> None:
    with session.begin_nested():
        job_id = Say().dispatch(after_commit=session)
    assert waiting(app) == []

    session.commit()

    assert waiting(app) == [job_id]


def test_a_rollback_takes_along_what_released_savepoints_left(app: App, session: Session) -> None:
    with session.begin_nested(), session.begin_nested():
        Once().dispatch(after_commit=session)

    session.rollback()

    assert waiting(app) == []
    assert lock_of(app) is None


def test_savepoints_in_savepoints(app: App, session: Session) -> None:
    outer = session.begin_nested()
    kept = Say("outer").dispatch(after_commit=session)
    with session.begin_nested():
        also_kept = Say("released").dispatch(after_commit=session)
    inner = session.begin_nested()
    Say("inner").dispatch(after_commit=session)
    with session.begin_nested():
        Say("released in inner").dispatch(after_commit=session)
    inner.rollback()
    outer.commit()

    session.commit()

    assert waiting(app) == [kept, also_kept]


def test_a_commit_ends_open_savepoints(app: App, session: Session) -> None:
    session.begin_nested()
    session.begin_nested()
    job_id = Say().dispatch(after_commit=session)

    session.get_transaction().commit()  # type: ignore[union-attr] # it is in one

    assert waiting(app) == [job_id]


def test_a_savepoint_whose_flush_fails_takes_its_jobs_along(app: App, session: Session) -> None:
    outside = Say("outside").dispatch(after_commit=session)
    with pytest.raises(Exception, match="UNIQUE"), session.begin_nested():  # noqa: PT012 - all inside the savepoint
        Say("inside").dispatch(after_commit=session)
        session.execute(text("INSERT INTO orders (id, name) VALUES (1, 'twice')"))

    session.commit()

    assert waiting(app) == [outside]


def test_a_job_dispatched_while_the_session_flushes_waits_as_well(app: App, session: Session) -> None:
    ids: list[str | None] = []
    event.listen(session, "before_flush", lambda *_: ids.append(Say().dispatch(after_commit=session)))
    session.add(Order(name="second"))

    session.flush()
    assert waiting(app) == []
    session.commit()

    assert waiting(app) == ids


def test_a_job_dispatched_while_the_session_commits_is_pushed_with_the_others(app: App, session: Session) -> None:
    event.listen(session, "after_commit", lambda _: said.append(Say("in a listener").dispatch(after_commit=session)))
    first = Say().dispatch(after_commit=session)

    session.commit()

    assert waiting(app) == [first, *said]


# What happens when.


def test_the_payload_is_made_at_the_dispatch(app: App, session: Session, work: Callable[..., Stopped]) -> None:
    """DSP-41, DSP-31."""
    job = Say(["before"])
    job.dispatch(after_commit=session)
    job.what.append("after")  # type: ignore[attr-defined]

    session.commit()
    work()

    assert said == [["before"]]


def test_what_cannot_be_written_is_told_at_the_dispatch(app: App, session: Session) -> None:
    """DSP-41."""
    with pytest.raises(PayloadError, match="what"):
        Say(print).dispatch(after_commit=session)


def test_hooks_run_at_the_dispatch(app: App, session: Session) -> None:
    hooked: list[str] = []
    app.before_push(lambda *pushed: hooked.append(pushed[-1]))

    Say().dispatch(after_commit=session)
    assert hooked == ["default"]
    session.commit()

    assert hooked == ["default"]


def test_a_hook_that_drops_the_job_leaves_nothing_to_wait(app: App, session: Session) -> None:
    app.before_push(lambda *_: False)

    assert Once().dispatch(after_commit=session) is None
    session.commit()

    assert waiting(app) == []


def test_a_delay_counts_from_the_dispatch(app: App, session: Session, clock: FrozenClock) -> None:
    noon = datetime.fromtimestamp(clock.now() + 100, UTC)
    ids = [
        Say("in a minute").dispatch(after_commit=session, delay=60),
        Say("at noon").dispatch(after_commit=session, delay=noon),
        Say("long ago").dispatch(after_commit=session, delay=10),
    ]
    started = clock.now()
    clock.advance(30)

    session.commit()

    due = {each.payload.id: each.available_at for each in app.connection().listed()}
    assert [due[job_id] - started for job_id in ids if job_id] == pytest.approx([60, 100, 30], abs=0.1)


# Who says so.


@pytest.mark.parametrize("job", [Say, Waits, DoesNotWait])
@pytest.mark.parametrize("connection", [None, False, True])
@pytest.mark.parametrize("call", [None, False, True])
def test_the_call_beats_the_class_which_beats_the_connection(
    session: Session, job: type[Say], connection: object, call: object, tmp_path: Path
) -> None:
    """DSP-40."""
    settings: dict[str, Any] = {"driver": "memory"}
    if connection is not None:
        settings["after_commit"] = connection
    app = App(Config(default="mine", connections={"mine": settings}, root=tmp_path))
    app.transactions(lambda: session)
    of_class = {Say: None, Waits: True, DoesNotWait: False}[job]
    waits = next((each for each in (call, of_class, connection) if each is not None), False)

    with app.activate():
        job().dispatch(after_commit=call)

    assert waiting(app) == [] if waits else len(waiting(app)) == 1
    session.commit()
    assert len(waiting(app)) == 1


def test_options_said_beside_the_call_count_too(app: App, session: Session) -> None:
    Say().with_options(after_commit=session).dispatch()
    qcore.dispatch(Say(), after_commit=session)
    assert waiting(app) == []

    session.commit()

    assert len(waiting(app)) == 2


def test_the_setting_comes_from_the_environment(tmp_path: Path) -> None:
    for value, expected in [("true", True), ("0", False)]:
        config = Config.load(tmp_path, {"QCORE_CONNECTIONS_MEMORY_AFTER_COMMIT": value})
        assert App(config).connection("memory").after_commit is expected


def test_a_setting_that_is_no_flag_is_refused() -> None:
    for value in ("perhaps", 1):
        with pytest.raises(
            ConfigError, match=f"after_commit of the connection 'memory' is true or false, got {value!r}"
        ):
            App(Config(connections={"memory": {"after_commit": value}}))


@pytest.mark.parametrize("given", ["yes", 1, object(), sessionmaker()])
def test_what_is_no_session_is_refused(app: App, given: object) -> None:
    with pytest.raises(JobDefinitionError, match="after_commit is True, False, a SQLAlchemy session"):
        Say().dispatch(after_commit=given)

    assert waiting(app) == []


def test_a_class_cannot_name_a_session() -> None:
    with pytest.raises(JobDefinitionError, match="after_commit is True or False for a class, got 'yes'"):
        type("Wrong", (Job,), {}, after_commit="yes")


def test_a_job_is_either_within_or_after(app: App, session: Session) -> None:
    with pytest.raises(JobDefinitionError, match="say within= or after_commit="):
        Say().dispatch(after_commit=session, within=session)


# Where the session comes from.


def test_sources_are_asked_in_their_order(app: App, session: Session, engine: Engine) -> None:
    idle = Session(engine)
    app.transactions(lambda: None)
    app.transactions(lambda: idle)
    app.transactions(lambda: session)

    Waits().dispatch()

    assert waiting(app) == []
    session.commit()
    assert len(waiting(app)) == 1


def test_a_source_is_asked_at_each_dispatch(app: App, session: Session) -> None:
    variable: ContextVar[Session | None] = ContextVar("variable", default=None)
    app.transactions(lambda: variable.get(None))

    Waits("at once").dispatch()
    variable.set(session)
    Waits("later").dispatch()

    assert len(waiting(app)) == 1


def test_a_scoped_session_is_a_source_and_is_not_made_by_being_asked(app: App, engine: Engine) -> None:
    scope = scoped_session(sessionmaker(engine))
    app.transactions(scope)

    Waits("at once").dispatch()
    assert not scope.registry.has()
    scope.add(Order(name="first"))
    Waits("later").dispatch()
    Say("later").dispatch(after_commit=scope)
    assert len(waiting(app)) == 1
    scope.commit()

    assert len(waiting(app)) == 3
    scope.remove()


@pytest.mark.parametrize("source", [sessionmaker(), async_sessionmaker(), Session, "session", 7])
def test_what_is_no_source_is_refused(app: App, source: Callable[[], object]) -> None:
    with pytest.raises(ConfigError, match="a source of transactions is called without arguments"):
        app.transactions(source)


def test_an_async_session_is_waited_for(app: App, tmp_path: Path) -> None:
    async def use() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'async.sqlite3'}")
        scope = async_scoped_session(async_sessionmaker(engine), scopefunc=lambda: 1)
        async with AsyncSession(engine) as session:
            await session.execute(text("SELECT 1"))
            Once("rolled back").dispatch(after_commit=session)
            await session.rollback()
            await session.execute(text("SELECT 1"))
            Once("committed").dispatch(after_commit=session)
            await scope.execute(text("SELECT 1"))
            Say("scoped").dispatch(after_commit=scope)
            assert waiting(app) == []
            await session.commit()
            assert len(waiting(app)) == 1
            await scope.commit()
        await scope.remove()
        await engine.dispose()

    asyncio.run(use())

    assert len(waiting(app)) == 2
    assert lock_of(app, "rolled back") is None


# Errors in the push.


@pytest.fixture
def trouble(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver refuses what says so."""
    driver: Any = app.connection().driver
    push, push_locked, take_lock = driver.push, driver.push_locked, driver.take_lock

    def refusing(call: Callable[..., Any], *names: str) -> Callable[..., Any]:
        if any(name.startswith("trouble") for name in names):
            raise DriverError(names[0])
        return call

    monkeypatch.setattr(
        driver, "push", lambda queue, payload, *, delay=0: refusing(push, queue)(queue, payload, delay=delay)
    )
    monkeypatch.setattr(driver, "push_locked", lambda each: refusing(push_locked, each.queue)(each))
    held = key_of(Once("trouble"))
    monkeypatch.setattr(
        driver, "take_lock", lambda lock: refusing(take_lock, "trouble" if lock.key == held else "")(lock)
    )


def test_an_error_after_the_commit_reaches_who_commits_and_loses_no_other_push(
    app: App, engine: Engine, session: Session, trouble: None, caplog: pytest.LogCaptureFixture
) -> None:
    Say(1).dispatch(after_commit=session)
    Say(2).dispatch(after_commit=session, queue="trouble 1")
    Say(3).dispatch(after_commit=session)
    Say(4).dispatch(after_commit=session, queue="trouble 2")
    Say(5).dispatch(after_commit=session)

    with pytest.raises(DriverError, match="trouble 1"):
        session.commit()

    assert len(waiting(app)) == 3
    assert names(engine) == ["first"]
    [record] = caplog.records
    assert "trouble 2" in record.getMessage()


def test_a_session_is_as_good_as_new_after_an_error_in_the_push(
    app: App, engine: Engine, session: Session, trouble: None
) -> None:
    Say().dispatch(after_commit=session, queue="trouble")
    with pytest.raises(DriverError):
        session.commit()

    assert not session.in_transaction()
    session.add(Order(name="second"))
    Say().dispatch(after_commit=session)
    session.commit()

    assert len(waiting(app)) == 1
    assert names(engine) == ["first", "second"]


def test_an_error_in_the_push_leaves_a_with_block_committed(app: App, engine: Engine, trouble: None) -> None:
    with pytest.raises(DriverError), Session(engine) as session, session.begin():  # noqa: PT012 - it ends the block
        session.add(Order(name="first"))
        Say().dispatch(after_commit=session, queue="trouble")

    assert names(engine) == ["first"]


def test_a_push_that_fails_gives_its_lock_back(app: App, session: Session, trouble: None) -> None:
    Once().dispatch(after_commit=session, queue="trouble")
    Once("other").dispatch(after_commit=session)

    with pytest.raises(DriverError):
        session.commit()

    assert lock_of(app) is None
    assert lock_of(app, "other") == waiting(app)[0]


def test_a_lock_that_cannot_be_asked_for_leaves_nothing_of_a_bulk(app: App, session: Session, trouble: None) -> None:
    with pytest.raises(DriverError):
        bulk([Say(), Once(), Once("trouble")], after_commit=session)

    assert lock_of(app) is None
    session.commit()
    assert waiting(app) == []


def test_a_lock_that_cannot_be_given_back_is_told_and_breaks_no_rollback(
    app: App, session: Session, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    Once().dispatch(after_commit=session)
    Once("other").dispatch(after_commit=session)
    store = app.connections.store
    forget = store.forget

    def fails_once(key: str, *, value: str | None = None) -> bool:
        if key == key_of(Once()):
            raise DriverError(key)
        return forget(key, value=value)

    monkeypatch.setattr(store, "forget", fails_once)
    session.rollback()

    assert (waiting(app), lock_of(app, "other")) == ([], None)
    assert "stays for up to an hour" in caplog.text


def test_an_interruption_is_raised_before_an_error(app: App, session: Session, trouble: None) -> None:
    def interrupted(event: JobQueueing) -> None:
        if event.queue == "interrupted":
            raise KeyboardInterrupt

    app.listen(JobQueueing, interrupted)
    Say(1).dispatch(after_commit=session, queue="trouble")
    Say(2).dispatch(after_commit=session, queue="interrupted")
    Say(3).dispatch(after_commit=session)

    with pytest.raises(KeyboardInterrupt):
        session.commit()

    assert len(waiting(app)) == 1


# Unique jobs.


def test_the_lock_is_taken_at_the_dispatch(
    app: App, session: Session, events: list[Event], work: Callable[..., Stopped]
) -> None:
    """DSP-42, G-28."""
    first = str(Once().dispatch(after_commit=session))

    assert lock_of(app) == pending(first)
    assert Once().dispatch(after_commit=session) is None
    assert Once().dispatch() is None
    skipped = [event for event in events if isinstance(event, UniqueJobSkipped)]
    assert [event.owner for event in skipped] == [first, first]
    session.commit()
    assert waiting(app) == [first]
    assert lock_of(app) == first
    assert Once().dispatch() is None
    work()
    assert lock_of(app) is None


def test_a_rollback_frees_the_lock(app: App, session: Session) -> None:
    """DSP-42, G-28."""
    Once().dispatch(after_commit=session)

    session.rollback()

    assert lock_of(app) is None
    assert Once().dispatch() is not None


def test_a_rollback_leaves_the_lock_of_another_job(app: App, session: Session) -> None:
    """DSP-42: freed by its owner only."""
    other = Once().dispatch()
    assert Once().dispatch(after_commit=session) is None

    session.rollback()

    assert lock_of(app) == other


def test_a_rollback_leaves_a_lock_that_has_passed_to_another_job(
    app: App, session: Session, clock: FrozenClock
) -> None:
    """DSP-42: freed by its owner only, also when it took too long."""
    Once().dispatch(after_commit=session)
    clock.advance(RESERVED_FOR + 1)
    other = Once().dispatch()

    session.rollback()

    assert lock_of(app) == other


def test_a_commit_that_comes_too_late_for_the_lock_pushes_no_second_job(
    app: App, session: Session, clock: FrozenClock, events: list[Event]
) -> None:
    Once().dispatch(after_commit=session)
    clock.advance(RESERVED_FOR + 1)
    other = Once().dispatch()

    session.commit()

    assert waiting(app) == [other]
    assert isinstance(events[-1], UniqueJobSkipped)


# Many at once.


def test_bulk_parts_what_waits_from_what_does_not(app: App, session: Session) -> None:
    """DSP-43."""
    app.transactions(lambda: session)

    ids = bulk([Say(1), Waits(2), DoesNotWait(3), Waits(4), Once("5")])
    assert waiting(app) == [ids[0], ids[2], ids[4]]
    session.commit()

    assert sorted(waiting(app)) == sorted(ids)


def test_bulk_as_a_whole_waits(app: App, session: Session) -> None:
    """DSP-43."""
    ids = bulk([Say(1), Once("2"), Once("2"), Say(3)], after_commit=session)

    assert len(ids) == 3
    assert waiting(app) == []
    session.commit()
    assert sorted(waiting(app)) == sorted(ids)


def test_a_chain_waits_and_then_runs_in_its_order(app: App, session: Session, work: Callable[..., Stopped]) -> None:
    job_id = chain(Say(1), Say(2)).dispatch(after_commit=session)
    assert waiting(app) == []

    session.commit()

    assert waiting(app) == [job_id]
    work()
    assert said == [1, 2]


def test_a_rollback_leaves_nothing_of_a_chain(app: App, session: Session) -> None:
    chain(Once(), Say()).dispatch(after_commit=session)
    assert lock_of(app)

    session.rollback()

    assert waiting(app) == []
    assert lock_of(app) is None


@pytest.mark.parametrize("first", [Waits(), Say().with_options(after_commit=True)])
def test_a_chain_waits_when_its_first_link_says_so(app: App, session: Session, first: Job | Prepared) -> None:
    app.transactions(lambda: session)

    chain(first, Say()).dispatch()
    chain(Say(), Waits()).dispatch(queue="other")
    assert (len(waiting(app)), len(waiting(app, "other"))) == (0, 1)
    session.commit()

    assert len(waiting(app)) == 1


def test_a_batch_waits_as_a_whole(app: App, session: Session, work: Callable[..., Stopped]) -> None:
    """Its members are written at the dispatch, so that they may come from the very transaction."""
    orders = (Say(order.name) for order in session.query(Order))
    pending_batch = batch(orders).then(Say("then"))

    dispatched = pending_batch.dispatch(after_commit=session)
    assert app.find_batch(dispatched.id) is None
    assert waiting(app) == []
    session.commit()

    work()
    assert said == ["first", "then"]
    found = dispatched.fresh()
    assert found is not None
    assert found.state == "finished"


def test_a_rollback_leaves_nothing_of_a_batch(app: App, session: Session) -> None:
    dispatched = batch([Say(), Once()]).dispatch(after_commit=session)

    session.rollback()

    assert waiting(app) == []
    assert app.find_batch(dispatched.id) is None


def test_a_wrong_member_of_a_batch_is_told_at_the_dispatch(app: App, session: Session) -> None:
    """DSP-41. Even if it comes late, and from an iterator."""
    with pytest.raises(PayloadError):
        batch(iter([Say(), Say(print)])).dispatch(after_commit=session)

    session.commit()
    assert waiting(app) == []


def test_a_batch_waits_when_one_of_its_members_says_so(app: App, session: Session) -> None:
    app.transactions(lambda: session)

    batch([Say(), Waits()]).dispatch()
    batch([Say(), [Waits(), Say()]]).dispatch()
    assert waiting(app) == []
    batch([Say(), Waits()]).dispatch(after_commit=False, queue="at once")
    assert len(waiting(app, "at once")) == 2
    session.commit()

    assert len(waiting(app)) == 4


def test_a_batch_on_the_sync_connection_runs_in_the_commit(app: App, session: Session) -> None:
    """DSP-43."""
    dispatched = batch([Say(1), Say(2)]).dispatch(after_commit=session, connection="sync")
    assert said == []

    session.commit()

    assert said == [1, 2]
    assert dispatched.fresh().state == "finished"  # type: ignore[union-attr]


def test_the_sync_connection_runs_the_job_in_the_commit(app: App, engine: Engine, session: Session) -> None:
    """DSP-43. It sees what was committed."""
    seen: list[list[str]] = []
    app.listen(JobQueueing, lambda _: seen.append(names(engine)))

    Say().dispatch(after_commit=session, connection="sync")
    assert said == []
    session.commit()

    assert said == ["hello"]
    assert seen == [["first"]]


class Uses(Job, connection="sync"):
    """Uses the session that has just committed, and dispatches."""

    def __init__(self, left: int) -> None:
        self.left = left

    def handle(self) -> None:
        session = _in_use[0]
        assert not session.in_transaction()
        session.add(Order(name=f"{self.left} left"))
        if self.left:
            Uses(self.left - 1).dispatch(after_commit=session)
        session.commit()


_in_use: list[Session] = []


def test_a_job_that_runs_in_the_commit_can_use_the_session(app: App, engine: Engine, session: Session) -> None:
    """DSP-43."""
    _in_use[:] = [session]
    Uses(2).dispatch(after_commit=session)

    session.commit()

    assert names(engine) == ["first", "2 left", "1 left", "0 left"]


class Fails(Job, connection="sync"):
    def handle(self) -> None:
        raise RefusedError


def test_the_error_of_a_job_that_runs_in_the_commit_reaches_who_commits(app: App, session: Session) -> None:
    Fails().dispatch(after_commit=session)
    Say().dispatch(after_commit=session, connection="sync")

    with pytest.raises(RefusedError):
        session.commit()

    assert said == ["hello"]


# What is lost.

KILLED = """
import os, signal, sys
from pathlib import Path
from sqlalchemy.orm import Session
from qcore import App, Config
from qcore.events import JobQueueing
from tests.qcore.shop import Order, opened
from tests.qcore.test_after_commit import Say

folder = Path(sys.argv[1])
app = App(Config(root=folder))
app.connection().size()
app.listen(JobQueueing, lambda _: os.kill(os.getpid(), signal.SIGKILL))
with app.activate(), Session(opened(folder / "shop.sqlite3")) as session:
    session.add(Order(name="first"))
    Say().dispatch(after_commit=session)
    session.commit()
"""


def test_a_process_that_dies_between_commit_and_push_takes_the_job_along(tmp_path: Path) -> None:
    """At most once; see the test of ``within`` for the other promise."""
    ended = subprocess.run([sys.executable, "-c", KILLED, tmp_path], cwd=ROOT, check=False, timeout=60)

    assert ended.returncode == -signal.SIGKILL
    engine = opened(tmp_path / "shop.sqlite3")
    assert names(engine) == ["first"]
    engine.dispose()
    app = App(Config(root=tmp_path))
    assert waiting(app) == []
    app.close()


def test_a_push_that_would_wait_and_cannot_says_so_once(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "django.db", raising=False)
    Say().dispatch(after_commit=True)
    Say().dispatch(after_commit=True)
    assert len(waiting(app)) == 2
    [record] = caplog.records
    assert "app.transactions(...)" in record.getMessage()
