"""Traps of other test kits: what must fail fails, and says why."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest

import qtest
from qcore import App, Config, Job, QcoreError, batch, chain, current, job
from qcore.events import Event, JobPopping, Looping, WorkerIdle
from qtest import ExpectationError, Livelock, QueueFake, at_least, between, like
from qtest.drained import NothingToRunError
from qtest.words import word_of
from tests.qtest.signup import Audit, Broken, Only, SendMail, Welcome, fetch, notify, plain, ran, sign_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Dynamic(Job):
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)

    def handle(self) -> None:
        pass


def test_no_hidden_tolerance_of_time(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch(delay=60)

    for wrong in (59, 59.999, 60.001, 61):
        with pytest.raises(AssertionError):
            queue_fake.assert_delayed(Welcome, by=wrong)
    with pytest.raises(AssertionError):
        queue_fake.assert_pushed(Welcome, at=queue_fake.clock.now() + 60.001)

    queue_fake.assert_pushed(Welcome, delay=pytest.approx(59.5, abs=1))


def test_importing_the_kit_changes_no_state_of_the_process() -> None:
    code = (
        "import sys, time, signal; before = (time.sleep, signal.getsignal(signal.SIGALRM), len(sys.path));"
        "import qtest, qtest.plugin; from qcore import current;"
        "assert before == (time.sleep, signal.getsignal(signal.SIGALRM), len(sys.path));"
        "assert current.overridden() is None and current.configured() is None; assert 'freezegun' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})


def test_the_fake_reaches_other_threads(queue_fake: QueueFake) -> None:
    thread = threading.Thread(target=sign_up, args=(1,))
    thread.start()
    thread.join()

    queue_fake.assert_pushed(Welcome(1))


def test_a_push_that_reaches_a_real_connection_is_refused(tmp_path: Path, queue_fake: QueueFake) -> None:
    real = App(Config(root=tmp_path))

    with pytest.raises(QcoreError, match="would reach a real connection"):
        real.dispatch(Welcome(1))
    assert not (tmp_path / ".qcore").exists()


def test_an_app_that_is_active_around_a_fake_is_replaced_by_it() -> None:
    app = App(Config(default="memory"))
    with app.activate():
        with qtest.fake() as queue:
            Welcome(1).dispatch()
            queue.assert_pushed(Welcome)
        assert current.app() is app
    assert app.connection().size() == 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda queue: queue.assert_not_pushed(like(SendMail, user=7)), "SendMail has no field user .*user_id"),
        (lambda queue: queue.assert_not_pushed("SendMial"), "did you mean"),
        (lambda queue: queue.assert_not_pushed(like(notify, user=7)), "notify has no field user"),
        (lambda queue: queue.assert_not_pushed(SendMail, quue="mail"), "quue is nothing that a push has"),
        (lambda queue: queue.assert_not_pushed(like(Dynamic, nme=1)), "Dynamic has no field nme; those pushed"),
        (lambda queue: queue.assert_not_pushed(str), "does not derive from qcore.Job"),
        (lambda queue: queue.assert_not_pushed(sign_up), "put @job over the function"),
        (lambda queue: queue.assert_not_pushed(SendMail(1).dispatch()), "no job named"),
        (lambda queue: queue.assert_not_chained("SendMial"), "did you mean"),
        (lambda queue: queue.assert_pushed(SendMail, times=-1), "times is a whole number"),
        (lambda queue: queue.assert_pushed(SendMail, times=between(3, 2)), "begins with the smaller"),
        (lambda queue: queue.assert_events("puhsed"), "puhsed is no event"),
        (lambda queue: queue.assert_failed(Broken, error="boom"), "error is the class of an exception"),
        (lambda queue: queue.assert_not_failed(like(Broken, nam="x")), "Broken has no field nam"),
        (lambda queue: queue.pushed(quue="x"), "quue is nothing"),
        (lambda queue: queue.assert_batched([Audit, "Audti"]), "did you mean|no job named"),
    ],
)
def test_an_assertion_with_a_typing_error_is_refused(
    call: Callable[[QueueFake], object], says: str, queue_fake: QueueFake
) -> None:
    Dynamic(name="x").dispatch()
    Broken().dispatch()
    queue_fake.run_next_job()
    queue_fake.run_due(raises=False)
    queue_fake.failed()

    with pytest.raises(ExpectationError, match=says):
        call(queue_fake)


def test_a_coroutine_passed_by_mistake_says_what_to_write(queue_fake: QueueFake) -> None:
    with pytest.raises(ExpectationError, match=r"fetch\(\) was called; name the job itself: fetch, or .* fetch\.job"):
        queue_fake.assert_pushed(fetch("https://example.org"))


def test_an_async_callback_is_refused(queue_fake: QueueFake) -> None:
    async def check(_: object) -> bool:
        return False

    Welcome(1).dispatch()
    with pytest.raises(ExpectationError, match="the callback is async"):
        queue_fake.assert_pushed(Welcome, check)


def test_an_empty_drain_is_not_green(queue_fake: QueueFake) -> None:
    with pytest.raises(NothingToRunError, match="nothing was pushed"):
        queue_fake.run_due()
    with pytest.raises(NothingToRunError):
        queue_fake.run_until_idle()

    assert not queue_fake.run_due(allow_empty=True)
    Welcome(1).dispatch(delay=60)
    assert not queue_fake.run_due()


def test_jobs_due_at_one_instant_run_in_the_order_of_their_pushes_whatever_their_queue(queue_fake: QueueFake) -> None:
    Audit("1").dispatch(delay=60)
    Welcome(2).dispatch(delay=60)
    Audit("3").dispatch(delay=60)
    Welcome(4).dispatch(delay=60, connection="sync")
    Welcome(0).dispatch(delay=30)

    queue_fake.run_until_idle()

    assert ran == [("welcome", 0), ("audit", "1"), ("welcome", 2), ("audit", "3"), ("welcome", 4)]


def test_time_travel_is_not_in_the_order_of_insertion(queue_fake: QueueFake) -> None:
    seen: list[tuple[object, float]] = []

    def note(job: Welcome, call_next: Callable[[Any], object]) -> object:
        seen.append((job.user_id, queue_fake.clock.now()))
        return call_next(job)

    queue_fake.app.middleware.append(note)
    start = queue_fake.clock.now()
    for number, delay in enumerate((30, 10, 20)):
        Welcome(number).dispatch(delay=delay)

    queue_fake.run_until_idle()

    assert seen == [(1, start + 10), (2, start + 20), (0, start + 30)]


def test_uniqueness_holds_in_tests(queue_fake: QueueFake) -> None:
    Only("a").dispatch()
    Only("a").dispatch()

    queue_fake.assert_pushed_once(Only)
    queue_fake.run_due()
    queue_fake.assert_no_locks()
    assert Only("a").dispatch() is not None


@pytest.mark.parametrize("call", ["pushes(Ship)", "no_pushes()", "job_fails(ValueError)", "transaction()"])
def test_a_context_without_its_with_is_not_green(outer: pytest.Pytester, call: str) -> None:
    """It would look at nothing."""
    outer.makepyfile(f"""
        import pytest
        import qtest
        from shop import Ship
        def test_a_fixture(queue_fake):
            queue_fake.{call}
        def test_a_block():
            with pytest.raises(AssertionError, match="with queue"), qtest.fake() as queue:
                queue.{call}
    """)

    result = outer.runpytest_inprocess()

    result.assert_outcomes(failed=1, passed=1)
    name = call.partition("(")[0]
    result.stdout.fnmatch_lines([f"*{name}() looks at what happens in its block: write `with queue.{name}(...):`*"])


class Snoozes(Job, tries=0):
    def handle(self) -> None:
        self.release(30)


def test_a_snooze_without_a_limit_is_ended_and_named(queue_fake: QueueFake) -> None:
    Snoozes().dispatch()

    with pytest.raises(Livelock, match="Snoozes ran 1000 times, every 30 s"):
        queue_fake.run_until_idle()


@pytest.mark.parametrize(
    "dispatch_it",
    [
        lambda: Welcome(1).dispatch(),
        lambda: Broken().dispatch(),
        lambda: chain(Welcome(1), SendMail(1).with_options(queue="default")).dispatch(),
        lambda: batch([Welcome(1), Audit("a").with_options(queue="default")]).then(plain.job("x")).dispatch(),
    ],
)
def test_the_fake_has_no_semantics_of_its_own(dispatch_it: Callable[[], object]) -> None:
    """The same events as with a worker of the App itself."""
    app, told = App(Config(default="memory")), list[str]()
    app.listen(Event, lambda event: told.append(word_of(type(event))))
    with app.activate():
        dispatch_it()
        while app.worker().run_next_job() is not None:
            pass

    with qtest.fake() as queue:
        dispatch_it()
        queue.run_due(raises=False)
        faked = [word_of(type(each.event)) for each in queue.timeline()]

    idle = {word_of(each) for each in (JobPopping, Looping, WorkerIdle)}
    assert [word for word in told if word not in idle] == faked


def test_fakes_on_files_share_nothing() -> None:
    """Also not those of two processes, as under xdist."""
    places = []
    for _ in range(2):
        with qtest.fake(driver="sqlite") as queue:
            Welcome(1).dispatch()
            queue.assert_count(1)
            places.append(queue.app.config.connections["database"]["url"])

    assert len(set(places)) == 2


def test_a_second_fake_inside_a_fake_is_refused(queue_fake: QueueFake) -> None:
    with pytest.raises(QcoreError, match="a fake queue is active already"), qtest.fake():
        pass
    assert current.overridden() is queue_fake.app


def test_everything_is_restored_after_a_test_that_raised() -> None:
    class BoomError(Exception):
        pass

    app = App(Config(default="memory"))

    def in_a_fake() -> None:
        with qtest.fake(app) as queue:
            Only("a").dispatch()
            queue.app.listen(Event, print)
            raise BoomError

    with pytest.raises(BoomError):
        in_a_fake()

    assert current.overridden() is None
    assert app.connections.store.get("unique") is None
    assert app.events._listeners == {}
    with qtest.fake(app):
        assert Only("a").dispatch() is not None


def test_no_random_ids_in_messages(queue_fake: QueueFake) -> None:
    job_id = Welcome(1).dispatch()
    chain(Welcome(1), SendMail(1)).dispatch()

    with pytest.raises(AssertionError) as caught:
        queue_fake.assert_pushed(Welcome(2))

    assert str(job_id) not in str(caught.value)


def test_a_failed_assertion_of_a_queue_that_is_let_through_is_refused(queue_fake: QueueFake) -> None:
    with pytest.raises(QcoreError, match=r"fake= takes a list"):
        QueueFake(fake=Welcome)  # type: ignore[arg-type]


def test_two_values_that_compare_to_everything_are_allowed(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    Welcome(2).dispatch()

    queue_fake.assert_pushed(Welcome(ANY), times=2)
    queue_fake.assert_pushed(Welcome(pytest.approx(2.0)), times=1)  # type: ignore[arg-type]
    queue_fake.assert_pushed(Welcome, times=at_least(2))


@job
def local(value: object = None) -> None:
    ran.append(value)


def test_a_default_of_a_job_function_counts_as_said(queue_fake: QueueFake) -> None:
    notify.dispatch(1)

    queue_fake.assert_pushed(notify.job(1, language="en"))
    queue_fake.assert_not_pushed(notify.job(1, language="de"))
    queue_fake.assert_not_pushed(local)


def test_a_name_is_an_assertion_or_a_block_and_never_both(queue_fake: QueueFake) -> None:
    with queue_fake.pushes(Welcome), queue_fake.transaction():
        sign_up(1)
    with queue_fake.no_pushes():
        pass
    looked: list[object] = [
        queue_fake.pushed(Welcome),
        queue_fake.assert_pushed(Welcome),
        queue_fake.assert_count(2),
        queue_fake.run_due(),
        queue_fake.assert_processed(Welcome),
        queue_fake.failed(),
    ]

    assert [] == [each for each in looked if hasattr(each, "__enter__")]
    with pytest.raises((TypeError, AttributeError)), queue_fake.assert_pushed(Welcome):  # type: ignore[attr-defined]
        pass
