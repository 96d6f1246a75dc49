"""Delete one payload and reserve the next in one round trip: the same as one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import Driver, Effects, Pipelined, Push, Settled
from qtest.contract_base import ContractBase, lost_and_reserved, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qtest.clock import FrozenClock


class PipelinedContract(ContractBase):
    """What ``delete`` and ``reserve`` promise holds when they are one call."""

    @pytest.fixture
    def pipelined(self, driver: Driver) -> Pipelined:
        """Give the driver under test."""
        assert isinstance(driver, Pipelined)
        return driver

    @needs("pipelined")
    def test_one_payload_is_deleted_and_the_next_reserved(self, driver: Driver, pipelined: Pipelined) -> None:
        """It is a reservation like any other."""
        held = pushed_and_reserved(driver, "first")
        driver.push("low", payload("second", b"its body"))

        settled, reservation = pipelined.delete_and_reserve(held, ["high", "low"])

        assert settled is Settled.DONE
        assert reservation is not None
        assert ("low", payload("second", b"its body"), 1, "") == (*reservation[:3], reservation.verdict)
        assert driver.reserve(["default", "low"]) is None
        assert driver.delete(held) is Settled.GONE
        assert driver.delete(reservation) is Settled.DONE

    @needs("pipelined")
    def test_a_payload_is_deleted_although_no_other_waits(self, driver: Driver, pipelined: Pipelined) -> None:
        """Also when there is no queue to reserve from, or one is due later."""
        for queues in ([], ["default"], ["default", "other"]):
            held = pushed_and_reserved(driver)
            driver.push("other", payload("later"), delay=60)

            assert (Settled.DONE, None) == pipelined.delete_and_reserve(held, queues)
            assert driver.delete(held) is Settled.GONE

    @needs("pipelined")
    def test_the_next_is_reserved_whatever_became_of_the_delete(self, driver: Driver, pipelined: Pipelined) -> None:
        """The worker has nothing in its hands any more in any case."""
        gone = pushed_and_reserved(driver, "gone")
        assert driver.delete(gone) is Settled.DONE
        driver.push("default", payload("next"))

        settled, reservation = pipelined.delete_and_reserve(gone, ["default"])

        assert settled is Settled.GONE
        assert reservation is not None
        assert reservation.payload.id == "next"

    @needs("pipelined", "virtual_clock", "fencing")
    def test_a_success_is_accepted_late_and_the_copy_is_not_reserved(
        self, driver: Driver, pipelined: Pipelined, clock: FrozenClock
    ) -> None:
        """Somebody else has it by now; or it waits again, and would be the next one."""
        late, newest = lost_and_reserved(driver, clock)
        assert (Settled.LATE, None) == pipelined.delete_and_reserve(late, ["default"])
        assert driver.delete(newest) is Settled.GONE

        lost = pushed_and_reserved(driver)
        clock.advance(self.retry_after)
        assert (Settled.DONE, None) == pipelined.delete_and_reserve(lost, ["default"])

    @needs("pipelined", "fencing")
    def test_a_token_of_an_earlier_life_deletes_nothing(self, driver: Driver, pipelined: Pipelined) -> None:
        """The payload was pushed anew since: it is reserved instead."""
        old = pushed_and_reserved(driver)
        assert driver.delete(old) is Settled.DONE
        driver.push("default", payload("job", b"new"))
        newer = reserved(driver)
        assert driver.release(newer) is Settled.DONE

        settled, reservation = pipelined.delete_and_reserve(old, ["default"])

        assert settled is Settled.STALE
        assert reservation is not None
        assert (b"new", 2) == (reservation.payload.body, reservation.attempts)

    @needs("pipelined", "effects_atomic")
    def test_effects_come_before_the_reserve(self, driver: Driver, pipelined: Pipelined) -> None:
        """The next link of a chain may be the next payload; and it is pushed once."""
        held = pushed_and_reserved(driver)
        effects = Effects(pushes=(Push("default", payload("link")),))

        settled, reservation = pipelined.delete_and_reserve(held, ["default"], effects=effects)

        assert settled is Settled.DONE
        assert reservation is not None
        assert reservation.payload.id == "link"
        assert (Settled.GONE, None) == pipelined.delete_and_reserve(held, ["default"], effects=effects)
