"""Commands in a process of their own, on the queue of a test."""

from __future__ import annotations

import json
import signal
import subprocess
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import Config, QcoreError, chain
from qtest import ExpectationError, process_app
from qtest.leaks import unseen_failures
from qtest.queue_cli import CommandHungError, QueueCli, why_not
from tests.qtest.commanded import Boom, BoomOnce, Note, first, hang, notes, tell_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest import FrozenClock, QueueFake

JOBS = ["tests.qtest.commanded"]


def test_a_real_process_runs_what_the_test_dispatched(queue_cli: QueueCli) -> None:
    Note("hello").dispatch(queue="low")
    Note("first").dispatch(queue="high")

    worked = queue_cli("work", "--once", "--queue", "high,low", imports=JOBS)

    assert (0, ["first"]) == (worked.exit_code, notes())
    assert 2 == worked.output.count("Note")
    assert "" == worked.error


def test_the_exit_code_says_that_a_job_failed(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    Boom().dispatch()
    Note("next").dispatch()

    worked = queue_cli("work", "--stop-when-empty", "--json", imports=JOBS)

    assert (1, ["next"]) == (worked.exit_code, notes())
    assert ["starting", "released", "starting", "success"] == [
        json.loads(line)["status"] for line in worked.output.splitlines()
    ]


@pytest.mark.parametrize(
    "look",
    [
        lambda queue: queue.assert_not_failed(),
        lambda queue: queue.assert_not_failed(BoomOnce),
        lambda queue: queue.assert_failed(BoomOnce),
        lambda queue: queue.assert_attempts(BoomOnce, 0),
        lambda queue: queue.failed(),
    ],
)
def test_how_a_job_of_another_process_ended_is_not_said(
    queue_cli: QueueCli, queue_fake: QueueFake, look: Callable[[QueueFake], object]
) -> None:
    BoomOnce().dispatch()
    assert queue_cli("work", "--once", imports=JOBS).exit_code == 1
    Note("here").dispatch()
    queue_fake.run_due()

    with pytest.raises(ExpectationError, match="#1 BoomOnce was taken by another process"):
        look(queue_fake)
    queue_fake.assert_pushed(BoomOnce)
    queue_fake.assert_processed(Note)
    with pytest.raises(AssertionError, match="taken by another process"):
        queue_fake.assert_count(0)


def test_a_failure_in_another_process_is_looked_at_by_its_exit_code(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    BoomOnce().dispatch()
    worked = queue_cli("work", "--once", imports=JOBS)

    assert "a job failed in another process" in unseen_failures(queue_fake)
    assert worked.exit_code == 1
    assert "" == unseen_failures(queue_fake)


def test_how_a_job_ended_is_known_when_it_ends_here(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    Boom().dispatch()
    Note("waits").dispatch()
    queue_cli("work", "--once", imports=JOBS)

    queue_fake.run_until_idle(raises=False)
    queue_fake.assert_failed(Boom)
    assert ["Boom"] == [each.name for each in queue_fake.failed()]


def test_the_fake_knows_what_was_pushed_here_and_there(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    first.dispatch()
    queue_fake.assert_pushed(first)

    queue_cli("work", "--once", imports=JOBS)

    queue_fake.assert_pushed_on("next", Note("pushed by a job"))
    queue_fake.run_due()
    assert ["pushed by a job"] == notes()


def test_a_process_begins_at_the_instant_of_the_test(
    queue_cli: QueueCli, queue_fake: QueueFake, queue_clock: FrozenClock
) -> None:
    work = partial(queue_cli, "work", "--stop-when-empty", imports=JOBS)
    Note("later").dispatch(delay=3600)
    Boom().dispatch()

    assert (1, []) == (work().exit_code, notes())
    queue_clock.advance(60)
    assert 1 == work().exit_code
    failed = queue_fake.app.failed.list()
    assert ["Boom"] == [queue_fake.app.failed.display_name(each) for each in failed]
    queue_clock.advance(3600)
    assert (0, ["later"]) == (work().exit_code, notes())


def test_time_goes_by_for_the_test_while_a_process_works(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    before = queue_fake.clock.now()

    queue_cli("show")

    assert before < queue_fake.clock.now() < before + 60


@pytest.mark.queue(clock="2030-01-01T00:00Z")
def test_the_instant_may_be_in_the_future(queue_cli: QueueCli) -> None:
    Note("2030").dispatch(delay=0)

    assert 0 == queue_cli("work", "--once", imports=JOBS).exit_code
    assert ["2030"] == notes()


def test_the_rest_of_a_chain_is_left_on_the_same_queue(queue_cli: QueueCli, queue_fake: QueueFake) -> None:
    chain(Note("1"), Note("2")).dispatch()

    queue_cli("work", "--once", imports=JOBS)
    queue_fake.run_due()

    assert ["1", "2"] == notes()


def test_any_command_looks_at_the_queue_of_the_test(queue_cli: QueueCli) -> None:
    Note("hello").dispatch(queue="mail")

    assert "mail" in queue_cli("show").output
    assert 0 == queue_cli("clear", "--queue", "mail", "--force").exit_code
    assert "mail" not in queue_cli("show").output
    assert 2 == queue_cli("wrok").exit_code


def test_nothing_of_the_developers_queue_reaches_the_process(
    queue_cli: QueueCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QUEUE_CONNECTION", "nowhere")
    monkeypatch.setenv("QCORE_WORKER_TRIES", "many")
    (tmp_path / "qcore.toml").write_text("default = 3")
    tell_environment.dispatch()

    worked = queue_cli("work", "--once", imports=JOBS, env={"QUEUE_NAME": "said"})

    assert (0, "") == (worked.exit_code, worked.error)
    assert ["QCORE_APP QCORE_CONFIG QUEUE_NAME"] == notes()
    assert not (tmp_path / ".qcore").exists()


def test_a_process_that_hangs_is_killed_with_all_that_it_started(queue_cli: QueueCli) -> None:
    hang.dispatch()

    with pytest.raises(CommandHungError) as caught:
        queue_cli("work", "--once", imports=JOBS, timeout=1)

    assert "`qcore work --once` did not end within 1 s, and was killed; until then it wrote" in str(caught.value)


def test_a_hanging_process_is_killed_though_the_time_of_the_test_stands_still(
    queue_cli: QueueCli, freezer: object
) -> None:
    with pytest.raises(CommandHungError):
        queue_cli("work", timeout=0.2)


def test_a_job_that_the_process_does_not_know_fails_as_in_production(queue_cli: QueueCli) -> None:
    Note("hello").dispatch()

    worked = queue_cli("work", "--once")

    assert 1 == worked.exit_code
    assert "tests.qtest.commanded:Note" in worked.output + worked.error


def test_modules_to_import_are_listed(queue_cli: QueueCli) -> None:
    with pytest.raises(QcoreError, match=r"imports=\['jobs'\]"):
        queue_cli("show", imports="jobs")
    worked = queue_cli("show", imports=["not.there"])
    assert 2 == worked.exit_code
    assert "cannot import 'not.there' (imports of queue_cli())" in worked.error


def test_a_configuration_that_is_no_data_is_refused() -> None:
    odd = Config(default="memory", connections={"memory": {"driver": "memory", "queue": object()}})

    with pytest.raises(QcoreError, match="cannot be given to another process: object is no text"):
        process_app.describe(odd, app="", root=odd.root, ahead=0, imports=())


def test_the_app_of_the_project_is_set_up_in_the_process_too(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_app = project:app\nqtest_leftovers = fail")
    outer.makepyfile(
        project="""
        import shop
        from qcore import App, Config
        def layer(job, call_next):
            print(f"around {job.order}")
            return call_next(job)
        def app():
            made = App(Config(default="database", keys=["k" * 32], root="elsewhere",
                              connections={"extra": {"driver": "database", "queue": "large"}}))
            made.middleware.append(layer)
            made.route(shop.Ship, connection="extra")
            return made
        real = app()
        """,
        test_x="""
        from shop import Ship
        def test_x(queue_cli):
            Ship(7).dispatch()
            worked = queue_cli("work", "extra", "--once")
            assert worked.exit_code == 0, worked
            assert "around 7" in worked.output
        """,
    )
    outer.runpytest_inprocess().assert_outcomes(passed=1)
    assert not list(outer.path.rglob(".qcore"))


def test_a_push_to_the_real_queue_is_refused_in_the_process_too(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_app = project:real\nqtest_failed_jobs = ignore")
    outer.makepyfile(
        project="""
        from qcore import App, Config, Job
        from shop import Ship
        real = App(Config())
        class Leak(Job):
            def handle(self):
                real.dispatch(Ship())
        """,
        test_x="""
        from project import Leak
        def test_x(queue_cli):
            Leak().dispatch()
            worked = queue_cli("work", "--once", "-v")
            assert worked.exit_code == 1
            assert "would reach a real connection" in worked.output
        """,
    )
    outer.runpytest_inprocess().assert_outcomes(passed=1)
    assert not list(outer.path.rglob(".qcore"))


def test_a_driver_that_another_process_cannot_see_is_refused(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        @pytest.mark.queue(drivers=["memory"])
        def test_x(queue_cli):
            pass
        def test_y(queue_fake, request):
            request.getfixturevalue("queue_cli")
        def test_z(queue_cli, queue_fake):
            assert queue_cli("show").exit_code == 0
    """)
    result = outer.runpytest_inprocess()
    result.assert_outcomes(passed=1, errors=1, failed=1)
    result.stdout.fnmatch_lines(["*lives in this process*let it run on sqlite*"])
    several = outer.runpytest_inprocess("--queue-drivers=memory,fakeredis,sqlite", "-k", "test_z")
    several.assert_outcomes(passed=1, skipped=2)


def test_what_a_test_put_on_the_path_and_into_the_environment_is_there(
    queue_cli: QueueCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By these, coverage and its like reach a child, too."""
    monkeypatch.setenv("MEASURED", "yes")
    monkeypatch.syspath_prepend(tmp_path / "src")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "measured.py").write_text(
        "import os\nfrom qcore import job\n@job\ndef tell():\n    print('measured:', os.environ['MEASURED'])\n"
    )
    assert 0 == queue_cli("dispatch", "measured:tell", imports=["measured"]).exit_code

    assert "measured: yes" in queue_cli("work", "--once", imports=["measured"]).output


def test_a_process_is_ended_with_the_test_that_waits_for_it(
    queue_cli: QueueCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that is interrupted leaves nothing running."""
    begun: list[subprocess.Popen[str]] = []

    def interrupted(self: subprocess.Popen[str]) -> None:
        begun.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        queue_cli("work")

    assert [-signal.SIGKILL] == [each.returncode for each in begun]
    for each in begun:
        each.__exit__(None, None, None)


def test_tables_and_paths_of_a_configuration_reach_the_process() -> None:
    config = Config(
        default="memory",
        worker=MappingProxyType({"tries": 2}),
        connections={"x": {"driver": "database", "url": Path("a")}},
    )

    told = json.loads(process_app.describe(config, app="", root=config.root, ahead=0, imports=()))

    assert ({"tries": 2}, "a") == (told["config"]["worker"], told["config"]["connections"]["x"]["url"])


def test_a_fake_server_is_known_to_live_in_the_process_of_the_test() -> None:
    with qtest.fake(driver="fakeredis") as queue:
        assert "the queue of this test lives in this process, and queue_cli starts another one" == why_not(queue)
