"""A worker is killed between any two statements of a chain: no link is lost, and none is doubled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.qcore.killed_chains import LATER, app_in, left_in, work

ROOT = Path(__file__).parents[2]


def killed_at_every_point(name: str, folder: Path) -> list[int]:
    """Give the points at which a worker was killed, before and after each statement, and check that it was."""
    program = f"from tests.qcore.killed_chains import main, Path; main({name!r}, Path({str(folder)!r}))"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout
    *killed, last = [tuple(map(int, line.split())) for line in output.splitlines()]
    assert {-signal.SIGKILL} == {code for _, code in killed}
    assert last[1] == 0
    return [number for number, _ in killed]


def doubled_after(number: int, folder: Path, expected: list[str]) -> int:
    """Let another worker go on where one was killed, and count what ran too often; nothing may be missing."""
    app = app_in(folder / str(number), later=LATER)
    work(app)
    found = left_in(folder / str(number))
    assert set(expected) == set(found), f"killed at {number}"
    assert [[], []] == [app.connection(each).counts() for each in ("this", "other")]
    app.close()
    return (Counter(found) - Counter(expected)).total()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("links", [*"ab", "add", "c", "added"]),
        ("failure", ["a", "bad", "bad", "caught"]),
        ("batch", [*"axyc"]),
        ("batch that fails", [*"ax", "bad", "bad", "caught"]),
    ],
)
def test_a_chain_survives_a_worker_that_is_killed_at_any_point(name: str, expected: list[str], tmp_path: Path) -> None:
    """CHN-03. No link is lost, and at most the one that ran when the worker died runs once more."""
    killed = killed_at_every_point(name, tmp_path)

    assert len(killed) > 5 * 2 * len(expected)
    assert expected == left_in(tmp_path / str(len(killed) + 1))
    assert {0, 1} == {doubled_after(number, tmp_path, expected) for number in killed}


@pytest.mark.parametrize(
    ("name", "expected", "crossings"),
    [("links elsewhere", [*"aBCdE"], 3), ("failure elsewhere", ["a", "bad", "bad", "caught"], 1)],
)
def test_a_chain_that_crosses_connections_loses_nothing(
    name: str, expected: list[str], crossings: int, tmp_path: Path
) -> None:
    """CHN-03. Two databases know no common step, so the next link is pushed before the delete.

    A worker that dies in between, before or after the statement of the one, lets what follows run twice. At any other
    point it is as on one connection.
    """
    killed = killed_at_every_point(name, tmp_path)
    doubled = [doubled_after(number, tmp_path, expected) for number in killed]

    assert expected == left_in(tmp_path / str(len(killed) + 1))
    assert len([count for count in doubled if count > 1]) <= 2 * crossings
    assert max(doubled) < len(expected)
