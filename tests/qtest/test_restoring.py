"""What a test leaves behind does not reach the next one, also when it raised."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Config, Job, QcoreError, current
from qcore.events import Event
from tests.qtest.signup import Only, Welcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.qtest.conftest import Run

LEAKING = """
    import datetime, os, signal, sys, time
    import pytest
    from qcore import App, Config, current
    from qcore.events import Event
    from shop import Once, Ship
    app = App(Config(default="memory"))
    heard = []

    @pytest.fixture(scope="session")
    def queue_app():
        return app

    def state():
        api = sys.modules.get("freezegun.api")
        return (
            current.overridden(), current.active.get(), current.configured(),
            {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
            app.said(), app.events.wants(Event), time.sleep.__name__, datetime.datetime.__name__,
            api.freeze_factories if api else [], signal.getsignal(signal.SIGALRM), len(sys.path),
        )

    BEFORE = state()

    @pytest.mark.parametrize("ending", ["returns", "raises", "fails", "skips", "exits"])
    def test_leaks(queue_fake, queue_clock, queue_worker, ending):
        assert not heard
        app.listen(Event, heard.append)
        app.middleware.append(lambda job, call_next: call_next(job))
        app.before_push(lambda *_: None)
        app.route(Ship, queue="elsewhere")
        app.provide(int, lambda: 3)
        os.environ["QCORE_WORKER_TRIES"] = "7"
        os.environ["QUEUE_CONNECTION"] = "memory"
        current.set_configured(App(Config(default="null")))
        current.active.set(app)
        current.active.set(None)
        assert Once().dispatch() is not None
        queue_clock.advance(60)
        queue_worker.work_once()
        Once().dispatch()
        if ending == "raises":
            raise KeyError
        if ending == "fails":
            queue_fake.assert_pushed(Ship)
        if ending == "skips":
            pytest.skip("left early")
        if ending == "exits":
            raise SystemExit

    @pytest.mark.parametrize("number", range(3))
    def test_is_clean(number):
        assert state() == BEFORE

    def test_new_locks(queue_fake):
        queue_fake.assert_no_locks()
        assert Once().dispatch() is not None
"""


@pytest.mark.parametrize("arguments", [("",), ("xdist", "-n", "2"), ("randomly",)])
def test_nothing_reaches_the_next_test(project: pytest.Pytester, run: Run, arguments: tuple[str, ...]) -> None:
    project.makepyfile(test_leaking=LEAKING)

    run(*arguments, passed=5, failed=3, skipped=1)


def test_a_failed_job_is_a_failure_of_the_call_in_other_processes_too(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(
        test_unseen="""
        import pytest
        from shop import Explode, Ship
        def test_unseen(queue_fake):
            Explode().dispatch()
            queue_fake.run_next_job()
        def test_left(queue_fake):
            Ship().dispatch()
        @pytest.fixture
        def late(queue_fake):
            yield
            Explode().dispatch()
        def test_that_tears_down_late(late):
            pass
        """
    )

    result = run("xdist", "-n", "2", "-o", "qtest_leftovers=fail", failed=2, passed=1)
    assert "ERROR" not in result.stdout.str()


ADDS: dict[str, Callable[[App], object]] = {
    "a listener": lambda app: app.listen(Event, print),
    "a middleware": lambda app: app.middleware.append(lambda job, call_next: call_next(job)),
    "a hook": lambda app: app.before_push(lambda *_: None),
    "a route": lambda app: app.route(Welcome, queue="slow"),
    "a factory": lambda app: app.provide(int, lambda: 3),
    "a handler": lambda app: app.map({Welcome: Handler}),
    "a limiter": lambda app: app.limiter("mail", lambda _: None),
    "a source": lambda app: app.transactions(lambda: None),
}


class Handler:
    def handle(self, job: Job) -> None:
        pass


@pytest.mark.parametrize("what", ADDS)
def test_what_was_said_to_the_app_in_a_fake_is_taken_back(what: str) -> None:
    app = App(Config(default="memory"))
    before = [each.copy() for each in app.said()], app.events.wants(Event)

    def raises() -> None:
        with qtest.fake(app):
            ADDS[what](app)
            assert before != (app.said(), app.events.wants(Event))
            raise KeyError

    with pytest.raises(KeyError):
        raises()
    assert before == (app.said(), app.events.wants(Event))


@pytest.mark.parametrize("what", ADDS)
def test_what_was_said_before_stays_and_holds_in_the_fake(what: str) -> None:
    app = App(Config(default="memory"))
    ADDS[what](app)
    before = [each.copy() for each in app.said()], app.events.wants(Event)

    with qtest.fake(app) as queue:
        assert [len(each) for each in before[0]] == [len(each) for each in queue.app.said()]
        for each in app.said():
            each.clear()

    assert before == (app.said(), app.events.wants(Event))


def test_a_listener_that_was_ended_in_a_fake_is_ended_once() -> None:
    app = App(Config(default="memory"))
    end = app.listen(Event, print)

    with qtest.fake(app):
        end()

    assert app.events.wants(Event)
    end()


def test_an_app_that_a_fake_found_active_is_active_again() -> None:
    app, other = App(Config(default="memory")), App(Config(default="memory"))
    with app.activate():
        with qtest.fake():
            current.active.set(other)
            with pytest.raises(QcoreError, match="would reach a real connection"):
                Only("a").dispatch()
        assert app is current.active.get()
    with qtest.fake():
        current.active.set(other)
    assert current.active.get() is None


def test_variables_that_configure_the_queue_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCORE_DEFAULT", "memory")

    with qtest.fake():
        os.environ["QCORE_DEFAULT"] = "null"
        os.environ["QCORE_STORE"] = "memory"
        os.environ["SHOP_MODE"] = "test"

    assert ("memory", None, "test") == tuple(map(os.environ.get, ("QCORE_DEFAULT", "QCORE_STORE", "SHOP_MODE")))
    monkeypatch.delenv("SHOP_MODE")
