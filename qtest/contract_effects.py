"""Effects happen with the delete, exactly when it removed something, and once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from qcore.driver import Driver, Effects, Payload, Push, Settled
from qcore.errors import QcoreError
from qcore.failed import FailedJob
from qtest.contract_base import (
    ContractBase,
    drained,
    lost_and_reserved,
    needs,
    payload,
    pushed_and_reserved,
    reserved,
)

if TYPE_CHECKING:
    from qtest.clock import FrozenClock

NEXT = Effects(pushes=(Push("next", payload("link", b"\0link")), Push("next", payload("slow"), 30)))


class EffectsContract(ContractBase):
    """Follow-up pushes and the failed record come in the same step as the delete, or not at all."""

    @needs("effects_atomic")
    def test_effects_come_with_a_delete(self, driver: Driver) -> None:
        """The next link of a chain is there when its predecessor is gone."""
        assert driver.delete(pushed_and_reserved(driver), effects=NEXT) is Settled.DONE

        assert reserved(driver, "next").payload == Payload("link", b"\0link")
        assert driver.reserve(["next", "default"]) is None

    @needs("effects_atomic", "virtual_clock")
    def test_a_delay_of_an_effect_is_kept(self, driver: Driver, clock: FrozenClock) -> None:
        """Effects are pushes like any other."""
        driver.delete(pushed_and_reserved(driver), effects=NEXT)
        clock.advance(30)

        assert ["link", "slow"] == drained(driver, "next")

    @needs("effects_atomic", "fencing", "virtual_clock")
    def test_effects_come_with_a_late_success(self, driver: Driver, clock: FrozenClock) -> None:
        """It removed the job, so the chain goes on."""
        old, _ = lost_and_reserved(driver, clock)

        assert driver.delete(old, effects=NEXT) is Settled.LATE
        assert ["link"] == drained(driver, "next")

    @needs("effects_atomic", "fencing", "virtual_clock")
    def test_a_stale_failure_has_no_effects(self, driver: Driver, clock: FrozenClock) -> None:
        """It removed nothing: the worker that has the job now will bring them."""
        old, _ = lost_and_reserved(driver, clock)

        assert driver.delete(old, effects=NEXT, only_last=True) is Settled.STALE
        assert drained(driver, "next") == []

    @needs("effects_atomic", "repeatable")
    def test_the_same_delete_again_has_no_effects(self, driver: Driver) -> None:
        """The reply may be lost; also when the first effects have been run meanwhile, they do not come twice."""
        reservation = pushed_and_reserved(driver)
        settled = [driver.delete(reservation, effects=NEXT)]
        assert ["link"] == drained(driver, "next")
        settled.append(driver.delete(reservation, effects=NEXT))

        assert [Settled.DONE, Settled.GONE] == settled
        assert drained(driver, "next") == []

    @needs("effects_atomic", "repeatable")
    def test_an_effect_whose_id_is_live_changes_nothing(self, driver: Driver) -> None:
        """As with a push."""
        driver.push("next", payload("link", b"first"))

        assert driver.delete(pushed_and_reserved(driver), effects=NEXT) is Settled.DONE
        assert reserved(driver, "next").payload.body == b"first"

    @needs("effects_atomic")
    def test_a_job_may_be_pushed_anew_in_the_step_that_deletes_it(self, driver: Driver) -> None:
        """The delete comes first, so the id is free."""
        anew = Effects(pushes=(Push("default", payload("job", b"second life")),))

        assert driver.delete(pushed_and_reserved(driver), effects=anew) is Settled.DONE
        assert (b"second life", 1) == ((again := reserved(driver)).payload.body, again.attempts)

    @needs("effects_atomic")
    def test_effects_that_cannot_be_stored_leave_the_job(self, driver: Driver) -> None:
        """All or nothing: the first follow-up is undone, and the reservation still holds."""
        reservation = pushed_and_reserved(driver)
        bad = Effects(pushes=(Push("next", payload("link")), Push("next", payload("slow"), math.nan)))

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.delete(reservation, effects=bad)
        assert drained(driver, "next") == []
        assert driver.delete(reservation, only_last=True) is Settled.DONE

    @needs("failed_store")
    def test_a_failed_job_moves_to_the_failed_store_in_one_step(self, driver: Driver) -> None:
        """Its bytes are kept as they are, and once it is there it is in no queue."""
        store = self.make_failed_store(driver)
        assert store.home is driver.home
        reservation = pushed_and_reserved(driver)

        settled = driver.delete(reservation, effects=Effects(failed=_record(reservation.payload)), only_last=True)

        assert settled is Settled.DONE
        assert [_record(reservation.payload)] == [record._replace(number=0) for record in store.listed()]
        assert driver.reserve(["default"]) is None

    @needs("failed_store", "fencing", "virtual_clock")
    def test_a_stale_failure_leaves_no_record(self, driver: Driver, clock: FrozenClock) -> None:
        """A job that another worker has now is not done and failed at once."""
        store = self.make_failed_store(driver)
        old, new = lost_and_reserved(driver, clock)
        effects = Effects(failed=_record(old.payload))

        assert driver.delete(old, effects=effects, only_last=True) is Settled.STALE
        assert driver.delete(new) is Settled.DONE
        assert driver.delete(new, effects=effects, only_last=True) is Settled.GONE
        assert store.listed() == []


def _record(of: Payload) -> FailedJob:
    return FailedJob(of, "connection", "default", "Traceback: \u2603", 1_900_000_000.25)
