"""What the job of every peer does, and of qcore beside them: it counts itself.

The time from one job to another is taken while more jobs wait behind them: how long a worker takes to start, to warm
up and to notice that nothing is left is not measured.
"""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

REDIS = "BENCHMARK_REDIS"
"""Environment variable with the address of the server."""
FILE = "BENCHMARK_FILE"
"""... with the file to which the seconds are written."""
FIRST = "BENCHMARK_FIRST"
"""... with the number of the job at which the time begins."""
LAST = "BENCHMARK_LAST"
"""... and of the one at which it ends."""

_numbers = itertools.count(1)  # also when jobs run in threads: next() is one step
_first, _last = int(os.environ.get(FIRST, "0")), int(os.environ.get(LAST, "0"))
_begin = [0.0, 0.0]


def count() -> None:
    """Count one job; the last one writes how many seconds have passed since the first, and how many the process ran."""
    number = next(_numbers)
    if number == _first:
        _begin[:] = time.perf_counter(), time.process_time()
    elif number == _last:
        taken = time.perf_counter() - _begin[0], time.process_time() - _begin[1]
        file = Path(os.environ[FILE])
        part = file.with_suffix(".part")
        part.write_text(f"{taken[0]} {taken[1]}")
        part.rename(file)  # whoever waits for it finds it whole


def url() -> str:
    """Give the address of the server that all use."""
    return os.environ[REDIS]
