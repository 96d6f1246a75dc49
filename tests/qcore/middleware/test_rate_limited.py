"""RateLimited and the limiters it asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore import rate_limits
from qcore.app import App
from qcore.config import Config
from qcore.errors import ConfigError, JobDefinitionError
from qcore.events import Event, JobBlocked
from qcore.limits import WorkerOptions
from qcore.middleware import Limit, RateLimited, Release, Skip, Unlimited
from qcore.outcome import Done, Failed, Released, Skipped
from qcore.windows import Window
from tests.qcore.acting import doing, endings
from tests.qcore.layered import heard, layered, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.jobs import Job
    from qcore.outcome import Outcome
    from qtest.clock import FrozenClock


@pytest.fixture(autouse=True)
def _no_limiters() -> Iterator[None]:
    heard.clear()
    known = dict(rate_limits._limiters)
    rate_limits._limiters.clear()
    yield
    rate_limits._limiters.clear()
    rate_limits._limiters.update(known)


def attempt(app: App, job: Job | None = None, **options: Any) -> Outcome:
    if job is not None:
        app.dispatch(job, **options)
    outcome = app.worker(options=WorkerOptions(memory=0)).run_next_job()
    assert outcome is not None
    return outcome


def limited(user_id: int = 0, *, name: str = "imports") -> Job:
    return layered(RateLimited(name), user_id=user_id)


def test_a_job_beyond_the_limit_is_released_until_there_is_room_and_three_seconds(app: App, clock: FrozenClock) -> None:
    """G-30."""
    app.limiter("imports", lambda _: Limit.per_minute(1))

    assert attempt(app, limited()) == Done()
    clock.advance(20)
    assert attempt(app, limited()) == Released(43, counted=False)
    clock.advance(43)
    assert attempt(app) == Done()
    assert heard == ["ran", "ran"]


def test_a_rate_limited_job_with_one_try_is_never_lost(app: App, clock: FrozenClock) -> None:
    """MID-04 and MID-23, differently: a block gives the attempt back."""
    app.limiter("imports", lambda _: Limit.per_minute(1))
    app.dispatch(limited(), tries=1)
    attempt(app)
    app.dispatch(limited(), tries=1)
    for _ in range(50):
        # Others are always a little earlier.
        outcome = attempt(app)
        assert isinstance(outcome, Released)
        clock.advance(outcome.delay)
        Window(app.connections.store, clock, "limit:imports,1/60,", 60).hit()
    clock.advance(60)

    assert attempt(app) == Done()
    assert heard == ["ran", "ran"]
    assert app.failed.list() == []


def test_the_jobs_of_each_key_are_counted_on_their_own(app: App) -> None:
    app.limiter("imports", lambda job: Limit.per_minute(1).by(job.user_id))

    assert [type(attempt(app, limited(user))) for user in (1, 2, 1, 2)] == [Done, Done, Released, Released]


def test_limits_of_the_same_name_are_shared_by_classes(app: App) -> None:
    app.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, limited())

    assert isinstance(attempt(app, doing(run), middleware=[RateLimited("imports")]), Released)


def test_all_limits_are_looked_at_before_any_counts_the_job(app: App, clock: FrozenClock) -> None:
    """MID, RateLimited: a job that a later limit blocks does not use up the earlier ones."""
    app.limiter("imports", lambda job: [Limit.per_hour(2), Limit.per_minute(1).by(job.user_id)])
    attempt(app, limited(1))
    for _ in range(5):
        assert attempt(app, limited(1)) == Released(63, counted=False)

    assert attempt(app, limited(2)) == Done()
    # Now the hour is full, and the longer wait counts.
    clock.advance(10)
    assert attempt(app, limited(2)) == Released(3593, counted=False)


@pytest.mark.parametrize("limits", [[Limit.per_minute(1), Limit.per_hour(1)], [Limit.per_hour(1), Limit.per_minute(1)]])
def test_a_job_that_several_limits_block_waits_for_the_last_of_them(app: App, limits: list[Limit]) -> None:
    app.limiter("imports", lambda _: limits)
    attempt(app, limited())

    assert attempt(app, limited()) == Released(3603, counted=False)


def test_a_job_that_is_blocked_counts_nowhere_not_even_for_a_moment(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """MID, RateLimited."""
    app.limiter("imports", lambda _: [Limit.per_hour(10), Limit.per_minute(1)])
    attempt(app, limited())
    monkeypatch.delattr(Window, "hit")

    assert attempt(app, limited()) == Released(63, counted=False)


def test_a_hit_is_taken_back_when_another_one_took_the_last_room_meanwhile(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MID, RateLimited: two jobs that both saw room are not both let in, and the other limits are not used up."""
    app.limiter("imports", lambda _: [Limit.per_hour(10), Limit.per_minute(1)])
    monkeypatch.setattr(Window, "full_for", lambda *_: None)  # everybody sees room

    assert attempt(app, limited()) == Done()
    assert attempt(app, limited()) == Released(63, counted=False)
    monkeypatch.undo()
    store, clock = app.connections.store, app.clock
    assert Window(store, clock, "limit:imports,10/3600,", 3600).full_for(2) is None
    assert Window(store, clock, "limit:imports,10/3600,", 3600).full_for(1) is not None
    assert Window(store, clock, "limit:imports,1/60,", 60).full_for(2) is None


def test_a_job_that_fails_has_used_up_its_room(app: App) -> None:
    app.limiter("imports", lambda _: Limit.per_minute(1))

    def breaks(_: Job) -> None:
        raise ValueError

    attempt(app, layered(RateLimited("imports"), handle=breaks))

    assert isinstance(attempt(app, limited()), Released)


def test_a_job_that_a_layer_behind_keeps_from_running_does_not_count(app: App) -> None:
    app.limiter("imports", lambda _: [Limit.per_hour(1), Limit.per_minute(1)])

    def breaks(*_: object) -> None:
        raise ValueError

    for layer in (Skip.when(True), Release.when(True, after=5), breaks):  # noqa: FBT003
        attempt(app, layered(RateLimited("imports"), layer))

    assert attempt(app, limited()) == Done()
    assert isinstance(attempt(app, limited()), Released)


@pytest.mark.parametrize("seconds", [0, 5, 90.5])
def test_the_time_until_a_blocked_job_is_due_can_be_chosen(app: App, seconds: float) -> None:
    app.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, limited())

    assert attempt(app, layered(RateLimited("imports", release_after=seconds))) == Released(seconds, counted=False)


def test_a_blocked_job_may_be_skipped_instead(app: App, events: list[Event]) -> None:
    app.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, limited())

    assert attempt(app, layered(RateLimited("imports", release_after=5).dont_release())) == Skipped()
    assert [(event.by, event.delay) for event in events if isinstance(event, JobBlocked)] == [("RateLimited", None)]


def test_a_block_is_told(app: App, events: list[Event]) -> None:
    app.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, limited())
    attempt(app, limited())

    assert [(event.by, event.delay) for event in events if isinstance(event, JobBlocked)] == [("RateLimited", 63)]
    assert [type(event).__name__ for event in endings(events)] == ["JobProcessed", "JobReleased"]


@pytest.mark.parametrize(
    "answer",
    [None, Unlimited, Unlimited(), [], [None, Unlimited(), Unlimited]],
    ids=["None", "the class", "an instance", "nothing", "a list of all"],
)
def test_a_limiter_that_gives_no_limit_lets_every_job_run(app: App, answer: Any) -> None:  # noqa: ANN401 - as users may
    app.limiter("imports", lambda _: answer)

    assert [attempt(app, limited()) for _ in range(3)] == [Done()] * 3


def test_a_limiter_may_give_limits_one_by_one(app: App) -> None:
    def rule(_: Job) -> Iterator[Limit]:
        yield Limit.per_hour(5)
        yield Limit(1, 30)

    app.limiter("imports", rule)
    attempt(app, limited())

    assert attempt(app, limited()) == Released(33, counted=False)


@pytest.mark.parametrize(
    ("limit", "most", "seconds"),
    [
        (Limit.per_second(3), 3, 1),
        (Limit.per_minute(4), 4, 60),
        (Limit.per_hour(5), 5, 3_600),
        (Limit.per_day(6), 6, 86_400),
        (Limit(7, 0.5), 7, 0.5),
    ],
)
def test_limits_are_so_many_in_so_many_seconds(limit: Limit, most: int, seconds: float) -> None:
    assert (limit.max, limit.seconds, limit.key) == (most, seconds, "")


# Names.


def test_the_limiter_is_looked_up_when_the_job_runs(app: App) -> None:
    """MID-22. A payload holds the name and what was said beside it, nothing of the limiter."""
    app.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, doing(run), middleware=[RateLimited("imports")])
    app.dispatch(doing(run), middleware=[RateLimited("imports", release_after=5).dont_release()])
    (listed,) = app.connection().listed()
    stored = {"name": "imports", "release_after": 5, "releases": False}
    assert json.loads(listed.payload.body)["middleware"] == [
        {"$object": ["qcore.middleware.rate_limited:RateLimited", stored]}
    ]

    app.limiter("imports", lambda _: Limit.per_minute(2))

    assert attempt(app) == Done()


def test_a_limiter_can_be_made_for_all_apps_and_one_app_s_own_beats_it(app: App) -> None:
    qcore.limiter("imports", lambda _: Limit.per_minute(1))
    attempt(app, limited())
    assert isinstance(attempt(app, limited()), Released)

    app.limiter("imports", lambda _: None)

    assert attempt(app, limited()) == Done()


def test_a_job_with_an_unknown_limiter_says_which_are_known(app: App) -> None:
    """Bad input: a limiter that nobody made."""
    app.limiter("exports", lambda _: None)
    qcore.limiter("mails", lambda _: None)
    outcome = attempt(app, limited())

    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, ConfigError)
    assert "there is no limiter 'imports'; known here: exports, mails. Say qcore.limiter('imports'" in str(
        outcome.error
    )
    assert heard == []


@pytest.mark.parametrize("connection", ["memory", "sync"])
def test_a_dispatch_with_an_unknown_limiter_is_refused_where_this_process_runs_the_job(connection: str) -> None:
    """Bad input: nothing is pushed."""
    app = App(Config(default="memory"))
    with app.activate(), pytest.raises(ConfigError, match="there is no limiter 'imports'"):
        layered().dispatch(connection=connection, middleware=[RateLimited("imports")])

    assert app.connection().size() == 0
    assert heard == []


def test_a_dispatch_to_other_processes_takes_their_word_for_a_limiter(tmp_path: Any) -> None:  # noqa: ANN401 - pytest's
    app = App(Config(default="database", root=tmp_path))
    app.dispatch(layered(), middleware=[RateLimited("imports")])

    assert app.connection().size() == 1
    app.close()


@pytest.mark.parametrize("answer", [5, "often", [5], object()])
def test_a_limiter_that_gives_something_else_is_an_error_that_says_so(app: App, answer: Any) -> None:  # noqa: ANN401
    app.limiter("imports", lambda _: answer)
    outcome = attempt(app, limited())

    assert isinstance(outcome, Failed)
    assert "the limiter 'imports' gives a Limit, a list of them" in str(outcome.error)


async def later(_: Job) -> Limit:
    return Limit.per_minute(1)


@pytest.mark.parametrize("rule", [None, Limit.per_minute(1), Limit, later])
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_limiter_is_a_function_of_the_job(app: App, rule: Any, *, everywhere: bool) -> None:  # noqa: ANN401
    make: Callable[[str, Any], None] = qcore.limiter if everywhere else app.limiter
    with pytest.raises(ConfigError, match="the limiter 'imports' is a function of the job"):
        make("imports", rule)


@pytest.mark.parametrize(("most", "seconds"), [(0, 60), (-1, 60), (1.5, 60), (True, 60), ("1", 60)])
def test_a_limit_allows_a_whole_number_of_jobs(most: Any, seconds: float) -> None:  # noqa: ANN401 - all kinds of nonsense
    with pytest.raises(ConfigError, match="a whole number of jobs"):
        Limit(most, seconds)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "60", True, None])
def test_a_limit_lasts_some_seconds(seconds: Any) -> None:  # noqa: ANN401 - all kinds of nonsense
    with pytest.raises(ConfigError, match="a number of seconds above 0"):
        Limit(1, seconds)


@pytest.mark.parametrize("name", ["", " a", "a,b", "a\n", None, "x" * 191])
def test_what_can_be_no_name_of_a_limiter_is_refused(app: App, name: Any) -> None:  # noqa: ANN401 - nonsense
    with pytest.raises(JobDefinitionError, match="limiter name"):
        RateLimited(name)
    with pytest.raises(JobDefinitionError, match="limiter name"):
        app.limiter(name, lambda _: None)


@pytest.mark.parametrize("seconds", [-1, "5", True, float("nan")])
def test_a_release_after_no_number_of_seconds_is_refused(seconds: Any) -> None:  # noqa: ANN401 - nonsense
    with pytest.raises(JobDefinitionError, match="release_after is a number of seconds"):
        RateLimited("imports", release_after=seconds)


KEYS = ["x" * 10_000, "ü\ud800", "a\0b", "a\r\ndelete 1", "", "%s", "';DROP TABLE qcore_keys;--", "a,b", ("a", 1)]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_may_be_anything(app: App, key: object) -> None:
    app.limiter("imports", lambda job: Limit.per_minute(1).by((key, job.user_id) if job.user_id else key))

    assert [type(attempt(app, limited(user))) for user in (0, 1, 0, 1)] == [Done, Done, Released, Released]
