"""The processes of a run: workers, each replaced when it was killed, and the producer. None is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qcore
from tests.chaos.apps import SETTINGS
from tests.chaos.history import CLOCK
from tests.chaos.jobs import FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(qcore.__file__).parents[1]
PATIENCE = 60.0
"""Seconds that a process gets to end when it was told to: more than a machine under load needs."""

NO_SERVER = 2
"""The exit code of a worker that finds no server when it begins."""

KILLED = (-signal.SIGKILL,)
"""How one ends that was killed."""

WORK = ("-m", "qcore", "--app", "tests.chaos.apps:app", "work", "--timeout", "0", "--sleep", "0.2", "--quiet")


def wait_until(happened: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until something has happened.

    :raises TimeoutError: when it does not.
    """
    end = CLOCK.monotonic() + seconds
    while not happened():
        if CLOCK.monotonic() > end:
            raise TimeoutError(f"waited {seconds:g} seconds in vain for {what}")
        CLOCK.sleep(0.02)


class Process:
    """One process, and what it says on stderr."""

    def __init__(self, folder: Path, number: int, arguments: Sequence[str], connection: dict[str, Any]) -> None:
        self._folder = folder
        self._errors = folder / f"stderr {number}"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT), SETTINGS: json.dumps(connection), FOLDER: str(folder)},
            )
        self.pid = self._process.pid
        self.expected: tuple[int, ...] = (0,)
        """The codes with which it may end."""

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self.expected = KILLED
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        """Tell it to end in order; one that has not taken the signals yet may die of it."""
        if not self.has_begun:
            self.expected = (0, -signal.SIGTERM)
        self._process.terminate()

    @property
    def has_begun(self) -> bool:
        """True when it has written something down: it has taken the signals by then."""
        return (self._folder / f"{self.pid}.history").exists()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        self._process.wait(PATIENCE)

    def end(self) -> None:
        """End it, whatever it does."""
        if self.runs:
            self._process.kill()
            self._process.wait(PATIENCE)

    @property
    def said(self) -> str:
        """What it has written to stdout and stderr."""
        return self._errors.read_text(errors="replace")

    @property
    def trouble(self) -> str:
        """What went wrong with a process that has ended; empty when nothing did."""
        said, code = self.said, self._process.returncode
        if code in self.expected and "Traceback" not in said:
            return ""
        return f"process {self.pid} ended with {code}, and said: {said[-2000:].strip() or 'nothing'}"


class Crew:
    """The workers of a run, and all that were there before them."""

    def __init__(self, folder: Path, connection: dict[str, Any], size: int) -> None:
        self.all: list[Process] = []
        self.server_was_away = False
        """A worker that begins while its server is away says so, and ends."""
        self._folder = folder
        self._connection = connection
        self._size = size

    def begin(self, *scenario: str) -> None:
        """Start the producer and the workers."""
        self._producer = ("-m", "tests.chaos.producer", *scenario)
        self._start(*self._producer)
        self.fill()

    @property
    def produces(self) -> bool:
        """True while the producer runs."""
        return self.all[0].runs

    def kill_producer(self) -> None:
        """Kill it, and start another one, which goes on where it was; one that has done its work is left alone."""
        if self.produces:
            self.all[0].kill()
            self._start(*self._producer)
            self.all[0], self.all[-1] = self.all[-1], self.all[0]

    def fill(self) -> None:
        """Start a worker for each that is missing, as a service manager does."""
        for each in self.all[1:] if self.server_was_away else ():
            if not each.has_begun and each.expected != KILLED:
                each.expected = (0, -signal.SIGTERM, NO_SERVER)
        while len(self.workers) < self._size:
            self._start(*WORK)

    @property
    def workers(self) -> list[Process]:
        """Those that run."""
        return [each for each in self.all[1:] if each.runs]

    def ready(self) -> list[Process]:
        """Give the workers that have begun; waits for the first one."""
        wait_until(lambda: any(each.has_begun for each in self.workers), "a worker that begins")
        return [each for each in self.workers if each.has_begun]

    def stop(self) -> None:
        """Tell all workers to end, and wait until they have."""
        workers = self.workers
        for each in workers:
            each.stop()
        for each in workers:
            each.wait()

    def end(self) -> None:
        """End whatever still runs."""
        for each in self.all:
            each.end()

    def trouble(self) -> list[str]:
        return [said for each in self.all if (said := each.trouble)]

    def _start(self, *arguments: str) -> Process:
        self.all.append(Process(self._folder, len(self.all), arguments, self._connection))
        return self.all[-1]
