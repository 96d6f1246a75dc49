"""What is easily forgotten in a test, and would leave it green."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import current
from qcore.errors import QcoreError
from tests.qtest.signup import Broken, Welcome
from tests.qtest.test_plugin import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qtest import QueueFake


def fails_unseen(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_next_job()


def stumbles(queue: QueueFake) -> None:
    fails_unseen(queue)
    queue.arun_due()  # type: ignore[unused-coroutine]
    raise KeyError


def fails_unseen_and_begins_anew(queue: QueueFake) -> None:
    fails_unseen(queue)
    queue.reset()


DISPATCHED = "from shop import Ship\ndef test_x(): Ship().dispatch()\n"


@pytest.fixture(autouse=True)
def _one_app_for_each_test() -> Iterator[None]:
    before = current.configured()
    current.set_configured(None)
    yield
    if (built := current.configured()) is not None:
        built.close()
    current.set_configured(before)


@pytest.mark.parametrize(
    "source",
    [
        "@pytest.mark.queue\ndef test_x(): look()\n",
        "pytestmark = pytest.mark.queue\ndef test_x(): look()\n",
        "@pytest.mark.queue\nclass TestX:\n    def test_x(self): look()\n",
        "class TestX:\n    @pytest.mark.queue\n    def test_x(self): look()\n",
        "@pytest.mark.queue\nclass TestX(TestCase):\n    def test_x(self): look()\n",
        "pytestmark = pytest.mark.queue\nclass TestX(TestCase):\n    def test_x(self): look()\n",
        "@pytest.mark.queue\n@pytest.mark.parametrize('n', [1])\ndef test_x(n): look()\n",
    ],
)
def test_a_marked_test_has_the_fake_without_asking_for_it(
    source: str, outer: pytest.Pytester, an_empty_folder: Path
) -> None:
    outer.makepyfile(f"""
        import pytest
        from unittest import TestCase
        from qcore import current
        from shop import Ship
        def look():
            assert current.overridden() is not None
            Ship().dispatch()
        {source.replace(chr(10), chr(10) + " " * 8)}
    """)
    outcomes(outer, passed=1)
    assert [] == list(an_empty_folder.glob("**/*.sqlite3"))


def test_a_marked_test_runs_on_each_of_its_drivers_without_asking_for_the_fake(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        @pytest.mark.queue(drivers=["memory", "sqlite"])
        def test_x(): pass
    """)
    outcomes(outer, passed=2)


def test_the_fake_of_a_marked_test_comes_after_fixtures_of_wider_scope(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        from qcore import current
        @pytest.fixture(scope="module")
        def before():
            return current.overridden()
        @pytest.mark.queue
        def test_x(before): assert before is None
    """)
    outcomes(outer, passed=1)


def test_a_marker_that_cannot_give_the_fake_fails_the_test(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import pytest
        from unittest import TestCase
        class TestX(TestCase):
            @pytest.mark.queue
            def test_x(self): pass
    """)
    outcomes(outer, failed=1).stdout.fnmatch_lines(["*ask for the fixture queue_fake as well*"])


def test_the_guard_refuses_a_push_of_a_test_that_forgot_the_fixture(
    outer: pytest.Pytester, an_empty_folder: Path
) -> None:
    outer.makeini("[pytest]\nqtest_guard = on\n")
    outer.makepyfile(DISPATCHED)

    outcomes(outer, failed=1).stdout.fnmatch_lines(["*no fake is active*ask for the fixture queue_fake*"])
    assert [] == list(an_empty_folder.glob("**/*.sqlite3"))


def test_the_guard_refuses_nothing_under_a_fake_and_on_connections_of_this_process(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_guard = on\n")
    outer.makepyfile("""
        import pytest, qtest
        from qcore import App, Config
        from shop import Ship
        def test_x(queue_fake): Ship().dispatch()
        @pytest.mark.queue(drivers="sqlite")
        def test_y(): Ship().dispatch()
        def test_z():
            with App(Config(default="memory")).activate():
                Ship().dispatch()
        def test_a():
            with App(Config(default="sync")).activate(), qtest.fake(fake=[qtest.like(Ship, order=2)]):
                Ship(1).dispatch()
    """)
    outcomes(outer, passed=4)


def test_without_the_guard_a_push_goes_where_it_goes_in_production(outer: pytest.Pytester) -> None:
    outer.makepyfile(DISPATCHED)
    outcomes(outer, passed=1)


def test_the_guard_is_on_or_off(outer: pytest.Pytester) -> None:
    outer.makeini("[pytest]\nqtest_guard = yes\n")
    outer.makepyfile(DISPATCHED)

    assert outer.runpytest_inprocess().ret == pytest.ExitCode.USAGE_ERROR


def test_a_run_that_is_not_awaited_fails_the_test(outer: pytest.Pytester) -> None:
    outer.makepyfile("""
        import asyncio
        from shop import Ship
        def test_x(queue_fake):
            async def look():
                Ship().dispatch()
                queue_fake.arun_due()
                queue_fake.arun_next_job()
            asyncio.run(look())
    """)
    result = outcomes(outer, "-Werror", failed=1)
    result.stdout.fnmatch_lines(
        [
            "*arun_due() was never awaited, so it ran nothing: write `await queue.arun_due(...)`*",
            "*arun_next_job() was never awaited*",
        ]
    )


def test_a_run_that_is_not_awaited_fails_the_block_of_a_fake() -> None:
    with pytest.raises(AssertionError, match=r"aperform\(\) was never awaited"), qtest.fake() as queue:
        queue.aperform(Welcome(1))  # type: ignore[unused-coroutine]


async def _run_beside(queue: QueueFake) -> int:
    Welcome(1).dispatch()
    running = asyncio.create_task(queue.arun_due())
    return (await running).succeeded


def test_a_run_may_be_awaited_by_another_task(queue_fake: QueueFake) -> None:
    assert asyncio.run(_run_beside(queue_fake)) == 1


def test_the_block_of_a_fake_fails_for_a_job_that_failed_unseen() -> None:
    with pytest.raises(AssertionError, match="a job failed, and the test never looked at it"), qtest.fake() as queue:
        fails_unseen(queue)


def test_the_block_of_a_fake_remembers_failures_from_before_a_reset() -> None:
    with pytest.raises(AssertionError, match="never looked at it"), qtest.fake() as queue:
        fails_unseen_and_begins_anew(queue)


def test_the_block_of_a_fake_passes_when_a_failed_job_was_looked_at_or_does_not_matter() -> None:
    with qtest.fake() as queue:
        fails_unseen(queue)
        queue.assert_failed(Broken)
    with qtest.fake(failed_jobs="ignore") as queue:
        fails_unseen(queue)


def test_the_block_of_a_fake_lets_an_error_of_its_own_out_first() -> None:
    with pytest.raises(KeyError), qtest.fake() as queue:
        stumbles(queue)


def test_what_failed_jobs_do_is_one_of_two_words() -> None:
    with pytest.raises(QcoreError, match='failed_jobs is "fail" or "ignore", got False'), qtest.fake(failed_jobs=False):  # type: ignore[arg-type]
        pass
