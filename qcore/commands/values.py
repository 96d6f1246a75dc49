"""What may be written after an option: times, lists of times, names. The configuration is read by the same rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from qcore.options import checked_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

COUNT = click.IntRange(min=0)


class Number(click.ParamType):  # type: ignore[type-arg] # click 8.1 knows none
    """A number; ``min`` is the least it may be."""

    name = "number"

    def __init__(self, least: float = -math.inf) -> None:
        """Take the least value that means something."""
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it."""
        try:
            number = float(value)  # type: ignore[arg-type] # what is no number raises
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(value, bool) or not math.isfinite(number) or number < self._least:
            least = "" if self._least == -math.inf else f", {self._least:g} or more"
            self.fail(f"{value!r} is not a number{least}", param, ctx)
        return number


class Seconds(Number):
    """A length of time."""

    name = "seconds"

    def __init__(self) -> None:
        """Take no negative time."""
        super().__init__(0)


class Backoff(click.ParamType):  # type: ignore[type-arg] # click 8.1 knows none
    """Seconds before the next attempt: one number, or one for each attempt."""

    name = "seconds,..."

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, ...]:
        """Read it from a text or, in the configuration, from a number or list."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            parts = [parts]
        seconds = tuple(SECONDS.convert(part, param, ctx) for part in parts)
        return seconds[0] if len(seconds) == 1 else seconds


class Queues(click.ParamType):  # type: ignore[type-arg] # click 8.1 knows none
    """Names of queues, separated by commas."""

    name = "a,b"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Read them, each once."""
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            self.fail(f"{value!r} is no list of queues", param, ctx)
        names = tuple(dict.fromkeys(part.strip() if isinstance(part, str) else part for part in parts))
        names = tuple(checked_name(name, "queue") for name in names if name != "")
        if not names:
            self.fail(f"{value!r} names no queue", param, ctx)
        if option := next((name for name in names if name.startswith("--")), None):
            self.fail(f"{option!r} is an option, and no queue: the name of a queue is missing before it", param, ctx)
        return names


NUMBER = Number()
SECONDS = Seconds()
BACKOFF = Backoff()
QUEUES = Queues()


def largest(backoffs: Iterable[float | Sequence[float]]) -> float | Sequence[float]:
    """Give the backoff with the longest wait."""
    return max(backoffs, key=lambda each: max(each, default=0) if not isinstance(each, int | float) else each)
