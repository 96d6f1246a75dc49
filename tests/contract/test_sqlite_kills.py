"""One step stays one step on SQLite: whoever is killed in the middle, and whoever comes at the same instant."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from qcore.driver import Push
from qtest.clock import FrozenClock
from qtest.contract_base import payload
from qtest.contract_records import callbacks, new_batch, options
from tests.contract.killed import STEPS, Place

ROOT = Path(__file__).parents[2]


def start(*arguments: object, stdin: int | None = None) -> subprocess.Popen[str]:
    """Start Python in the folder of the project."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        # Inside the transaction: delete, unlock, link with its lock, plain follow-up, batch and member read and
        # written, callbacks.
        ("succeed", 13),
        ("fail", 14),
        ("push", 6),
        ("add", 15),
    ],
)
def test_a_process_that_is_killed_between_two_statements_leaves_all_or_nothing(
    name: str, statements: int, tmp_path: Path
) -> None:
    """And who does the step again brings it to the same end: nothing is lost, nothing is there twice."""
    out, errors = start("-m", "tests.contract.killed", name, tmp_path).communicate(timeout=120)
    *killed, last = [tuple(map(int, line.split())) for line in out.splitlines()]
    assert ("", 0) == (errors, last[1])
    assert {-signal.SIGKILL} == {code for _, code in killed}
    assert len(killed) == statements
    prepare, act = STEPS[name]
    place = Place(tmp_path / "whole.sqlite3")
    prepare(place)
    before = place.seen()
    act(place)
    after = place.seen()
    place.database.close()

    found = []
    for number, _ in killed:
        place = Place(tmp_path / f"{number}.sqlite3", FrozenClock(FrozenClock().now() + 1000))
        found.append(place.seen())
        act(place)
        assert after == place.seen(), f"killed after statement {number}, then done again"
        place.database.close()
    assert before != after
    assert [before] * (statements - 1) + [after] == found


def test_members_that_end_at_the_same_instant_in_two_processes_finish_a_batch_once(tmp_path: Path) -> None:
    """Each batch has one member for each of the two processes."""
    path = tmp_path / "queue.sqlite3"
    place = Place(path)
    for number in range(100):
        place.batches.create(new_batch(options("progress", "then", "finally"), f"batch {number}"))
        members = [f"{number} {name}" for name in "ab"]
        place.batches.add(f"batch {number}", members, [Push(member[-1], payload(member)) for member in members])
        place.batches.close(f"batch {number}", 0)
    script = f"""
import sys
from pathlib import Path
from qcore.driver import Effects
from qtest.contract_records import step
from tests.contract.killed import Place

place = Place(Path("{path}"))
place.database.connection()
print("ready", flush=True)
queue = sys.stdin.readline().strip()
while (held := place.driver.reserve([queue])) is not None:
    ended = step(held.payload.id, batch_id="batch " + held.payload.id[:-2])
    print(place.driver.delete(held, effects=Effects(batch=ended)).value)
"""
    processes = {name: start("-c", script, stdin=subprocess.PIPE) for name in "ab"}
    for process in processes.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for name, process in processes.items():
        assert process.stdin is not None
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=120) for process in processes.values()]

    assert [("done\n" * 100, "")] * 2 == outcomes
    assert ["finally"] * 100 + ["progress"] * 200 + ["then"] * 100 == sorted(callbacks(place.driver))
    assert [(2, 0, 2)] * 100 == [(each.total, each.pending, each.done) for each in place.batches.listed()]
    place.database.close()
