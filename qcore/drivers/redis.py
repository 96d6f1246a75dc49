"""Queues on a redis server: shared by every process that can reach it."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING, Any

from qcore.batches import after_step
from qcore.clock import SystemClock
from qcore.driver import NONE, Effects, Listed, Payload, Push, QueueCounts, Reservation, Settled
from qcore.redis import batch_records, look_scripts, scripts
from qcore.redis.home import stamp
from qcore.redis.keys import name, place, queue_of
from qcore.redis.records import (
    failed_arguments,
    lock_arguments,
    micros,
    pieces,
    plain_arguments,
    push_arguments,
    taken,
    unlock_arguments,
)
from qcore.redis.script import call_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from qcore.clock import Clock
    from qcore.driver import Lock
    from qcore.redis.home import RedisHome
    from qcore.redis.script import Argument
    from qcore.redis.waiting import Waiter

_MOMENT = 0.000_001
"""Waits below the resolution of clocks are over."""

_POLL = 0.02
"""Seconds between two looks where a server cannot be waited on."""

_SETTLED = {each.value.encode(): each for each in Settled}


class RedisDriver:
    """A driver whose payloads live on a redis server."""

    shared = True

    def __init__(self, home: RedisHome, clock: Clock, *, retry_after: float = 90) -> None:
        """Use the keys of ``home``; nothing is opened before the first call.

        Its time is that of the server, unless ``clock`` is one of a test.
        """
        self.home = home
        self.retry_after = retry_after
        self._clock = clock
        self._lease = micros(retry_after)
        self._is_real = isinstance(clock, SystemClock)
        self._local = threading.local()
        self._places: dict[tuple[str, ...], tuple[bytes, ...]] = {}

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        """Store a payload, due in ``delay`` seconds."""
        self.home.run(scripts.PUSH, *plain_arguments(queue, payload, delay), now=stamp(self._clock))

    def bulk(self, pushes: Iterable[Push]) -> None:
        """Store all, in order; some hundred in one step."""
        for piece in pieces(pushes):
            if any(push.lock for push in piece):
                script, written = scripts.PUSH_LOCKED, [push_arguments(push) for push in piece]
            else:
                script, written = scripts.PUSH, [plain_arguments(*push) for push in piece]
            self.home.run(script, *chain.from_iterable(written), now=stamp(self._clock))

    def push_locked(self, push: Push) -> str | None:
        """Store a payload and take its lock; gives the owner of the lock when that refused the push."""
        holder = self.home.run(scripts.PUSH_LOCKED, *push_arguments(push), now=stamp(self._clock))
        return None if holder is None else str(holder, "utf-8")

    def take_lock(self, lock: Lock) -> str | None:
        """Take a lock for a payload that is stored already, or not yet; gives the owner that holds it instead."""
        holder = self.home.run(scripts.TAKE_LOCK, *lock_arguments(lock), now=stamp(self._clock))
        return None if holder is None else str(holder, "utf-8")

    def reserve(self, queues: Sequence[str], *, wait: float = 0) -> Reservation | None:
        """Take the first due payload of the first queue that has one."""
        places = self._written(queues)
        found = self._take(places)
        if isinstance(found, Reservation):
            return found
        return None if wait <= 0 else self._wait_and_take(places, wait, found)

    def _written(self, queues: Sequence[str]) -> tuple[bytes, ...]:
        wanted = tuple(queues)
        places = self._places.get(wanted)
        if places is None:
            if len(self._places) > 100:  # noqa: PLR2004 - more sets of queues than a process works on
                self._places.clear()
            places = self._places[wanted] = tuple(map(place, wanted))
        return places

    def _take(self, places: tuple[bytes, ...]) -> Reservation | float | None:
        """Reserve; gives in how many seconds something becomes due when nothing is."""
        if not places:
            return None
        return self._read(self.home.run(scripts.RESERVE, self._lease, call_id(), *places, now=stamp(self._clock)))

    def _read(self, found: Any) -> Reservation | float | None:  # noqa: ANN401 - from a script
        if found is None:
            return None
        if type(found) is int:
            return found / 1_000_000
        if (waiter := getattr(self._local, "waiter", None)) is not None:
            waiter.stop()
        return taken(found)

    def _wait_and_take(self, places: tuple[bytes, ...], wait: float, due_in: float | None) -> Reservation | None:
        end = self._clock.monotonic() + wait
        while (left := end - self._clock.monotonic()) > _MOMENT:
            self._rest(places, left if due_in is None else min(left, due_in))
            found = self._take(places)
            if isinstance(found, Reservation):
                return found
            due_in = found
        return None

    def _rest(self, places: tuple[bytes, ...], seconds: float) -> None:
        if not self._is_real or not places:
            self._clock.sleep(seconds)  # on a clock that stands still nobody else pushes meanwhile
        elif self.home.block_for > 0 and self.home.client.can_block:
            self._waiter().wait(places, max(seconds, 0.001))
        else:
            self._clock.sleep(min(seconds, _POLL))

    def _waiter(self) -> Waiter:
        waiter: Waiter | None = getattr(self._local, "waiter", None)
        if waiter is None:
            from qcore.redis.waiting import Waiter

            waiter = self._local.waiter = Waiter(self.home)
        return waiter

    def delete(self, reservation: Reservation, *, effects: Effects = NONE, only_last: bool = False) -> Settled:
        """Remove a payload wherever it is, and apply ``effects`` in the same step."""
        said = b"changed"
        while said == b"changed":  # somebody else counted a member of the batch meanwhile
            script = scripts.DELETE if effects == NONE else scripts.DELETE_WITH
            more = [] if effects == NONE else self._effects(effects)
            head = (reservation.payload.id.encode(), reservation.token, int(only_last))
            said = self.home.run(script, *head, *more, now=stamp(self._clock))
        return _SETTLED[said]

    def delete_and_reserve(
        self, reservation: Reservation, queues: Sequence[str], *, effects: Effects = NONE
    ) -> tuple[Settled, Reservation | None]:
        """Remove a payload and take the next one, in one exchange with the server."""
        places = self._written(queues)
        if not places or effects.batch is not None:  # the count of a batch may have to be found out anew
            return self.delete(reservation, effects=effects), self.reserve(queues)
        lease: list[Argument] = [self._lease, call_id()]
        head: list[Argument] = [reservation.payload.id.encode(), reservation.token]
        if effects == NONE:
            script, arguments = scripts.DELETE_AND_RESERVE, [*lease, *head, *places]
        else:
            script = scripts.DELETE_WITH_AND_RESERVE
            arguments = [*head, 0, *self._effects(effects), *lease, *places]
        said, _, found = self.home.run(script, *arguments, now=stamp(self._clock)).partition(b" ")
        following = self._read(found or None)
        return _SETTLED[said], following if isinstance(following, Reservation) else None

    def _effects(self, effects: Effects) -> list[Argument]:
        batch = effects.batch
        seen = None if batch is None else batch_records.look(self.home, batch.batch_id, (batch.member, *batch.dropped))
        counted = None if seen is None or batch is None else after_step(seen.record, seen.states, batch)
        pushes = effects.pushes if counted is None else effects.pushes + counted.pushes
        failed = effects.failed
        return [
            len(effects.unlocks),
            len(pushes),
            int(failed is not None),
            int(counted is not None),
            *unlock_arguments(effects.unlocks),
            *(argument for push in pushes for argument in push_arguments(push)),
            *([] if failed is None else failed_arguments(failed)),
            *([] if counted is None or seen is None else batch_records.counted_arguments(counted, seen.version)),
        ]

    def release(self, reservation: Reservation, *, delay: float = 0, count: bool = True, verdict: str = "") -> Settled:
        """Give a reserved payload back, due in ``delay`` seconds."""
        arguments = (micros(delay), int(not count), verdict)
        head = (reservation.payload.id.encode(), reservation.token)
        return _SETTLED[self.home.run(scripts.RELEASE, *head, *arguments, now=stamp(self._clock))]

    def extend(self, reservation: Reservation, seconds: float) -> Settled:
        """Let the lease end ``seconds`` from now."""
        head = (reservation.payload.id.encode(), reservation.token)
        return _SETTLED[self.home.run(scripts.EXTEND, *head, micros(seconds), now=stamp(self._clock))]

    def size(self, queue: str) -> int:
        """Count the payloads of a queue: ready, delayed and reserved."""
        return int(self.home.run(look_scripts.SIZE, place(queue)))

    def clear(self, queue: str) -> int:
        """Remove every payload of a queue, and say how many; in steps that keep the server busy for a moment only.

        What is pushed meanwhile may be removed, or stay.
        """
        left, removed = self.size(queue), 0
        while left > 0 and (count := int(self.home.run(look_scripts.CLEAR, place(queue)))):
            left, removed = left - count, removed + count
        return removed

    def counts(self) -> list[QueueCounts]:
        """Count every queue that holds something, by name."""
        places = sorted(self.home.run(look_scripts.QUEUES))
        rows = []
        for first in range(0, len(places), 100):
            rows += self.home.run(look_scripts.COUNTS, *places[first : first + 100], now=stamp(self._clock))
        return sorted(
            QueueCounts(queue_of(where), ready, delayed, reserved, int(waited) / 1000 if waited else None)
            for where, ready, delayed, reserved, waited in rows
        )

    def listed(self, queue: str, *, limit: int = 100) -> list[Listed]:
        """Show the payloads of a queue in the order in which they become available."""
        if limit <= 0:
            return []
        rows = self.home.run(look_scripts.LISTED, place(queue), limit, now=stamp(self._clock))
        rows = sorted((int(due), int(number), job_id, state) for due, number, job_id, state in rows)[:limit]
        shown = {}
        for first in range(0, len(rows), 100):
            ids = [row[2] for row in rows[first : first + 100]]
            shown.update(
                {job_id: (body, attempts) for job_id, body, attempts in self.home.run(look_scripts.BODIES, *ids)}
            )
        return [
            Listed(queue, Payload(job_id.decode(), shown[job_id][0]), state.decode(), int(attempts), due / 1000)
            for due, _, job_id, state in rows
            if (attempts := shown[job_id][1])  # else it was deleted between the two looks
        ]

    def find(self, job_id: str) -> Listed | None:
        """Look a live payload up."""
        found = self.home.run(look_scripts.FIND, name(job_id, "the id of a job"), now=stamp(self._clock))
        if found is None:
            return None
        where, body, attempts, due, state = found
        return Listed(queue_of(where), Payload(job_id, body), state.decode(), int(attempts), int(due) / 1000)

    def next_due(self, queues: Sequence[str]) -> float | None:
        """Tell when the next payload of these queues becomes available, in seconds since 1970."""
        first = self.home.run(look_scripts.NEXT_DUE, *self._written(queues), now=stamp(self._clock))
        return None if first is None else int(first) / 1000

    def warnings(self) -> list[str]:
        """Say what is wrong with the settings of the server, a sentence each."""
        return self.home.warnings()
