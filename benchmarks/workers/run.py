"""Runs one peer in its own environment: ``python -m benchmarks.workers.run rq push 1000``, or ``... rq work``."""

from __future__ import annotations

import sys
import time
from importlib import import_module


def main(peer: str, what: str, jobs: str = "0") -> None:
    """Push jobs one by one and print how many seconds that took, or work until somebody ends the process."""
    module = import_module(f"benchmarks.workers.{peer}")
    if what == "work":
        module.work()
        return
    module.push(1)  # it connects
    begin = time.perf_counter()
    module.push(int(jobs))
    print(time.perf_counter() - begin)


if __name__ == "__main__":
    main(*sys.argv[1:])
