"""What the pytest plugin costs: every run of pytest, and every test that asks for ``queue_fake``.

Figures are medians of processor time: what is added is little beside what pytest takes by itself.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import Measure, Target
from benchmarks.process import python, race

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Effort

# Nothing but pytest: what else is installed here would be loaded in each run.
PLUGIN = ("-p", "qtest.plugin")
CODE = "import os, sys, pytest; os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'; sys.exit(pytest.main(sys.argv[1:]))"
JOBS = """
from qcore import Job

class Noop(Job):
    def __init__(self, number):
        self.number = number

    def handle(self):
        pass
"""
EMPTY = """
import pytest
import jobs

@pytest.fixture
def nothing():
    yield

@pytest.mark.parametrize("number", range({tests}))
def test_x(number, nothing):
    pass
"""
PUSHING = """
import pytest
from jobs import Noop

@pytest.mark.parametrize("number", range({tests}))
def test_x(number, queue_fake):
    Noop(number).dispatch()
"""


def measure(effort: Effort) -> Iterator[Measure]:
    """Start pytest with the plugin and without; run many tests that push, and many that do nothing."""
    yield _start(effort)
    yield _tests(effort)


def _start(effort: Effort) -> Measure:
    found = race(
        {"bare": _pytest("test_one.py"), "plugin": _pytest(*PLUGIN, "test_one.py")},
        effort._replace(starts=2 * effort.starts),
        {"test_one.py": "def test_x():\n    pass\n"},
        median,
        processor=True,
    )
    return Measure(
        name="pytest -p qtest.plugin, added",
        ours=max(found["plugin"] - found["bare"], 0.01),
        bare=found["bare"],
        unit="ms",
        beside="pytest, one test that is empty",
        target=Target(10, of="ours"),
    )


def _tests(effort: Effort) -> Measure:
    tests = effort.jobs
    found = race(
        {"empty": _pytest(*PLUGIN, "test_empty.py"), "pushing": _pytest(*PLUGIN, "test_pushing.py")},
        effort._replace(starts=max(effort.starts // 5, 2)),
        {
            "jobs.py": JOBS,
            "test_empty.py": EMPTY.format(tests=tests),
            "test_pushing.py": PUSHING.format(tests=tests),
        },
        median,
        processor=True,
    )
    return Measure(
        name=f"{tests} tests with queue_fake and one push, added",
        ours=max(found["pushing"] - found["empty"], 0.01),
        bare=found["empty"],
        unit="ms",
        beside=f"{tests} tests with an empty fixture",
        target=Target(1000, of="ours"),
    )


def _pytest(*arguments: str) -> tuple[str, ...]:
    return python("-c", CODE, "-q", "-p", "no:cacheprovider", *arguments)
