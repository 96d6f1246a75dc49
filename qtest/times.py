"""How often something is to have happened."""

from __future__ import annotations

from typing import NamedTuple

from qtest.expecting import ExpectationError


class Times(NamedTuple):
    """A range of counts."""

    least: int
    most: int | None

    def holds(self, count: int) -> bool:
        """Tell whether a count is in the range."""
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        """Say it in words."""
        if self.most is None:
            return f"at least {_often(self.least)}"
        if self.least == self.most:
            return _often(self.least)
        return f"at most {_often(self.most)}" if self.least == 0 else f"{self.least} to {self.most} times"


def _often(count: int) -> str:
    return {0: "never", 1: "once"}.get(count, f"{count} times")


def at_least(count: int) -> Times:
    """Mean that many, or more."""
    return Times(_checked(count), None)


def at_most(count: int) -> Times:
    """Mean that many, or fewer."""
    return Times(0, _checked(count))


def between(least: int, most: int) -> Times:
    """Mean a count from ``least`` to ``most``, both included."""
    if _checked(least) > _checked(most):
        raise ExpectationError(f"between(least, most) begins with the smaller number, got {least} and {most}")
    return Times(least, most)


def as_times(given: int | Times | None) -> Times:
    """Understand what a test gave; None: at least once."""
    if given is None:
        return Times(1, None)
    return given if isinstance(given, Times) else Times(_checked(given), given)


def _checked(count: object) -> int:
    if type(count) is int and count >= 0:
        return count
    raise ExpectationError(f"times is a whole number, at_least(n), at_most(n) or between(n, m), got {count!r}")
