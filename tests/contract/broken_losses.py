"""Drivers that lose one of several, or what is theirs, in cases that a test of one payload alone does not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import NONE, Effects, Payload, Push, Reservation, Settled
from qcore.memory import due_at
from tests.contract.broken import Broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class OnePerInstant(Broken):
    """Has room for one delayed payload at each instant."""

    def is_taken(self, queue: str, delay: float) -> bool:
        due = due_at(self._clock.now(), delay)
        return delay > 0 and any(each.due == due and not each.reserved for each in self.memory.in_queue(queue))


class OneReleasePerInstant(OnePerInstant):
    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        if self.is_taken(reservation.queue, delay):
            return super().delete(reservation)
        return super().release(reservation, delay=delay, count=count, verdict=verdict)


class OneEffectPerInstant(OnePerInstant):
    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        kept = tuple(each for each in effects.pushes if not self.is_taken(each.queue, each.delay))
        return super().delete(reservation, effects=effects._replace(pushes=kept), only_last=only_last)


class OneOfABulkPerInstant(OnePerInstant):
    def bulk(self, pushes: Iterable[Push]) -> None:
        super().bulk({(each.queue, each.delay or each.payload.id): each for each in pushes}.values())


class TwoEffectsAtMost(Broken):
    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        return super().delete(reservation, effects=effects._replace(pushes=effects.pushes[:2]), only_last=only_last)


class StripsBodies(Broken):
    """Has a column of a type that drops blanks at the end."""

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        super().push(queue, payload._replace(body=payload.body.rstrip()), delay=delay)


class StripsBodiesInBulk(Broken):
    def bulk(self, pushes: Iterable[Push]) -> None:
        super().bulk(each._replace(payload=each.payload._replace(body=each.payload.body.strip())) for each in pushes)


class GivesUpWhatRanOut(Broken):
    """Takes a lease that ran out for one that another worker has."""

    def has_run_out(self, reservation: Reservation) -> bool:
        entry = self.entry(reservation)
        return entry is not None and entry.reserved and entry.due <= due_at(self._clock.now(), 0)

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        if self.has_run_out(reservation):
            return Settled.STALE
        return super().release(reservation, delay=delay, count=count, verdict=verdict)

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        return Settled.STALE if self.has_run_out(reservation) else super().extend(reservation, seconds)


class ServesTheLostFirst(Broken):
    """Looks for leases that ran out before it looks at the order of the queues."""

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        now = due_at(self._clock.now(), 0)
        lost = [
            name for name in queues if any(each.reserved and each.due <= now for each in self.memory.in_queue(name))
        ]
        return super().reserve([*lost, *queues], wait=wait)
