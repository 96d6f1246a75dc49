"""A connection that discards: to switch a queue off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import NONE, Effects, Payload, Reservation, Settled

if TYPE_CHECKING:
    from collections.abc import Sequence


class NullDriver:
    """A driver that keeps nothing."""

    shared = False

    def __init__(self, *, retry_after: float = 90) -> None:
        """Be a home of its own, which no store shares."""
        self.home = object()
        self.retry_after = retry_after

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Discard the payload."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:  # noqa: ARG002 - nothing will come
        """Find nothing, at once."""
        return None

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:  # noqa: ARG002 - there is nothing to delete
        """Say that there is no such job."""
        return Settled.GONE

    def release(
        self,
        reservation: Reservation,  # noqa: ARG002 - there is nothing to release
        *,
        delay: float = 0,  # noqa: ARG002
        count: bool = True,  # noqa: ARG002
        verdict: str = "",  # noqa: ARG002
    ) -> Settled:
        """Say that there is no such job."""
        return Settled.GONE
