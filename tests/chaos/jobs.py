"""The jobs of a run: each writes down when it starts and when it has done its work."""

from __future__ import annotations

import os
from pathlib import Path

from qcore import Job
from qcore.delivery import current_delivery
from qcore.middleware import WithoutOverlapping
from tests.chaos.history import CLOCK, History

FOLDER = "CHAOS_FOLDER"
"""The variable of the environment that says where the histories are."""

history = History(Path(os.environ.get(FOLDER, ".")))


class Deliberate(Exception):  # noqa: N818 - it is no fault
    """What a job raises that is meant to."""


class Plain(Job, tries=0):
    """Does its work, however often it takes."""

    def __init__(self, name: str, seconds: float = 0.002) -> None:
        self.name = name
        self.seconds = seconds

    def handle(self) -> None:
        self.note("start")
        self.work()
        self.note("end")

    def work(self) -> None:
        CLOCK.sleep(self.seconds)

    def note(self, what: str) -> None:
        delivery = current_delivery()
        history.note(what, id=delivery.id, name=self.name, attempts=delivery.attempts())


class Once(Plain, tries=1):
    """Has one try: whoever dies over it lets it fail."""

    def failed(self, error: BaseException) -> None:
        self.note("failed()")


class Flaky(Plain, backoff=0.05):
    """Raises in its first attempts."""

    def __init__(self, name: str, fails: int) -> None:
        super().__init__(name)
        self.fails = fails

    def work(self) -> None:
        super().work()
        if self.attempts() <= self.fails:
            raise Deliberate


class Doomed(Plain, tries=2, backoff=0.05):
    """Raises whenever it runs."""

    def work(self) -> None:
        super().work()
        raise Deliberate

    def failed(self, error: BaseException) -> None:
        self.note("failed()")


class Only(Plain, unique=True, unique_for=3600):
    """The only one with its key."""

    def __init__(self, name: str, key: str) -> None:
        super().__init__(name)
        self.key = key

    def unique_id(self) -> object:
        return self.key


class Alone(Plain):
    """Never runs while another one with its key does."""

    def __init__(self, name: str, key: str) -> None:
        super().__init__(name, 0.01)
        self.key = key

    def middleware(self) -> list[WithoutOverlapping]:
        return [WithoutOverlapping(self.key, release_after=0.05)]
