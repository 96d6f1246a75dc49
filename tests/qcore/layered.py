"""A job with the middleware that the test says, and layers that tell what passes through them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.jobs import Job
from qcore.layers import Middleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from qcore.layers import Next


class _Script(NamedTuple):
    handle: Callable[[Any], object]
    middleware: Callable[[Any], object]
    retry_until: float | None


_scripts: list[_Script] = []
heard: list[str] = []
"""What layers and jobs of this module told, since the test began."""


class Layered(Job):
    """Its payload holds the number of a script; what the script does is known to the test alone."""

    def __init__(self, number: int, user_id: int = 0) -> None:
        self.number = number
        self.user_id = user_id

    def middleware(self) -> Iterable[Any]:
        return _scripts[self.number].middleware(self)  # type: ignore[return-value] # tests give nonsense, too

    def handle(self) -> object:
        return _scripts[self.number].handle(self)

    def retry_until(self) -> float | None:
        return _scripts[self.number].retry_until


class OtherLayered(Layered):
    """A job of another class."""


def run(_: Job) -> None:
    """Tell that a job ran."""
    heard.append("ran")


def layered(
    *layers: Any,
    handle: Callable[[Any], object] = run,
    retry_until: float | None = None,
    kind: type[Layered] = Layered,
    user_id: int = 0,
) -> Layered:
    """Make a job with these layers; ``handle`` tells ``ran`` if nothing else is said."""
    return giving(lambda _: list(layers), handle=handle, retry_until=retry_until, kind=kind, user_id=user_id)


def giving(
    middleware: Callable[[Any], object],
    *,
    handle: Callable[[Any], object] = run,
    retry_until: float | None = None,
    kind: type[Layered] = Layered,
    user_id: int = 0,
) -> Layered:
    """Make a job whose ``middleware()`` does that."""
    _scripts.append(_Script(handle, middleware, retry_until))
    return kind(len(_scripts) - 1, user_id)


def telling(name: str) -> Callable[[Any, Next], object]:
    """Make a layer that tells its name before and after."""
    return Telling(name)


@dataclass(frozen=True)
class Telling(Middleware):
    name: str

    def __call__(self, job: Job, call_next: Next) -> object:
        heard.append(f"{self.name} in")
        try:
            return call_next(job)
        finally:
            heard.append(f"{self.name} out")


@dataclass(frozen=True)
class Foreign:
    """A layer that nobody meant to be found in a payload."""

    name: str

    def __call__(self, job: Job, call_next: Next) -> object:
        heard.append("foreign code")
        return call_next(job)
