"""What a test writes by mistake: every assertion says what is wrong and what to write instead, negative ones too."""

from __future__ import annotations

import inspect
import re
from contextlib import nullcontext
from dataclasses import InitVar, dataclass
from datetime import datetime
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

import qtest
from qcore import Job, QcoreError, job
from qtest import ExpectationError, QueueFake, like
from qtest.drivers import PLACES, MissingDriverError, Place
from qtest.expecting import Like
from tests.qtest.signup import SendMail, Welcome, fetch, sign_up

if TYPE_CHECKING:
    from collections.abc import Callable


class Fetches(Job):
    async def handle(self) -> None:
        pass


@job
def counts(number: int) -> None:
    pass


def _inside(context: Any) -> None:  # noqa: ANN401 - whatever can be entered
    with context:
        pass


TAKING_A_JOB: dict[str, Callable[..., object]] = {
    "pushed": lambda fake, job, /, **terms: fake.pushed(job, **terms),
    "pushes": lambda fake, job, /, **terms: _inside(fake.pushes(job, **terms)),
    "no_pushes": lambda fake, job, /, **terms: _inside(fake.no_pushes(job, **terms)),
    "assert_pushed": lambda fake, job, /, **terms: fake.assert_pushed(job, **terms),
    "assert_pushed_once": lambda fake, job, /, **terms: fake.assert_pushed_once(job, **terms),
    "assert_pushed_times": lambda fake, job, /, **terms: fake.assert_pushed_times(job, 0, **terms),
    "assert_pushed_on": lambda fake, job, /, **terms: fake.assert_pushed_on("mail", job, **terms),
    "assert_not_pushed": lambda fake, job, /, **terms: fake.assert_not_pushed(job, **terms),
    "assert_pushed_in_order": lambda fake, job, /: fake.assert_pushed_in_order(Welcome, job),
    "assert_pushed_exactly": lambda fake, job, /: fake.assert_pushed_exactly(Welcome, SendMail, job),
    "assert_delayed": lambda fake, job, /, **terms: fake.assert_delayed(job, by=60, **terms),
    "assert_immediate": lambda fake, job, /, **terms: fake.assert_immediate(job, **terms),
    "assert_chained": lambda fake, job, /, **terms: fake.assert_chained([job, Welcome], **terms),
    "assert_chained (a link)": lambda fake, job, /: fake.assert_chained([Welcome, job], times=0),
    "assert_chained (a batch in it)": lambda fake, job, /: fake.assert_chained([Welcome, [job]], times=0),
    "assert_pushed_with_chain": lambda fake, job, /, **terms: fake.assert_pushed_with_chain(job, [Welcome], **terms),
    "assert_pushed_with_chain (a link)": lambda fake, job, /: fake.assert_pushed_with_chain(Welcome, [job], times=0),
    "assert_pushed_without_chain": lambda fake, job, /, **terms: fake.assert_pushed_without_chain(job, **terms),
    "assert_not_chained": lambda fake, job, /: fake.assert_not_chained(job),
    "assert_batched": lambda fake, job, /: fake.assert_batched([Welcome, job], times=0),
    "assert_batched (a chain in it)": lambda fake, job, /: fake.assert_batched([[Welcome, job]], times=0),
    "assert_dispatched_sync": lambda fake, job, /, **terms: fake.assert_dispatched_sync(job, times=0, **terms),
    "assert_dispatched_after_response": lambda fake, job, /, **terms: fake.assert_dispatched_after_response(
        job, times=0, **terms
    ),
    "assert_dispatched_after_commit": lambda fake, job, /, **terms: fake.assert_dispatched_after_commit(
        job, times=0, **terms
    ),
    "assert_held": lambda fake, job, /, **terms: fake.assert_held(job, times=0, **terms),
    "assert_discarded": lambda fake, job, /, **terms: fake.assert_discarded(job, times=0, **terms),
    "assert_processed": lambda fake, job, /, **terms: fake.assert_processed(job, times=0, **terms),
    "assert_failed": lambda fake, job, /, **terms: fake.assert_failed(job, times=0, **terms),
    "assert_not_failed": lambda fake, job, /, **terms: fake.assert_not_failed(job, **terms),
    "assert_released": lambda fake, job, /, **terms: fake.assert_released(job, times=0, **terms),
    "assert_retried": lambda fake, job, /, **terms: fake.assert_retried(job, times=0, **terms),
    "assert_attempts": lambda fake, job, /, **terms: fake.assert_attempts(job, 0, **terms),
    "assert_deleted": lambda fake, job, /, **terms: fake.assert_deleted(job, times=0, **terms),
    "assert_timed_out": lambda fake, job, /, **terms: fake.assert_timed_out(job, times=0, **terms),
    "assert_skipped": lambda fake, job, /, **terms: fake.assert_skipped(job, times=0, **terms),
}
TAKING_TERMS = [name for name, call in TAKING_A_JOB.items() if "terms" in inspect.signature(call).parameters]
TAKING_NO_JOB = {
    "assert_nothing_pushed",
    "assert_count",
    "assert_closure_pushed",
    "assert_closure_not_pushed",
    "assert_batch_count",
    "assert_nothing_batched",
    "assert_empty",
    "assert_no_locks",
    "assert_events",
}

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "an unknown name": (lambda: "SendMial", r"no job named 'SendMial'.* \(did you mean .*SendMail"),
    "a misspelt field": (lambda: Like(SendMail, {"user": 7}), r"SendMail has no field user \(did you mean user_id\?\)"),
    "a misspelt parameter": (lambda: Like(counts.job_class, {"numbr": 7}), r"no field numbr \(did you mean number\?\)"),
    "a coroutine of a function": (
        lambda: fetch("https://example.org"),
        r"a coroutine: fetch\(\) was called; name the job itself: fetch, or one call of it, fetch\.job\(\.\.\.\)",
    ),
    "a coroutine of a method": (
        lambda: Fetches().handle(),
        r"a coroutine: Fetches\.handle\(\) was called; name the job itself: Fetches\(\.\.\.\)",
    ),
    "a function without @job": (lambda: sign_up, "put @job over the function, or say assert_closure_pushed"),
    "a class that is no job": (lambda: dict, "it does not derive from qcore.Job"),
    "what handle() gives": (lambda: Welcome(1).handle(), "name the job"),
}

WRONG_TERMS: dict[str, tuple[dict[str, Any], str]] = {
    "a misspelt option": ({"quue": "mail"}, r"quue is nothing that a push has \(did you mean queue\?\); there are"),
    "an unknown connection": (
        {"connection": "databse"},
        r"there is no connection 'databse' \(did you mean database\?\)",
    ),
    "a queue that is no name": ({"queue": 7}, "queue is the name of one, got 7"),
    "an async callback": ({"where": fetch.job_class.function}, "the callback is async, and nobody awaits it"),
    "no callback": ({"where": "mail"}, "the callback is a function that says True or False, got 'mail'"),
    "a naive instant": ({"at": datetime(2030, 1, 1)}, "at: .* has no time zone"),  # noqa: DTZ001
    "an instant as text": ({"at": "2030-01-01"}, "at is an aware datetime, or seconds since 1970, got '2030-01-01'"),
    "a word for exact": ({"exact": "yes"}, "exact is True or False, got 'yes'"),
}


def test_every_assertion_is_looked_at_here() -> None:
    assertions = {name for name in dir(QueueFake) if name.startswith("assert_")} | {"pushed", "pushes", "no_pushes"}

    assert assertions == {name.partition(" ")[0] for name in TAKING_A_JOB} | TAKING_NO_JOB


def _refused(name: str, fake: QueueFake, wanted: object, **terms: Any) -> str:
    """Give what is said against it; nothing when it is taken for right."""
    try:
        TAKING_A_JOB[name](fake, wanted, **terms)
    except ExpectationError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", TAKING_A_JOB)
@pytest.mark.parametrize("pushed", [False, True], ids=["nothing pushed", "others pushed"])
def test_a_job_that_cannot_be_meant_is_refused(name: str, pushed: bool, queue_fake: QueueFake) -> None:  # noqa: FBT001
    if pushed:
        sign_up(1)
        counts.dispatch(1)
    mistakes = dict(MISTAKES)
    if name in {"pushed", "assert_not_failed"}:
        del mistakes["what handle() gives"]  # None means any job there
    said = {each: _refused(name, queue_fake, make()) for each, (make, _) in mistakes.items()}

    assert [each for each, (_, says) in mistakes.items() if not re.search(says, said[each])] == [], said


@pytest.mark.parametrize("name", TAKING_TERMS)
def test_an_option_that_cannot_be_meant_is_refused(name: str, queue_fake: QueueFake) -> None:
    taken = {"assert_pushed_on": "queue", "assert_delayed": "at", "assert_immediate": "at"}.get(name)
    mistakes = {each: its for each, its in WRONG_TERMS.items() if taken not in its[0]}
    said = {each: _refused(name, queue_fake, SendMail, **its) for each, (its, _) in mistakes.items()}

    assert [each for each, (_, says) in mistakes.items() if not re.search(says, said[each])] == [], said


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda queue: queue.assert_pushed(SendMail, delay="60"), "delay is a number of seconds, .* got '60'"),
        (lambda queue: queue.assert_delayed(SendMail, delay=60), "said by= and until="),
        (lambda queue: queue.assert_immediate(SendMail, delay=60), "needs neither delay= nor at="),
        (lambda queue: queue.assert_pushed(SendMail, delay=True), "delay is a number of seconds, .* got True"),
        (lambda queue: queue.assert_pushed(SendMail, bool, where=bool), "the same thing: give one of them"),
        (lambda queue: queue.assert_not_pushed(SendMail, "mail"), "options such as queue= are said by their names"),
        (lambda queue: queue.assert_count(0, connection="databse"), "did you mean database"),
        (lambda queue: queue.assert_count(0, quue="mail"), "did you mean queue"),
        (lambda queue: queue.assert_count("0"), "times is a whole number"),
        (lambda queue: queue.assert_closure_not_pushed(quue="mail"), "did you mean queue"),
        (lambda queue: queue.assert_closure_not_pushed(fetch.job_class.function), "the callback is async"),
        (lambda queue: queue.assert_batched(fetch.job_class.function), "the callback is async"),
        (lambda queue: queue.assert_batched(where=fetch.job_class.function, times=0), "the callback is async"),
        (lambda queue: queue.assert_batched(where="mail", times=0), "the callback is a function"),
        (lambda queue: queue.assert_batched(fetch, times=0), "expected a list of jobs for the batch"),
        (lambda queue: queue.assert_batched("mail", times=0), "expected a list of jobs for the batch, got 'mail'"),
        (lambda queue: queue.assert_batched(connection="databse", times=0), "did you mean database"),
        (lambda queue: queue.assert_batch_count(-1), "times is a whole number"),
        (lambda queue: queue.assert_chained([]), "a chain has links"),
        (lambda queue: queue.assert_pushed_in_order(), "name the jobs whose order it is"),
        (lambda queue: queue.assert_discarded(SendMail, reason="lock"), 'reason is "unique" or "rollback", got'),
        (lambda queue: queue.assert_events(), "name the events"),
        (lambda queue: queue.assert_events("puhsed"), "puhsed is no event"),
        (lambda queue: queue.run_until(fetch.job_class.function), "the callback is async"),
        (lambda queue: queue.run_until(True), "the callback is a function"),  # noqa: FBT003
        (lambda queue: queue.perform(Fetches().handle()), r"got a coroutine: Fetches\.handle\(\) was called"),
        (lambda queue: queue.perform(SendMail), r"got <class .*SendMail'>: make an instance"),
        (lambda _: like(SendMail, usr_id=1), r"SendMail has no field usr_id \(did you mean user_id\?\)"),
        (lambda _: like("SendMial"), "did you mean"),
        (lambda _: like(fetch("x")), r"fetch\(\) was called"),
    ],
)
def test_what_else_can_be_mistaken_is_refused(
    call: Callable[[QueueFake], object], says: str, queue_fake: QueueFake
) -> None:
    with pytest.raises(QcoreError, match=says):
        call(queue_fake)


def test_interactions_of_a_coroutine_say_what_to_write() -> None:
    with pytest.raises(QcoreError, match=r"got a coroutine: Fetches\.handle\(\) was called"):
        _inside(qtest.interactions(Fetches().handle()))


def test_the_arguments_of_assert_pushed_on_in_the_wrong_order_are_told() -> None:
    with qtest.fake() as queue, pytest.raises(ExpectationError, match=r"write assert_pushed_on\('mail', job\)"):
        queue.assert_pushed_on(Welcome, "mail")


@pytest.mark.parametrize(
    ("context", "write"),
    [
        (qtest.fake(), r"with qtest\.fake\(\) as queue:"),
        (qtest.interactions(Welcome(1)), r"with qtest\.inter.* as it:"),
    ],
)
def test_a_context_that_was_not_entered_says_what_to_write(context: Any, write: str) -> None:  # noqa: ANN401
    with pytest.raises(AttributeError, match=f"there is no assert_pushed before the block is entered: write `{write}`"):
        context.assert_pushed(Welcome)


def test_a_fake_may_stand_over_a_function() -> None:
    @qtest.fake()
    def buys() -> None:
        Welcome(1).dispatch()
        with pytest.raises(QcoreError, match="a fake queue is active already"):
            _inside(qtest.fake())

    buys()
    buys()


def test_a_callback_that_gives_a_coroutine_is_refused(queue_fake: QueueFake) -> None:
    async def check(*_: object) -> bool:
        return False

    Welcome(1).dispatch()
    with pytest.raises(ExpectationError, match="the callback is async"):
        queue_fake.assert_pushed(Welcome, lambda each: check(each, "more"))


def test_a_driver_that_is_not_there_names_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLACES, "away", Place(None))
    with pytest.raises(QcoreError, match="there is no driver 'rabbit' for tests; there are memory, sqlite"):
        QueueFake(driver="rabbit")
    with pytest.raises(MissingDriverError, match="run the tests on memory, sqlite"):
        QueueFake(driver="away")


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        (
            "driver='sqlite'",
            "*driver (did you mean drivers?) is nothing that it takes; there are drivers=*",
        ),
        ("fake='Ship'", "*fake= takes a list of jobs, such as fake=[[]MyJob[]], got 'Ship'*"),
        ("fake=['Shpi']", "*no job named 'Shpi'*did you mean*"),
        ("passthrough=[7]", "*expected a job class, a job, a job function*got 7*"),
        ("drivers=['rabbit']", "*there is no driver 'rabbit' for tests; there are memory*"),
        ("drivers=[]", "*drivers is empty*"),
        ("clock='tomorrow'", "*tomorrow*"),
        ("leftovers='maybe'", "*leftovers is one of fail, warn, ignore, got 'maybe'*"),
    ],
)
def test_a_marker_that_cannot_be_meant_is_told_on_one_line(outer: pytest.Pytester, marker: str, says: str) -> None:
    outer.makepyfile(f"""
        import pytest
        from shop import Ship
        @pytest.mark.queue({marker})
        def test_x(queue_fake):
            pass
    """)

    result = outer.runpytest_inprocess()

    assert result.parseoutcomes().get("passed", 0) == 0
    told = [*result.outlines, *result.errlines]
    assert any(fnmatch(line, says) for line in told), told
    assert not any("Traceback" in line for line in told)


async def _holds() -> bool:
    return True


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda fake: fake.assert_pushed_on(None, Welcome), "queue is what this assertion is about, got None"),
        (lambda fake: fake.assert_pushed_times(Welcome, None), "times is what this assertion is about, got None"),
        (lambda fake: fake.assert_count(None), "times is what this assertion is about, got None"),
        (lambda fake: fake.run_due(max_jobs=0), "max_jobs is a whole number above 0, got 0"),
        (lambda fake: fake.run_until_idle(max_jobs=True), "max_jobs is a whole number above 0, got True"),
        (lambda fake: fake.run_until(lambda: True, max_jobs=0.5), "max_jobs is a whole number above 0, got 0.5"),
    ],
)
def test_none_and_nothing_never_mean_that_anything_will_do(
    call: Callable[[QueueFake], object], says: str, queue_fake: QueueFake
) -> None:
    sign_up(1)

    with pytest.raises(ExpectationError, match=re.escape(says)):
        call(queue_fake)


def test_a_predicate_that_gives_a_coroutine_is_refused_before_anything_runs(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()

    with pytest.raises(ExpectationError, match="the callback is async, and nobody awaits it"):
        queue_fake.run_until(lambda: _holds())  # noqa: PLW0108 - a plain function that gives a coroutine
    queue_fake.assert_processed(Welcome, times=0)


class Settings:
    total = 0
    kind = ""


@dataclass
class Counts(Job):
    kind: ClassVar[str] = "mail"
    start: InitVar[int] = 1
    number: int = 1

    def __post_init__(self, start: int) -> None:
        me: Any = self
        me.begun = start
        self.by_two, self.by_three = start * 2, start * 3

    @classmethod
    def made(cls) -> Counts:
        job: Any = cls()
        job.made_by = "made"
        return cast("Counts", job)

    def copied(self) -> Counts:
        other: Any = type(self)(2)
        other.copied_from = self.number
        return cast("Counts", other)

    def counted(self) -> None:
        for self.last in range(3):
            self.by_two += 1
        with nullcontext(1) as self.entered:
            self.again = [lambda: self.last]

    def handle(self) -> None:
        other = Settings()
        other.total = 3
        other.total += 3
        Settings.kind = "x"
        cast("Any", self).inner.deep = 1


@pytest.mark.parametrize("name", ["kind", "start", "total", "deep"])
def test_what_a_job_stores_elsewhere_is_no_field_of_it(name: str, queue_fake: QueueFake) -> None:
    Counts().dispatch()

    with pytest.raises(ExpectationError, match=f"Counts has no field {name}"):
        queue_fake.assert_not_pushed(like(Counts, **{name: 3}))


@pytest.mark.parametrize(
    "name", ["number", "begun", "by_two", "by_three", "made_by", "copied_from", "last", "entered", "again"]
)
def test_what_a_job_stores_on_itself_by_any_name_is_a_field_of_it(name: str, queue_fake: QueueFake) -> None:
    queue_fake.assert_not_pushed(like(Counts, **{name: 3}))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda fake: fake.assert_released(Welcome, delay="30", times=0), "delay is a number of seconds"),
        (lambda fake: fake.assert_failed(Welcome, error="ValueError", times=0), "error is the class of an exception"),
        (lambda fake: fake.assert_failed(Welcome, match=7, times=0), "match is a text"),
        (lambda fake: fake.assert_failed(Welcome, match="(", times=0), "match is no regular expression"),
        (lambda fake: fake.assert_retried(Welcome, delays=["1"], times=0), "delay is a number of seconds"),
        (lambda fake: fake.assert_retried(Welcome, delays="15", times=0), "delays is a list of seconds, got '15'"),
        (lambda fake: fake.assert_retried(Welcome, delays=1, times=0), "delays is a list of seconds, got 1"),
        (lambda fake: fake.assert_attempts(Welcome, True), "count is a whole number of attempts, got True"),  # noqa: FBT003
    ],
)
def test_what_cannot_be_met_is_told_also_when_no_job_is_there(
    call: Callable[[QueueFake], object], says: str, queue_fake: QueueFake
) -> None:
    with pytest.raises(ExpectationError, match=re.escape(says)):
        call(queue_fake)


def test_a_job_that_never_ran_was_not_run_without_a_retry(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    with pytest.raises(AssertionError, match="expected run"):
        queue_fake.assert_retried(Welcome, delays=[])

    queue_fake.run_due()
    queue_fake.assert_retried(Welcome, delays=[])
