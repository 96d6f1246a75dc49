"""The plugin: fixtures, marker, settings, and what a test must not leave behind."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from qtest.drivers import PLACES, Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def outcomes(outer: pytest.Pytester, *arguments: str, **expected: int) -> pytest.RunResult:
    result = outer.runpytest_inprocess(*arguments)
    result.assert_outcomes(**expected)
    return result


def test_one_fixture_is_enough(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Ship
        def test_x(queue_fake):
            Ship().dispatch()
            queue_fake.assert_pushed(Ship(1))
            assert queue_fake.run_due().succeeded == 1
    """)
    outcomes(outer, passed=1)


def test_a_failure_shows_the_message_and_no_frames_of_the_kit(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Ship
        def test_x(queue_fake):
            Ship(2).dispatch()
            queue_fake.assert_pushed(Ship(3))
    """)
    result = outcomes(outer, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*no job matched  Ship(order=3)",
            "E*nearest: #1 Ship, pushed at +0s from",
            "E*test_a_failure_*.py:3",
            "E*order   expected 3   got 2",
        ]
    )
    result.stdout.no_fnmatch_line("*looking.py*")


def test_verbose_shows_everything(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Ship
        def test_x(queue_fake):
            Ship("x" * 300).dispatch()
            queue_fake.assert_pushed(Ship(3))
    """)
    outer.runpytest_inprocess("-vv").stdout.fnmatch_lines(["*" + "x" * 300 + "*"])
    outer.runpytest_inprocess().stdout.no_fnmatch_line("*got *" + "x" * 300 + "*")


def test_a_job_that_failed_unseen_fails_the_test_in_its_own_phase(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Explode
        def test_x(queue_fake):
            Explode().dispatch()
            queue_fake.run_next_job()
        def test_y(queue_fake):
            queue_fake.perform(Explode())
    """)
    result = outcomes(outer, failed=2)
    result.stdout.fnmatch_lines(
        ["*a job failed, and the test never looked at it*", "*say queue.assert_failed(Explode)*"]
    )


@pytest.mark.parametrize(
    "look",
    [
        "queue_fake.assert_failed(Explode)",
        "queue_fake.failed()",
        "queue_fake.assert_pushed(Explode)",
        "assert len(queue_fake.failed()) == 1",
    ],
)
def test_a_failed_job_that_was_looked_at_is_no_leak(look: str, outer: pytest.Pytester) -> None:
    outer.makepyfile(f"""
        from shop import Explode
        def test_x(queue_fake):
            Explode().dispatch()
            queue_fake.run_next_job()
            {look}
        def test_y(queue_fake):
            Explode().dispatch()
            with queue_fake.job_fails(ValueError, match="boom"):
                queue_fake.run_next_job()
        def test_z(queue_fake):
            Explode().dispatch()
            queue_fake.run_due(raises=False)
    """)
    outcomes(outer, passed=3)


def test_looking_before_it_failed_does_not_count(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Explode
        def test_x(queue_fake):
            Explode().dispatch()
            queue_fake.assert_pushed(Explode)
            queue_fake.run_next_job()
    """)
    outcomes(outer, failed=1)


def test_the_leak_rule_can_be_turned_off(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_failed_jobs = ignore")
    outer.makepyfile("""
        from shop import Explode
        def test_x(queue_fake):
            Explode().dispatch()
            queue_fake.run_next_job()
    """)
    outcomes(outer, passed=1)


def test_a_test_that_failed_itself_is_not_blamed_for_its_jobs(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import unittest, pytest
        from shop import Explode
        class TestX(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _queue(self, queue_fake):
                self.queue = queue_fake
            def test_fails(self):
                Explode().dispatch()
                self.queue.run_next_job()
                self.fail("its own reason")
            def test_leaks(self):
                Explode().dispatch()
                self.queue.run_next_job()
            def test_passes(self):
                Explode().dispatch()
                self.queue.assert_pushed(Explode)
    """)
    result = outcomes(outer, failed=2, passed=1)
    result.stdout.fnmatch_lines(["*its own reason*"])
    assert result.stdout.str().count("never looked at it") <= 2


@pytest.mark.parametrize(("said", "expected"), [("fail", {"failed": 1}), ("warn", {"passed": 1})])
def test_leftovers(said: str, expected: dict[str, int], outer: pytest.Pytester) -> None:
    outer.makepyfile(f"""
        import pytest
        from shop import Ship
        @pytest.mark.queue(leftovers="{said}")
        def test_x(queue_fake):
            Ship().dispatch(delay=60)
    """)
    result = outcomes(outer, "-W", "default", **expected)
    result.stdout.fnmatch_lines(["*1 job still waits at the end of the test*"])


def test_leftovers_by_ini_and_what_was_run_is_none(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_leftovers = fail")
    outer.makepyfile("""
        from shop import Ship
        def test_left(queue_fake):
            Ship().dispatch()
        def test_run(queue_fake):
            Ship().dispatch()
            queue_fake.run_due()
    """)
    outcomes(outer, failed=1, passed=1)


def test_the_marker_sets_up_the_fake(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        from shop import Ship, Explode
        @pytest.mark.queue(clock="2030-01-01T00:00Z", passthrough=[Explode])
        class TestX:
            def test_x(self, queue_fake, queue_clock):
                assert queue_clock is queue_fake.clock
                assert queue_clock.now() == 1893456000
                Ship().dispatch()
                queue_fake.assert_count(1)
            @pytest.mark.queue(clock="2031-01-01T00:00Z")
            def test_nearer(self, queue_fake):
                assert queue_fake.clock.now() == 1924992000
    """)
    outcomes(outer, passed=2)


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("clok='x'", "clok (did you mean clock?) is nothing that it takes; there are drivers="),
        ("'memory'", "it takes keywords only"),
        ("clock='2030-01-01'", "time zone"),
        ("clock='soon'", "is no time"),
        ("leftovers='maybe'", "leftovers is one of fail, warn, ignore"),
        ("drivers=['rabbit']", "there is no driver 'rabbit' for tests"),
        ("fake=int", "takes a list"),
        ("fake=[int]", "does not derive from qcore.Job"),
    ],
)
def test_a_marker_that_says_something_else_is_refused(marker: str, says: str, outer: pytest.Pytester) -> None:
    outer.makepyfile(f"""
        import pytest
        @pytest.mark.queue({marker})
        def test_x(queue_fake):
            pass
    """)
    result = outer.runpytest_inprocess()
    assert result.ret != 0
    assert says in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("clok='x'", "clok (did you mean clock?) is nothing that it takes"),
        ("'memory'", "it takes keywords only"),
        ("leftovers='maybe'", "leftovers is one of fail"),
    ],
)
def test_a_marker_that_means_nothing_is_refused_on_a_test_without_a_fake(
    marker: str, says: str, outer: pytest.Pytester
) -> None:
    outer.makepyfile(f"""
        import pytest
        @pytest.mark.queue({marker})
        class TestX:
            def test_x(self):
                pass
    """)
    result = outer.runpytest_inprocess()

    assert result.ret != 0
    assert says in result.stdout.str() + result.stderr.str()


@pytest.mark.parametrize(
    ("ini", "marker", "instant"),
    [
        ("", "", 1735689600),
        ("", "@pytest.mark.queue(clock='2030-01-01T00:00Z')", 1893456000),
        ("qtest_clock_start = 2030-01-01T00:00Z", "", 1893456000),
    ],
)
def test_an_instant_that_is_named_counts_more_than_a_freeze(
    outer: pytest.Pytester, ini: str, marker: str, instant: int
) -> None:
    outer.makeini(f"[pytest]\n{ini}")
    outer.makepyfile(f"""
        import time
        import freezegun, pytest
        @pytest.fixture
        def frozen():
            with freezegun.freeze_time("2025-01-01"):
                yield
        {marker}
        def test_x(frozen, queue_fake, queue_clock):
            assert (queue_clock.now(), time.time()) == ({instant}, {instant})
    """)
    outcomes(outer, passed=1)


@pytest.mark.parametrize(("freeze", "instant"), [("freezegun", 1735689600), ("off", 0)])
def test_no_freeze_is_followed_when_they_are_off(outer: pytest.Pytester, freeze: str, instant: int) -> None:
    outer.makeini(f"[pytest]\nqtest_freeze = {freeze}\nqtest_clock_start = 1970-01-01T00:00Z")
    outer.makepyfile(f"""
        import freezegun
        def test_x(queue_fake):
            with freezegun.freeze_time("2025-01-01"):
                assert queue_fake.clock.now() == {instant}
    """)
    outcomes(outer, passed=1)


def test_settings_of_the_project(outer: pytest.Pytester) -> None:
    outer.makeini(
        "[pytest]\nqtest_app = project:app\nqtest_clock_start = 2030-01-01T00:00Z\n"
        "qtest_max_jobs = 3\nqtest_freeze = off"
    )
    outer.makepyfile(
        project="""
        from qcore import App, Config
        from shop import Ship
        def app():
            made = App(Config(default="sync", worker={"tries": 2, "backoff": 7}))
            made.route(Ship, queue="freight")
            return made
        """,
        test_x="""
        import pytest
        from qtest import Livelock
        from shop import Ship, Explode
        def test_x(queue_fake, queue_clock):
            assert queue_clock.now() == 1893456000
            Ship().dispatch()
            queue_fake.assert_pushed_on("freight", Ship)
            queue_fake.run_due()
            Explode().dispatch()
            queue_fake.run_until_idle(raises=False)
            queue_fake.assert_retried(Explode, delays=[7])
            for _ in range(4):
                Ship().dispatch()
            with pytest.raises(Livelock):
                queue_fake.run_due()
        """,
    )
    outcomes(outer, passed=1)


def test_the_app_can_be_overridden_by_a_fixture(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        from qcore import App, Config
        from shop import Ship
        @pytest.fixture(scope="session")
        def queue_app():
            return lambda: Config(default="null")
        def test_x(queue_fake):
            Ship().dispatch()
            queue_fake.assert_pushed(Ship, connection="null")
    """)
    outcomes(outer, passed=1)


def test_tests_run_once_on_each_driver(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        from shop import Ship
        def test_x(queue_fake):
            Ship().dispatch()
            queue_fake.run_due()
            queue_fake.assert_processed(Ship)
        @pytest.mark.queue(drivers=["sqlite"])
        def test_y(queue_fake):
            assert queue_fake.app.connection().driver.shared
        def test_z():
            pass
    """)
    outcomes(outer, passed=3)
    outcomes(outer, "--queue-drivers=memory,sqlite", passed=4)


@pytest.mark.parametrize(
    ("opened", "said"),
    [(None, "no driver for 'away' yet"), (lambda _: dict, "'away' here: install it")],
)
def test_a_driver_that_is_not_there_skips_or_fails_as_told(
    outer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Any] | None, said: str
) -> None:
    monkeypatch.setitem(PLACES, "away", Place(opened, lambda: "install it"))
    outer.makepyfile("def test_x(queue_fake): pass")

    outcomes(outer, "--queue-drivers=away", skipped=1)
    result = outer.runpytest_inprocess("--queue-drivers=away", "--queue-require=all")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{said}*"])


def test_a_driver_that_does_not_exist_is_told_before_any_test(outer: pytest.Pytester) -> None:
    outer.makepyfile("def test_x(queue_fake): pass")

    result = outer.runpytest_inprocess("--queue-drivers=memory,nosuch")

    assert pytest.ExitCode.USAGE_ERROR == result.ret
    there_are = "there are memory, sqlite, fakeredis, redis, postgres, mysql"
    assert result.errlines == [f"ERROR: --queue-drivers: there is no driver 'nosuch' for tests; {there_are}", ""]


def test_the_connection_that_the_shell_names_need_not_exist(
    outer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable may be meant for another program; the fake is in memory anyhow."""
    monkeypatch.setenv("QUEUE_CONNECTION", "redis")
    outer.makepyfile("""
        from shop import Ship
        def test_x(queue_fake):
            Ship().dispatch()
            queue_fake.assert_pushed(Ship, connection="redis")
            assert queue_fake.run_due().succeeded == 1
    """)

    outcomes(outer, passed=1)
    monkeypatch.setenv("QCORE_CONNECTION", "nosuch")
    outcomes(outer, errors=1)


def test_the_worker_goes_through_the_code_of_the_command(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import signal
        from shop import Ship, Explode
        def test_x(queue_fake, queue_worker):
            before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGALRM, signal.SIGINT)}
            Explode().dispatch(queue="low")
            Ship().dispatch(queue="high")
            worked = queue_worker.work_once("--queue", "high,low")
            assert (worked.exit_code, worked.output.count("Ship")) == (0, 2), worked
            worked = queue_worker.work_once("--queue", "high,low", "--json")
            assert worked.exit_code == 1
            assert worked.output.count('"status"') == 2
            queue_fake.assert_failed(Explode, error=ValueError)
            assert queue_worker.work_once("--queue", "high").exit_code == 0
            assert queue_worker.work_once("--tires", "3").exit_code == 2
            assert "no such option" in queue_worker.work_once("--tires", "3").error.lower()
            assert before == {each: signal.getsignal(each) for each in before}
            Ship().dispatch()
            assert queue_worker.run_next_job() is not None
    """)
    outcomes(outer, passed=1)


def test_an_attempt_that_raised_in_place_is_not_swallowed(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from qcore import Job, Released
        class Again(Job, tries=3):
            def handle(self):
                raise ValueError("boom")
        def test_unseen(queue_fake):
            queue_fake.perform(Again())
        def test_seen(queue_fake):
            assert isinstance(queue_fake.perform(Again(), raises=False), Released)
    """)
    outcomes(outer, passed=1, failed=1)


def test_a_command_leaves_the_path_of_modules_as_it_was(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_app = project:app")
    outer.makepyfile(
        project="from qcore import App, Config\napp = App(Config(root='elsewhere'))",
        test_x="""
        import sys
        def test_x(queue_worker):
            before = list(sys.path)
            queue_worker.work_once()
            assert sys.path == before
        """,
    )
    outcomes(outer, passed=1)


def test_everything_is_restored_between_tests(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import os, sys, time, signal
        from qcore import current, Job
        class Once(Job, unique=True):
            def handle(self): pass
        state = lambda: (time.sleep, dict(os.environ), current.overridden(), current.active.get(), len(sys.path))
        before = []
        def test_before():
            before.append(state())
        def test_raises(queue_fake, queue_clock, queue_worker):
            Once().dispatch()
            queue_fake.run_due()
            queue_worker.work_once()
            Once().dispatch()
            raise KeyError
        def test_after():
            after, expected = state(), before[0]
            after[1].pop("PYTEST_CURRENT_TEST"), expected[1].pop("PYTEST_CURRENT_TEST")
            assert after == expected
        def test_again(queue_fake):
            assert Once().dispatch() is not None
    """)
    outcomes(outer, passed=3, failed=1)


def test_without_the_plugin_its_fixtures_are_unknown(outer: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")
    outer.makepyfile("def test_x(queue_fake): pass")

    result = outer.runpytest_inprocess("-p", "no:qtest", "-p", "no:cacheprovider")
    result.assert_outcomes(errors=1)


def test_the_plugin_loads_nothing_but_pytest(tmp_path: Path) -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import qtest.plugin;"
        "print(sorted(name for name in set(sys.modules) - before if not name.startswith('qtest')))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert ended.stdout.strip() == "[]"


def test_importlib_mode_works(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        from shop import Ship
        def test_x(queue_fake):
            Ship().dispatch()
            queue_fake.assert_pushed(Ship)
    """)
    outcomes(outer, "--import-mode=importlib", passed=1)
