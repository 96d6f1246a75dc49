"""A statement as it is run: its text, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Mapping


class Statement(NamedTuple):
    """SQL in the words of one dialect, and the order of its inputs."""

    sql: str
    inputs: tuple[str, ...]
    limits: tuple[tuple[str, int], ...] = ()
    """Inputs whose characters are counted before: MySQL would cut off what is too long for its column."""

    def of_rows(self, count: int) -> str:
        """Write an INSERT of so many rows at once."""
        head, values, row = self.sql.partition(" VALUES ")
        return head + values + ", ".join([row] * count)

    def values(self, inputs: Mapping[str, Any]) -> list[Any]:
        """Put inputs in their order.

        :raises DriverError: for a text that is too long.
        """
        for name, most in self.limits:
            if len(inputs[name]) > most:
                message = (
                    f"{inputs[name]!r:.40} is too long by {len(inputs[name]) - most} characters: "
                    f"the database keeps {most} of a {name}"
                )
                raise DriverError(message)
        return [inputs[name] for name in self.inputs]
