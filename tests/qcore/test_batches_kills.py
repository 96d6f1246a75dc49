"""A process is killed between any two statements about a batch: no member is lost, and callbacks come once."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.qcore.killed_batches import LATER, found_in, left_in, pending, work
from tests.qcore.killed_chains import app_in

ROOT = Path(__file__).parents[2]

WHOLE = Counter(["a", "b", "c1", "c2", *["progress"] * 4, "then", "finally"])
"""What a whole batch leaves."""


def killed_at_every_point(name: str, folder: Path) -> list[int]:
    """Give the points at which a process was killed, before and after each statement, and check that it was."""
    program = f"from tests.qcore.killed_batches import *; main({name!r}, Path({str(folder)!r}))"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout
    *killed, last = [tuple(map(int, line.split())) for line in output.splitlines()]
    assert {-signal.SIGKILL} == {code for _, code in killed}
    assert last[1] == 0
    return [number for number, _ in killed]


def go_on(folder: Path) -> Counter[str]:
    """Let another worker go on, and count what it and the killed one left."""
    app = app_in(folder, later=LATER)
    work(app)
    assert app.connection().counts() == []
    app.close()
    return Counter(left_in(folder))


def test_a_dispatch_that_is_killed_has_counted_what_it_pushed_and_calls_nothing_back_too_early(tmp_path: Path) -> None:
    """BAT-02. Each member that was counted runs, once; then and finally come when all were there, and only then."""
    killed = killed_at_every_point("dispatch", tmp_path)

    seen = set()
    for number in killed:
        left = go_on(tmp_path / str(number))
        app = app_in(tmp_path / str(number))
        batches = found_in(app)
        app.close()
        if not batches:
            assert not left
            continue
        [found] = batches
        members = left.total() - left["progress"] - left["then"] - left["finally"]
        assert (found.total, found.done, found.total) == (members, members, left["progress"]), number
        assert left["then"] == left["finally"] == (found.state == "finished"), number
        assert left == WHOLE or found.state == "adding", number
        seen.add((found.state, found.total))
    assert seen == {("adding", 0), ("adding", 3), ("adding", 4), ("finished", 4)}
    assert go_on(tmp_path / str(len(killed) + 1)) == WHOLE


def test_who_dispatches_again_after_a_kill_has_a_whole_batch(tmp_path: Path) -> None:
    killed = killed_at_every_point("dispatch", tmp_path)
    folder = tmp_path / str(killed[len(killed) // 2])
    go_on(folder)
    (folder / "left").unlink(missing_ok=True)

    app = app_in(folder, later=LATER)
    with app.activate():
        pending(folder).dispatch()
    app.close()
    assert go_on(folder) == WHOLE


def test_a_dispatch_by_a_chain_that_is_killed_is_completed(tmp_path: Path) -> None:
    """CHN-13. The link that dispatches the batch comes back, and pushes what is missing."""
    killed = killed_at_every_point("dispatch by a chain", tmp_path)

    assert len(killed) > 40
    for number in (*killed, len(killed) + 1):
        assert go_on(tmp_path / str(number)) == WHOLE + Counter(["next"]), number


@pytest.mark.parametrize(
    ("name", "member", "others"),
    [
        ("last member", "last", ["progress", "progress", "then", "finally"]),
        ("last member fails", "bad", ["progress", "catch", "finally"]),
    ],
)
def test_the_end_of_the_last_member_calls_back_once(name: str, member: str, others: list[str], tmp_path: Path) -> None:
    """BAT-18, BAT-11, BAT-12. The member itself runs once more if its end was not stored."""
    killed = killed_at_every_point(name, tmp_path)

    runs = set()
    for number in killed:
        left = go_on(tmp_path / str(number))
        runs.add(left.pop(member))
        assert left == Counter(others), number
    assert len(killed) > 20
    assert {1, 2} <= runs <= {1, 2, 3}
