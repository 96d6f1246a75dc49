"""Jobs that another process runs, and that leave a trace in the current folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time  # noqa: TID251 - what jobs of users do
from pathlib import Path

from qcore import Job, job


class Note(Job):
    def __init__(self, text: str) -> None:
        self.text = text

    def handle(self) -> None:
        note(self.text)


class Boom(Job, tries=2, backoff=60):
    def handle(self) -> None:
        message = "boom"
        raise ValueError(message)


class BoomOnce(Boom, tries=1):
    """Fails for good at once."""


@job
def first() -> None:
    Note("pushed by a job").dispatch(queue="next")


@job
def tell_environment() -> None:
    note(" ".join(sorted(name for name in os.environ if name.startswith(("QCORE_", "QUEUE_")))))


@job(timeout=0)
def hang() -> None:
    """Stay, and keep stdout open from a process of one's own."""
    subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"], check=True)


@job
def tell_real_time() -> None:
    note(str(time.time() > 1_700_000_000))


def note(text: str) -> None:
    with Path("notes.txt").open("a") as file:
        file.write(f"{text}\n")


def notes() -> list[str]:
    return Path("notes.txt").read_text().splitlines() if Path("notes.txt").exists() else []
