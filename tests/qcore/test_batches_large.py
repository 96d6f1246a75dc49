"""Batches of many members: added some at a time, in memory that does not grow with them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, batch
from tests.qcore.batching import Step, all_callbacks, counts, forget, log

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore import Stopped
    from qtest.clock import FrozenClock

MANY = 2_001


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def test_a_large_batch_runs_and_ends_once(app: App, work: Callable[..., Stopped]) -> None:
    told: list[tuple[int, int | None]] = []
    pending = all_callbacks(batch(Step("x") for _ in range(MANY)))

    started = pending.dispatch(progress=lambda done, total: told.append((done, total)))
    assert told == [(1_000, None), (2_000, None), (MANY, None)]
    assert (started.total, started.pending) == (MANY, MANY)

    work()
    assert log == ["x"] * MANY + [f"then {MANY}/{MANY}", f"finally {MANY}/{MANY}"]
    assert counts(started) == (MANY, 0, MANY, 0, 0)


def test_the_memory_of_who_adds_does_not_grow_with_the_batch(tmp_path: Path, clock: FrozenClock) -> None:
    """On a database; the memory driver holds what was pushed in this process."""
    app = App(Config(default="database", root=tmp_path), clock=clock)
    peaks: list[int] = []

    def look(_done: int, _total: int | None) -> None:
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.reset_peak()

    tracemalloc.start()
    try:
        app.batch(Step("x" * 100) for _ in range(8_000)).dispatch(progress=look)
    finally:
        tracemalloc.stop()
        app.close()

    assert len(peaks) == 8
    assert max(peaks[2:]) < 1.2 * peaks[1]
