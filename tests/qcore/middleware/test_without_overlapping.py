"""WithoutOverlapping: one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config
from qcore.closures import Closure
from qcore.errors import DriverError, JobDefinitionError, JobError, JobInterrupted, TimeLimitReached
from qcore.events import Event, JobBlocked
from qcore.handlers import HandlerCall
from qcore.layers import kind_of
from qcore.limits import WorkerOptions
from qcore.middleware import WithoutOverlapping
from qcore.outcome import Done, Failed, Released, Skipped
from tests.qcore.acting import doing
from tests.qcore.layered import Layered, OtherLayered, heard, layered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.closures import Dispatchable
    from qcore.jobs import Job
    from qcore.outcome import Outcome
    from qcore.store import Store
    from qtest.clock import FrozenClock

LAYERED = "tests.qcore.layered:Layered"


@pytest.fixture(autouse=True)
def _nothing_heard() -> None:
    heard.clear()


def attempt(app: App, job: Job | None = None, **options: Any) -> Outcome:
    if job is not None:
        app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


def key_of(kind: str = LAYERED, key: str = "", prefix: str = "") -> str:
    return f"overlap:{prefix},{kind},{key}"


def during(app: App, job: Job, layer: WithoutOverlapping | None = None) -> Outcome:
    """Let another worker take a job while one runs that holds the lock of the key 7; give how it ended there."""
    found: list[Outcome] = []
    app.dispatch(layered(layer or WithoutOverlapping("7"), handle=lambda _: found.append(attempt(app))))
    app.dispatch(job)
    assert attempt(app) == Done()
    return found[0]


def test_a_second_job_with_the_key_is_given_back(app: App, events: list[Event]) -> None:
    """MID-21."""
    assert during(app, layered(WithoutOverlapping("7", release_after=30))) == Released(30, counted=False)
    assert heard == []
    blocks = [(event.by, event.delay) for event in events if isinstance(event, JobBlocked)]
    assert blocks == [("WithoutOverlapping", 30)]


def test_it_is_due_again_in_a_second_if_nothing_else_is_said(app: App, clock: FrozenClock) -> None:
    """MID, WithoutOverlapping: a default of 0 would let workers spin."""
    assert during(app, layered(WithoutOverlapping("7"))) == Released(1, counted=False)
    clock.advance(1)
    assert attempt(app) == Done()
    assert heard == ["ran"]


def test_it_may_be_skipped_instead(app: App) -> None:
    assert during(app, layered(WithoutOverlapping("7", release_after=30).dont_release())) == Skipped()


@pytest.mark.parametrize(
    ("holder", "other", "meets"),
    [
        pytest.param(WithoutOverlapping("7"), layered(WithoutOverlapping("8")), False, id="another key"),
        pytest.param(WithoutOverlapping(), layered(WithoutOverlapping()), True, id="no key"),
        pytest.param(WithoutOverlapping("7"), layered(WithoutOverlapping(7)), True, id="a key that is no text"),  # type: ignore[arg-type]
        pytest.param(
            WithoutOverlapping("7"), layered(WithoutOverlapping("7"), kind=OtherLayered), False, id="another class"
        ),
        pytest.param(
            WithoutOverlapping("7").shared(),
            layered(WithoutOverlapping("7").shared(), kind=OtherLayered),
            True,
            id="another class, shared",
        ),
        pytest.param(WithoutOverlapping("7").shared(), layered(WithoutOverlapping("7")), False, id="one is shared"),
        pytest.param(
            WithoutOverlapping("7").with_prefix("crm"), layered(WithoutOverlapping("7")), False, id="another prefix"
        ),
        pytest.param(
            WithoutOverlapping("7").with_prefix("crm"),
            layered(WithoutOverlapping("7").with_prefix("crm")),
            True,
            id="the same prefix",
        ),
    ],
)
def test_jobs_meet_by_class_and_key(app: App, holder: WithoutOverlapping, other: Job, *, meets: bool) -> None:
    """MID-21."""
    assert isinstance(during(app, other, holder), Released if meets else Done)


def ends_well(_: Job) -> None: ...


def raises(_: Job) -> None:
    raise ValueError


def releases(job: Layered) -> None:
    job.release(1000)


def fails(job: Layered) -> None:
    job.fail("no")


@pytest.mark.parametrize("handle", [ends_well, raises, releases, fails])
def test_the_lock_is_free_when_the_job_has_ended_however(app: App, handle: Callable[[Any], None]) -> None:
    attempt(app, layered(WithoutOverlapping("7"), handle=handle))

    assert app.connections.store.get(key_of(key="7")) is None


@pytest.mark.parametrize("interruption", [JobInterrupted, TimeLimitReached])
def test_the_lock_is_free_when_the_job_was_interrupted(app: App, interruption: type[BaseException]) -> None:
    """MID, WithoutOverlapping: a time limit does not leave it behind."""

    def handle(_: Job) -> None:
        raise interruption

    attempt(app, layered(WithoutOverlapping("7"), handle=handle))

    assert app.connections.store.get(key_of(key="7")) is None


def test_the_lock_is_free_when_the_job_was_interrupted_while_it_took_it(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = app.connections.store
    add = store.add

    def interrupted(key: str, value: str, *, ttl: float | None = None) -> bool:
        add(key, value, ttl=ttl)
        raise TimeLimitReached

    app.dispatch(layered(WithoutOverlapping("7")))
    monkeypatch.setattr(store, "add", interrupted)
    attempt(app)

    assert store.get(key_of(key="7")) is None


# The lock outlives the job's time, and no more.


def lasts(app: App, clock: FrozenClock, layer: WithoutOverlapping, **options: Any) -> float:
    """Say for how many seconds the lock would stay if the worker died with the job."""
    ends: list[float] = []
    store = app.connections.store

    def handle(_: Job) -> None:
        began = clock.now()
        while store.get(key_of(key="7")) is not None and clock.now() < began + 100_000:
            clock.advance(0.5 if clock.now() - began < 1000 else 100)
        ends.append(clock.now() - began)

    attempt(app, layered(layer, handle=handle), **options)
    return ends[0]


@pytest.mark.parametrize(
    ("timeout", "expire_after", "lasting"),
    [
        pytest.param(60, None, 120, id="the time limit and a minute"),
        pytest.param(60, 30, 120, id="never less than that"),
        pytest.param(60, 500, 500, id="more if it is said"),
        pytest.param(0, 500, 500, id="as it is said, without a limit"),
        pytest.param(0, None, 86_400, id="a day without a limit"),
        pytest.param(0, 0, 86_400, id="a day without a limit, also for 0"),
    ],
)
def test_the_lock_lasts_longer_than_the_time_limit(
    app: App, clock: FrozenClock, timeout: float, expire_after: float | None, lasting: float
) -> None:
    """MID, WithoutOverlapping: a lock that never expires would be left behind by a worker that is killed."""
    assert lasts(app, clock, WithoutOverlapping("7", expire_after=expire_after), timeout=timeout) == lasting


def test_the_time_limit_of_the_worker_counts_for_a_job_without_its_own(app: App, clock: FrozenClock) -> None:
    assert lasts(app, clock, WithoutOverlapping("7")) == WorkerOptions().timeout + 60


def dead_holder(app: App, job: Dispatchable) -> None:
    """Let a worker die with the job: it is reserved, and its lock stays."""
    app.dispatch(job)
    reservation = app.connection().driver.reserve(["default"])
    assert reservation is not None
    app.connections.store.add(key_of(key="7"), f"{reservation.payload.id}:{reservation.token}", ttl=120)


def test_a_job_that_is_delivered_again_takes_over_the_lock_that_its_dead_worker_left(
    app: App, clock: FrozenClock
) -> None:
    """MID, WithoutOverlapping: the lock is its own."""
    dead_holder(app, layered(WithoutOverlapping("7")).with_options(tries=2))
    clock.advance(app.connection().driver.retry_after)

    assert attempt(app) == Done()
    assert app.connections.store.get(key_of(key="7")) is None


def test_other_jobs_are_kept_away_until_the_job_of_a_dead_worker_is_gone(app: App) -> None:
    """Its lock would have lasted on: whoever takes it over sees that nobody will come back to it."""
    dead_holder(app, layered(WithoutOverlapping("7")))
    assert isinstance(attempt(app, layered(WithoutOverlapping("7", release_after=115))), Released)
    app.connection().clear()

    assert attempt(app, layered(WithoutOverlapping("7"))) == Done()
    assert app.connections.store.get(key_of(key="7")) is None


def test_where_jobs_cannot_be_looked_for_they_are_kept_away_until_the_lock_expires(
    tmp_path: Path, clock: FrozenClock
) -> None:
    """The store is in another backend, and others may share it, whose jobs are elsewhere."""
    app = App(Config(default="memory", store="database", root=tmp_path), clock=clock)
    store, seen = app.connections.store, list[str | None]()
    job = layered(WithoutOverlapping("7"), handle=lambda _: seen.append(store.get(key_of(key="7"))))
    store.add(key_of(key="7"), "gone:1", ttl=120)

    assert isinstance(attempt(app, job), Released)
    clock.advance(120)
    assert Done() == attempt(app)
    assert ["pending"] == [str(each).partition(":")[0] for each in seen]
    app.close()


def test_the_lock_of_a_job_that_lives_in_another_backend_is_nobody_elses(app: App) -> None:
    """It is not found here, and that says nothing."""
    app.connections.store.add(key_of(key="7"), "pending:elsewhere:1", ttl=120)

    assert isinstance(attempt(app, layered(WithoutOverlapping("7"))), Released)
    assert "pending:elsewhere:1" == app.connections.store.get(key_of(key="7"))


def test_a_lock_that_somebody_takes_at_the_last_moment_keeps_the_job_away(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = app.connections.store
    add = store.add

    def others_first(key: str, value: str, *, ttl: float | None = None) -> bool:
        add(key, "pending:another job:1", ttl=ttl)
        return add(key, value, ttl=ttl)

    app.dispatch(layered(WithoutOverlapping("7")))
    for write in ("add", "put"):
        monkeypatch.setattr(store, write, others_first)

    assert attempt(app) == Released(1, counted=False)
    assert store.get(key_of(key="7")) == "pending:another job:1"


def test_a_lock_that_is_freed_at_the_last_moment_lets_the_job_run(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    store = app.connections.store
    add, tried = store.add, []

    def taken_at_first(key: str, value: str, *, ttl: float | None = None) -> bool:
        tried.append(key)
        return len(tried) > 1 and add(key, value, ttl=ttl)

    app.dispatch(layered(WithoutOverlapping("7")))
    monkeypatch.setattr(store, "add", taken_at_first)

    assert attempt(app) == Done()


def test_a_worker_that_lost_its_lease_does_not_free_the_lock_of_the_one_that_has_it_now(app: App) -> None:
    """MID, WithoutOverlapping: the same job, in other hands, is another owner."""
    store = app.connections.store
    taken_over: list[str] = []

    def handle(_: Job) -> None:
        job_id, token = str(store.get(key_of(key="7"))).rsplit(":", 1)
        taken_over.append(f"{job_id}:{int(token) + 1}")
        store.put(key_of(key="7"), taken_over[0], ttl=120)

    attempt(app, layered(WithoutOverlapping("7"), handle=handle))

    assert store.get(key_of(key="7")) == taken_over[0]


def test_a_store_that_is_in_trouble_when_the_lock_is_freed_does_not_undo_the_job(
    app: App, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def trouble(*_: object, **__: object) -> bool:
        raise DriverError("the disk is full")

    monkeypatch.setattr(app.connections.store, "forget", trouble)

    assert attempt(app, layered(WithoutOverlapping("7"))) == Done()
    assert "stays until it expires: the disk is full" in caplog.text


def test_a_job_under_two_locks_with_one_name_runs(app: App) -> None:
    given = layered(WithoutOverlapping("7"), WithoutOverlapping("7"))

    assert attempt(app, given) == Done()
    assert app.connections.store.get(key_of(key="7")) is None


def test_a_job_that_would_wait_for_the_one_that_runs_it_in_place_is_told(app: App) -> None:
    """It would wait for ever: the sync connection waits out what is released."""
    inner = layered(WithoutOverlapping("7"))
    outcome = attempt(app, layered(WithoutOverlapping("7"), handle=lambda _: app.dispatch_sync(inner)))

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, JobError)
    assert "would wait for ever: it is run in place by a job that holds its lock" in str(outcome.error)


def test_a_job_that_runs_in_place_may_be_skipped_for_the_one_that_runs_it(app: App) -> None:
    inner = layered(WithoutOverlapping("7").dont_release())

    assert attempt(app, layered(WithoutOverlapping("7"), handle=lambda _: app.dispatch_sync(inner))) == Done()
    assert heard == []


def test_it_can_be_given_to_one_dispatch(app: App) -> None:
    store: Store = app.connections.store
    seen: list[str | None] = []
    job = doing(lambda _: seen.append(store.get(key_of("tests.qcore.acting:Act", "7"))))

    assert attempt(app, job, middleware=[WithoutOverlapping("7")]) == Done()
    assert seen[0] is not None


def test_closures_and_raw_data_which_share_a_class_meet_by_what_they_are_called() -> None:
    one, other = Closure(lambda: None, name="one"), Closure(lambda: None, name="other")

    assert kind_of(one) != kind_of(other)
    assert kind_of(HandlerCall("app.jobs.Import@fire", {})) == "app.jobs.Import"
    assert kind_of(layered()) == LAYERED


@pytest.mark.parametrize("key", ["x" * 10_000, "ü\ud800", "a\0b", "';DROP TABLE qcore_keys;--", ("a", 1)])
def test_a_key_may_be_anything(app: App, key: Any) -> None:  # noqa: ANN401 - anything
    outcome = during(app, layered(WithoutOverlapping(key)), WithoutOverlapping(key))

    assert isinstance(outcome, Released)


@pytest.mark.parametrize("wrong", [{"release_after": -1}, {"release_after": None}, {"expire_after": "5"}])
def test_what_is_no_number_of_seconds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(JobDefinitionError, match=f"{next(iter(wrong))} is a number of seconds"):
        WithoutOverlapping("7", **wrong)


def test_a_prefix_is_a_name() -> None:
    with pytest.raises(JobDefinitionError, match="prefix name"):
        WithoutOverlapping("7").with_prefix("a,b")
