"""What a connection holds, as far as its driver can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from qcore.driver import Clearable, Inspectable, Sizable
from qcore.errors import UnsupportedError

if TYPE_CHECKING:
    from qcore.driver import Driver, Listed, QueueCounts


@runtime_checkable
class Placed(Protocol):
    """A home that people can find: a file, or a server."""

    @property
    def place(self) -> str:
        """Where it is, without secrets."""

    def exists(self) -> bool:
        """Tell whether there may be something to look into; looking may make it."""


def is_there(home: object) -> bool:
    """Tell whether a home can be looked into without making it."""
    return not isinstance(home, Placed) or home.exists()


class Holdings:
    """The payloads of one connection, to be looked at and cleared."""

    def __init__(self, name: str, driver: Driver, default_queue: str) -> None:
        """Take the connection's name, its driver, and the queue that is meant when none is named."""
        self.name = name
        self.driver = driver
        self.default_queue = default_queue

    def size(self, queue: str | None = None) -> int:
        """Count what is on a queue: ready, delayed and reserved.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Sizable):
            raise self.unable("count its jobs")
        return self.driver.size(queue or self.default_queue)

    def clear(self, queue: str | None = None) -> int:
        """Remove everything from a queue and say how much it was.

        :raises UnsupportedError: when the driver cannot do that.
        """
        if not isinstance(self.driver, Clearable):
            raise self.unable("clear a queue")
        return self.driver.clear(queue or self.default_queue)

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Inspectable):
            raise self.unable("show what it holds")
        return self.driver.counts()

    def listed(self, queue: str | None = None, *, limit: int = 100) -> list[Listed]:
        """Show what is on a queue, what becomes available first on top.

        :raises UnsupportedError: when the driver cannot know.
        """
        if not isinstance(self.driver, Inspectable):
            raise self.unable("show what it holds")
        return self.driver.listed(queue or self.default_queue, limit=limit)

    def unable(self, what: str) -> UnsupportedError:
        """Say that the driver cannot do something."""
        return UnsupportedError(f"the driver of the connection {self.name!r} cannot {what}")
