"""qtest beside other plugins and ways to run pytest: each in a process of its own, with just these plugins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.qtest.conftest import Run

TEST_SHOP = """
    from shop import Ship, Explode
    def test_holds(queue_fake):
        Ship(2).dispatch()
        queue_fake.assert_pushed(Ship(2))
        assert queue_fake.run_due().succeeded == 1
"""


# Ways to run pytest.


def test_the_plugin_is_loaded_by_name_where_no_other_is(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(test_shop=TEST_SHOP)

    run("", passed=1)


def test_it_is_loaded_by_itself_where_it_is_installed(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(test_shop=TEST_SHOP)

    project.runpytest_subprocess("-p", "no:django", "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_it_can_be_left_out(project: pytest.Pytester) -> None:
    project.makepyfile("def test_x(queue_fake): pass")
    project.makepyfile(test_y="def test_y(): pass")

    result = project.runpytest_subprocess("-p", "no:qtest", "-p", "no:django", "-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'queue_fake' not found*"])


def test_importlib_mode(project: pytest.Pytester, run: Run) -> None:
    project.makeini("[pytest]\npythonpath = .")
    for folder in ("a", "b"):
        (project.mkdir(folder) / "test_same.py").write_text(
            "from qcore import Job\n"
            "class Local(Job):\n"
            "    def handle(self): pass\n"
            "def test_x(queue_fake):\n"
            "    Local().dispatch()\n"
            "    queue_fake.assert_pushed(Local)\n"
            "    assert queue_fake.run_due().succeeded == 1\n"
        )

    run("", "--import-mode=importlib", passed=2)


def test_pyargs(project: pytest.Pytester, run: Run) -> None:
    package = project.mkpydir("package")
    (package / "jobs.py").write_text("from qcore import job\n@job\ndef ship(): pass\n")
    (package / "test_inside.py").write_text(
        "from package.jobs import ship\n"
        "def test_x(queue_fake):\n"
        "    ship.dispatch()\n"
        "    queue_fake.assert_pushed(ship)\n"
        "    assert queue_fake.run_due().succeeded == 1\n"
    )
    project.syspathinsert()

    run("", "--pyargs", "package", passed=1)


# xdist and random order.


def test_four_processes_do_not_meet(project: pytest.Pytester, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    project.makepyfile(
        test_many="""
        import pytest
        from shop import Once, Ship
        @pytest.mark.parametrize("number", range(12))
        @pytest.mark.queue(drivers=["memory", "sqlite"])
        def test_x(number, queue_fake):
            Ship(number).dispatch()
            assert Once().dispatch() is not None
            queue_fake.assert_count(2)
            assert queue_fake.run_due().succeeded == 2
            queue_fake.assert_no_locks()
        def test_process(queue_cli):
            Ship().dispatch()
            assert queue_cli("work", "--once", imports=["shop"]).exit_code == 0
        """
    )
    temp = project.mkdir("temp")
    monkeypatch.setenv("TMPDIR", str(temp))

    run("xdist", "-n", "4", passed=25)

    assert [] == list(temp.glob("qtest-*"))


FAILING = """
    import pytest
    from shop import Ship, Explode
    def test_assertion(queue_fake):
        for number in range(30):
            Ship("x" * 200).dispatch()
        queue_fake.assert_pushed(Ship(3))
    def test_unseen(queue_fake):
        Explode().dispatch()
        queue_fake.run_next_job()
    @pytest.mark.queue(leftovers="fail")
    def test_left(queue_fake):
        Ship().dispatch()
"""


@pytest.mark.parametrize("verbose", ["-v", "-vv"])
def test_messages_are_the_same_in_another_process(project: pytest.Pytester, run: Run, verbose: str) -> None:
    project.makepyfile(test_failing=FAILING)

    alone = run("", verbose, failed=3)
    spread = run("xdist", "-n", "1", verbose, failed=3)

    said = [sorted(line for line in each.outlines if line.startswith("E  ")) for each in (alone, spread)]
    assert said[0] == said[1]
    text = "\n".join(said[0])
    assert "nearest: #30 Ship, pushed at +0s from test_failing.py:5" in text
    assert (verbose == "-vv") == ("x" * 200 in text)
    assert (verbose == "-v") == ("... and 10 more (-vv shows all)" in text)
    whole = spread.stdout.str()
    assert "a job failed, and the test never looked at it" in whole
    assert "1 job still waits at the end of the test" in whole


ORDERED = """
    import random, pytest
    from shop import Once, Ship
    @pytest.mark.parametrize("number", range(20))
    def test_x(number, queue_fake):
        queue_fake.assert_nothing_pushed()
        assert Once().dispatch() is not None
        Ship(random.random()).dispatch(delay=60)
        assert queue_fake.run_until_idle().passed == 60
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order(project: pytest.Pytester, run: Run, seed: int) -> None:
    project.makepyfile(test_ordered=ORDERED)

    run("randomly", f"--randomly-seed={seed}", passed=20)


def test_the_order_of_the_file(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(test_ordered=ORDERED)

    run("", "-p", "no:randomly", passed=20)


# Async plugins.

ASYNC_TEST = """
    import pytest
    from shop import Ship, slow, ran
    {marker}
    async def test_x(queue_fake, queue_clock):
        Ship(2).dispatch()
        slow.dispatch(30)
        assert (await queue_fake.arun_until_idle()).succeeded == 2
        slow.dispatch(3600)
        assert (await queue_fake.arun_due(raises=False)).failed == 1
        queue_fake.assert_timed_out(slow)
        with pytest.raises(Exception, match="arun_due"):
            queue_fake.run_due()
        assert ran == [2]
"""


@pytest.mark.parametrize(("mode", "marker"), [("strict", "@pytest.mark.asyncio"), ("auto", "")])
def test_pytest_asyncio(project: pytest.Pytester, run: Run, mode: str, marker: str) -> None:
    project.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    project.makepyfile(test_async=ASYNC_TEST.format(marker=marker))

    run("asyncio", f"--asyncio-mode={mode}", passed=1)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_anyio(project: pytest.Pytester, run: Run, loop: str) -> None:
    project.makepyfile(
        conftest=f"import pytest\n@pytest.fixture\ndef anyio_backend(): return {loop!r}",
        test_async=ASYNC_TEST.format(marker="@pytest.mark.anyio"),
    )

    run("anyio", passed=1)


# Classes of unittest.


def test_unittest(project: pytest.Pytester, run: Run) -> None:
    project.makepyfile(
        test_classes="""
        import unittest, pytest, qtest
        from qcore import current
        from shop import Explode, Ship, slow
        class TestFixture(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _queue(self, queue_fake):
                self.queue = queue_fake
            def test_x(self):
                Ship().dispatch()
                self.queue.assert_pushed(Ship)
            def test_unseen(self):
                Explode().dispatch()
                self.queue.run_next_job()
            def test_subtests(self):
                for number in range(3):
                    with self.subTest(number=number):
                        self.queue.reset()
                        Ship(number).dispatch()
                        self.queue.assert_pushed_once(Ship(number))
        @pytest.mark.usefixtures("queue_fake")
        class TestNamed(unittest.TestCase):
            def test_x(self):
                Ship().dispatch()
                assert current.app().connection().size() == 1
        class TestPlain(unittest.TestCase):
            def setUp(self):
                self.queue = self.enterContext(qtest.fake())
            def test_x(self):
                Ship().dispatch()
                self.queue.assert_pushed(Ship)
            def test_y(self):
                self.queue.assert_nothing_pushed()
        class TestAsync(unittest.IsolatedAsyncioTestCase):
            def setUp(self):
                self.queue = self.enterContext(qtest.fake())
            async def test_x(self):
                slow.dispatch(30)
                drained = await self.queue.arun_due()
                self.assertEqual((1, 30), (drained.succeeded, drained.passed))
        """
    )

    result = run("", passed=6, failed=1)
    result.stdout.fnmatch_lines(["*a job failed, and the test never looked at it*"])


def test_unittest_by_itself(project: pytest.Pytester) -> None:
    """Qtest needs no pytest to run."""
    project.makepyfile(
        test_plain="""
        import unittest, qtest
        from shop import Ship
        class TestPlain(unittest.TestCase):
            def test_x(self):
                with qtest.fake() as queue:
                    Ship().dispatch()
                    queue.assert_pushed(Ship)
        """
    )

    assert 0 == project.run(sys.executable, "-Werror", "-m", "unittest", "-q", "test_plain").ret
