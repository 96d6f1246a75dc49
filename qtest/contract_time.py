"""Time and order: never early, in the order of being due, and strictly by the priority of the worker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from qcore.driver import Driver, Extendable, Settled
from qcore.errors import QcoreError
from qtest.contract_base import ContractBase, drained, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qtest.clock import FrozenClock

MILLISECOND = 0.001

DELAYS = [0.001, 0.07, 0.25, 1, 1.1, 59.999, 86_400, 315_360_000]


class TimeContract(ContractBase):
    """What a driver does when."""

    @needs("virtual_clock")
    @pytest.mark.parametrize("delay", DELAYS)
    def test_a_delayed_payload_comes_when_it_is_due_and_never_early(
        self, driver: Driver, clock: FrozenClock, delay: float
    ) -> None:
        """Not one millisecond before, and not one after."""
        driver.push("default", payload(), delay=delay)
        clock.advance(delay - MILLISECOND)
        assert driver.reserve(["default"]) is None
        clock.advance(MILLISECOND)

        assert reserved(driver).attempts == 1

    @needs("virtual_clock")
    @pytest.mark.parametrize("start", [0.000_1, 0.000_5, 0.000_9])
    @pytest.mark.parametrize("delay", [0.000_3, 0.000_9, 0.001_5, 1.000_2])
    def test_a_fraction_of_a_millisecond_is_never_early(
        self, driver: Driver, clock: FrozenClock, start: float, delay: float
    ) -> None:
        """Whatever unit the backend counts in, it rounds up; and it makes up to a millisecond of it."""
        clock.advance(start)
        driver.push("default", payload(), delay=delay)
        clock.advance(delay - 0.000_1)
        assert driver.reserve(["default"]) is None
        clock.advance(0.000_1 + MILLISECOND)

        assert reserved(driver).attempts == 1

    @needs("virtual_clock")
    @pytest.mark.parametrize("start", [0, 0.000_1, 0.000_9])
    @pytest.mark.parametrize("delay", [0, -5])
    def test_without_a_delay_it_is_due_at_once(
        self, driver: Driver, clock: FrozenClock, start: float, delay: float
    ) -> None:
        """Also in the middle of a millisecond. A delay that is over is none."""
        clock.advance(start)
        driver.push("default", payload(), delay=delay)
        first = reserved(driver)
        driver.release(first, delay=delay)

        assert reserved(driver).attempts == 2

    @pytest.mark.parametrize("delay", [math.nan, math.inf])
    def test_a_delay_that_cannot_be_kept_is_refused(self, driver: Driver, delay: float) -> None:
        """Nothing is stored, rather than something that comes at another time, or never."""
        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.push("default", payload(), delay=delay)

        assert driver.reserve(["default"]) is None
        driver.push("default", payload())
        assert reserved(driver).attempts == 1

    @needs("virtual_clock")
    def test_a_released_payload_is_never_early(self, driver: Driver, clock: FrozenClock) -> None:
        """The backoff of a job is kept to the millisecond."""
        driver.release(pushed_and_reserved(driver), delay=5)
        clock.advance(5 - MILLISECOND)
        assert driver.reserve(["default"]) is None
        clock.advance(MILLISECOND)

        assert reserved(driver).payload.id == "job"

    @needs("virtual_clock")
    @pytest.mark.parametrize("delay", [0, 5])
    def test_all_that_are_released_to_one_instant_come_back(
        self, driver: Driver, clock: FrozenClock, delay: float
    ) -> None:
        """A place in time is no key: others may have it, also those that were pushed to it."""
        expected = ["a", "b", "c"]
        for job_id in expected:
            driver.push("default", payload(job_id))
        held = [reserved(driver) for _ in expected]
        driver.push("default", payload("pushed"), delay=delay)
        for each in held:
            assert driver.release(each, delay=delay) is Settled.DONE
        clock.advance(delay)

        assert [*expected, "pushed"] == sorted(drained(driver))

    @needs("virtual_clock")
    def test_a_lease_is_kept_until_its_end(self, driver: Driver, clock: FrozenClock) -> None:
        """``retry_after``, to the millisecond."""
        pushed_and_reserved(driver)
        clock.advance(self.retry_after - MILLISECOND)
        assert driver.reserve(["default"]) is None
        clock.advance(MILLISECOND)

        assert reserved(driver).payload.id == "job"

    @needs("virtual_clock", "extend")
    @pytest.mark.parametrize("seconds", [5, 600])
    def test_an_extended_lease_ends_when_it_was_said_to(
        self, driver: Driver, clock: FrozenClock, seconds: float
    ) -> None:
        """Counted from now; it may also end sooner than before."""
        assert isinstance(driver, Extendable)
        reservation = pushed_and_reserved(driver)
        clock.advance(1)

        assert driver.extend(reservation, seconds) is Settled.DONE
        clock.advance(seconds - MILLISECOND)
        assert driver.reserve(["default"]) is None
        clock.advance(MILLISECOND)
        assert reserved(driver).payload.id == "job"

    @needs("virtual_clock", "extend")
    def test_an_extension_can_be_repeated(self, driver: Driver, clock: FrozenClock) -> None:
        """A long job renews its lease again and again, and settles in the end."""
        assert isinstance(driver, Extendable)
        reservation = pushed_and_reserved(driver)
        for _ in range(5):
            clock.advance(self.retry_after - 1)
            assert driver.extend(reservation, self.retry_after) is Settled.DONE

        assert driver.reserve(["default"]) is None
        assert driver.delete(reservation, only_last=True) is Settled.DONE

    @needs("ordered")
    def test_first_pushed_is_first_reserved(self, driver: Driver) -> None:
        """FIFO, also within one moment."""
        expected = [f"job {number}" for number in range(30)]
        for job_id in expected:
            driver.push("default", payload(job_id))

        assert expected == drained(driver)

    @needs("ordered", "virtual_clock")
    def test_what_is_due_first_comes_first_and_ties_come_in_the_order_of_their_pushes(
        self, driver: Driver, clock: FrozenClock
    ) -> None:
        """A delayed payload takes its turn by the time at which it is due, not at which it was pushed."""
        for job_id, delay in (("c", 3), ("a", 1), ("d", 3), ("b", 2), ("e", 3)):
            driver.push("default", payload(job_id), delay=delay)
        clock.advance(2)
        driver.push("default", payload("b2"))
        clock.advance(5)

        assert ["a", "b", "b2", "c", "d", "e"] == drained(driver)

    @needs("ordered", "virtual_clock")
    def test_a_lost_payload_takes_its_turn_by_the_end_of_its_lease(self, driver: Driver, clock: FrozenClock) -> None:
        """It neither jumps the queue nor waits behind all of it."""
        pushed_and_reserved(driver, "lost")
        driver.push("default", payload("before"), delay=self.retry_after - 1)
        driver.push("default", payload("after"), delay=self.retry_after + 1)
        clock.advance(self.retry_after + 1)

        assert ["before", "lost", "after"] == drained(driver)

    @needs("ordered", "virtual_clock")
    def test_queues_are_served_by_strict_priority(self, driver: Driver, clock: FrozenClock) -> None:
        """The order given by the worker decides, whatever waited longer."""
        for queue in ("low", "middle", "high"):
            driver.push(queue, payload(f"{queue} 1"))
            driver.push(queue, payload(f"{queue} 2"))
            clock.advance(1)
        served = []
        while (reservation := driver.reserve(["high", "middle", "low"])) is not None:
            served.append(reservation.payload.id)

        assert ["high 1", "high 2", "middle 1", "middle 2", "low 1", "low 2"] == served

    @needs("virtual_clock")
    def test_a_lost_payload_of_a_low_queue_does_not_come_before_a_high_one(
        self, driver: Driver, clock: FrozenClock
    ) -> None:
        """What was lost is ready like any other: the priority of its queue decides."""
        driver.push("low", payload("lost"))
        reserved(driver, "low")
        clock.advance(self.retry_after)
        driver.push("high", payload("high"))

        found = [driver.reserve(["high", "low"]) for _ in range(2)]
        assert ["high", "lost"] == [each and each.payload.id for each in found]

    def test_a_queue_without_due_payloads_does_not_hold_up_those_after_it(self, driver: Driver) -> None:
        """Delayed and reserved payloads of a high queue do not starve a low one."""
        pushed_and_reserved(driver, "held")
        driver.push("default", payload("delayed"), delay=60)
        driver.push("low", payload("low"))

        reservation = driver.reserve(["empty", "default", "low"])

        assert ("low", "low") == (reservation and (reservation.queue, reservation.payload.id))
