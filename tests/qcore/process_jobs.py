"""Jobs for workers in processes of their own: they talk to the test through the pipes of the worker."""

from __future__ import annotations

import asyncio
import collections
import itertools
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from qcore.delivery import current_delivery
from qcore.jobs import Job

if TYPE_CHECKING:
    from typing import NoReturn


def tell(*words: object) -> None:
    """Write a line to the test, at once and as a whole."""
    os.write(1, f"{' '.join(map(str, words))}\n".encode())


def wait_for_the_test() -> None:
    """Wait until the test writes a line."""
    sys.stdin.readline()


class Tell(Job):
    def __init__(self, number: int, width: int = 0) -> None:
        self.number = number
        self.width = width

    def handle(self) -> None:
        tell("ran", f"{self.number:<{self.width}}")


class Block(Job):
    def handle(self) -> None:
        tell("started", self.attempts())
        wait_for_the_test()
        tell("finished")


class AsyncBlock(Job):
    async def handle(self) -> None:
        try:
            tell("started", self.attempts())
            await asyncio.Event().wait()
        finally:
            tell("cleaned up")


class BlockInFailed(Job):
    def handle(self) -> None:
        tell("started", self.attempts())
        raise ValueError

    def failed(self, error: BaseException) -> None:
        tell("failing", self.attempts(), type(error).__name__)
        wait_for_the_test()


class HangOnce(Job):
    """Hangs in its first attempt, in one way or another."""

    def __init__(self, how: str) -> None:
        self.how = how

    def handle(self) -> None:
        tell("started", self.attempts())
        if self.attempts() == 1:
            globals()[self.how]()


def hold_the_gil() -> NoReturn:
    """Loop in C code that looks at no signal and lets no other thread run."""
    collections.deque(itertools.repeat(0), maxlen=0)
    raise AssertionError


def swallow() -> NoReturn:
    """Catch whatever the limit raises, for ever."""
    while True:
        try:
            threading.Event().wait()
        except BaseException:  # noqa: BLE001 - the worst case
            tell("swallowed")


def take_the_alarm() -> NoReturn:
    """Switch the limit off."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    while True:
        threading.Event().wait()


def leave() -> NoReturn:
    """End the process without a word: this is no success."""
    os._exit(0)


class Escape(Job):
    """Forks a process that comes out of the job, in one way or another."""

    def __init__(self, how: str) -> None:
        self.how = how

    def handle(self) -> object:
        child = os.fork()
        if child == 0:
            if self.how == "exit":
                sys.exit(3)
            if self.how == "raise":
                raise ValueError(self.how)
            return self._later() if self.how == "return async" else None
        _, status = os.waitpid(child, 0)
        tell("child", os.waitstatus_to_exitcode(status))
        return None

    async def _later(self) -> None:
        await asyncio.tasks.sleep(0)


class Fork(Job):
    """Ends a process that it forked, as multiprocessing does."""

    def handle(self) -> None:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(writer, b"ready")
            while True:
                signal.pause()
        os.read(reader, 5)
        os.kill(child, signal.SIGTERM)
        _, status = os.waitpid(child, 0)
        tell("child ended by", os.WTERMSIG(status), "in", current_delivery().name)
