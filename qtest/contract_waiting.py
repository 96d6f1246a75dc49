"""Waiting: on all queues at once, for a push and for what becomes due, and no longer than needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Extendable
from qtest.contract_base import ContractBase, needs, payload, pushed_and_reserved

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.driver import Driver, Reservation
    from qtest.clock import FrozenClock

PATIENCE = 60
"""Seconds of real time that a wait lasts at most. One that works ends at once, long before half of it is over."""


class WaitingContract(ContractBase):
    """What ``reserve(wait=...)`` waits for."""

    @needs("virtual_clock")
    def test_it_does_not_wait_when_something_is_there(self, driver: Driver, clock: FrozenClock) -> None:
        """Not even for the higher queue."""
        driver.push("low", payload())
        before = clock.now()

        assert driver.reserve(["high", "low"], wait=60) is not None
        assert before == clock.now()

    @needs("virtual_clock", "waits")
    @pytest.mark.parametrize("wait", [0, 0.3, 3, 7.25])
    def test_it_gives_up_when_the_wait_is_over(self, driver: Driver, clock: FrozenClock, wait: float) -> None:
        """Not before, and hardly after."""
        driver.push("default", payload(), delay=100)
        before = clock.now()

        assert driver.reserve(["default"], wait=wait) is None
        assert wait == pytest.approx(clock.now() - before, abs=0.000_01)

    @needs("virtual_clock", "waits")
    def test_it_gives_up_where_floating_point_misses_the_end(self, driver: Driver, clock: FrozenClock) -> None:
        """0.1 + 0.2 is more than 0.3: what is left of the wait then can never be slept."""
        clock.advance(0.1)

        assert driver.reserve(["default"], wait=0.2) is None

    @needs("virtual_clock", "waits")
    @pytest.mark.parametrize("delay", [0.001, 0.07, 2, 3])
    def test_it_wakes_when_a_delayed_payload_becomes_due(
        self, driver: Driver, clock: FrozenClock, delay: float
    ) -> None:
        """At that moment; also when that is the very end of the wait."""
        due = clock.now() + delay
        driver.push("default", payload(), delay=delay)

        assert driver.reserve(["default"], wait=3) is not None
        assert due == pytest.approx(clock.now(), abs=0.000_01)

    @needs("virtual_clock", "waits")
    def test_it_wakes_for_the_earliest_of_all_queues(self, driver: Driver, clock: FrozenClock) -> None:
        """Priority chooses among what is due, not what to wait for."""
        driver.push("high", payload("later"), delay=20)
        driver.push("low", payload("sooner"), delay=10)
        start = clock.now()

        first = driver.reserve(["high", "low"], wait=60)
        second = driver.reserve(["high", "low"], wait=60)

        assert ["sooner", "later"] == [each and each.payload.id for each in (first, second)]
        assert clock.now() - start == pytest.approx(20, abs=0.000_01)

    @needs("virtual_clock", "waits")
    def test_it_wakes_when_a_lease_ends(self, driver: Driver, clock: FrozenClock) -> None:
        """An idle worker takes over from a dead one at once."""
        pushed_and_reserved(driver)
        start = clock.now()

        reservation = driver.reserve(["default"], wait=10 * self.retry_after)

        assert (reservation and reservation.attempts) == 2
        assert clock.now() - start == pytest.approx(self.retry_after, abs=0.000_01)

    @needs("waits")
    @pytest.mark.parametrize("queue", ["high", "low"])
    def test_it_wakes_for_a_push_to_any_of_its_queues(self, queue: str) -> None:
        """Real time: an idle worker, and a push by another thread."""
        driver = self.make_driver(SystemClock())

        found = _meanwhile(
            lambda: driver.reserve(["high", "low"], wait=PATIENCE), lambda: driver.push(queue, payload())
        )

        assert (found and found.queue) == queue

    @needs("waits")
    def test_it_wakes_for_a_release(self) -> None:
        """What another worker gives back is there for the taking."""
        driver = self.make_driver(SystemClock())
        held = pushed_and_reserved(driver)

        found = _meanwhile(lambda: driver.reserve(["default"], wait=PATIENCE), lambda: driver.release(held))

        assert (found and found.payload) == held.payload

    @needs("waits", "extend")
    def test_it_wakes_for_a_lease_that_is_cut_short(self) -> None:
        """A supervisor that knows of a death gives the job away at once."""
        driver = self.make_driver(SystemClock())
        assert isinstance(driver, Extendable)
        extend = driver.extend
        held = pushed_and_reserved(driver)

        found = _meanwhile(lambda: driver.reserve(["default"], wait=PATIENCE), lambda: extend(held, 0.01))

        assert (found and found.attempts) == 2

    @needs("waits")
    def test_it_wakes_for_a_push_that_is_due_before_what_it_waits_for(self) -> None:
        """The wait is shortened while it lasts."""
        driver = self.make_driver(SystemClock())
        driver.push("default", payload("later"), delay=10 * PATIENCE)

        found = _meanwhile(
            lambda: driver.reserve(["default"], wait=PATIENCE),
            lambda: driver.push("default", payload("sooner"), delay=0.01),
        )

        assert (found and found.payload.id) == "sooner"


def _meanwhile(waits: Callable[[], Reservation | None], acts: Callable[[], object]) -> Reservation | None:
    """Wait in another thread, act in this one, and see what came of the wait."""
    found: list[Reservation | None] = []
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        found.append(waits())

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    begun.wait(PATIENCE)
    acts()
    thread.join(PATIENCE / 2)
    assert not thread.is_alive(), "the wait does not end"
    return found[0]
