"""Effects happen with the delete, exactly when it removed something, and once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from qcore.batches import State
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
from qtest.contract_records import BATCH, callbacks, member_of, new_batch, options, step

if TYPE_CHECKING:
    from qcore.batches import BatchStore
    from qtest.clock import FrozenClock

NEXT = Effects(pushes=(Push("next", payload("link", b"\0link")), Push("next", payload("slow"), 30)))


class EffectsContract(ContractBase):
    """Follow-up pushes, the failed record and the count of a batch come with the delete, or not at all."""

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

    @needs("effects_atomic", "virtual_clock")
    @pytest.mark.parametrize("delay", [0, 30])
    def test_all_effects_come_however_many_they_are(self, driver: Driver, clock: FrozenClock, delay: float) -> None:
        """Also those that are due at one instant, with each other and with what was pushed to it before."""
        driver.push("next", payload("before"), delay=delay)
        expected = [f"link {number}" for number in range(9)]
        many = Effects(pushes=tuple(Push("next", payload(job_id), delay) for job_id in expected))

        assert driver.delete(pushed_and_reserved(driver), effects=many) is Settled.DONE
        clock.advance(delay)
        assert ["before", *expected] == sorted(drained(driver, "next"))

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

    @needs("batches")
    @pytest.mark.parametrize("state", [State.DONE, State.FAILED])
    def test_a_member_of_a_batch_is_counted_with_its_delete(
        self, driver: Driver, batches: BatchStore, state: State
    ) -> None:
        """And the callbacks that this makes due are there."""
        assert batches.home is driver.home
        member = member_of(driver, batches, options("then", "catch", "finally"))

        assert driver.delete(member, effects=Effects(batch=step(state=state)), only_last=True) is Settled.DONE
        assert batches.members(BATCH, state) == ["job"]
        assert callbacks(driver) == (["then", "finally"] if state is State.DONE else ["catch", "finally"])

    @needs("batches", "fencing", "virtual_clock")
    def test_a_late_success_is_counted_once(self, driver: Driver, batches: BatchStore, clock: FrozenClock) -> None:
        """Whoever of the two brings it."""
        old = member_of(driver, batches, options("then", "progress"))
        clock.advance(self.retry_after)
        new = reserved(driver)
        done = Effects(batch=step())

        assert [Settled.LATE, Settled.GONE] == [driver.delete(each, effects=done) for each in (old, new)]
        assert ["progress", "then"] == callbacks(driver)

    @needs("batches", "fencing", "virtual_clock")
    def test_a_refused_delete_counts_nothing(self, driver: Driver, batches: BatchStore, clock: FrozenClock) -> None:
        """A worker that lost the job does not let it fail in its batch either."""
        old = member_of(driver, batches, options("catch", "finally"))
        clock.advance(self.retry_after)
        new = reserved(driver)
        before = batches.find(BATCH)

        assert driver.delete(old, effects=Effects(batch=step(state=State.FAILED)), only_last=True) is Settled.STALE
        assert (before, []) == (batches.find(BATCH), callbacks(driver))
        driver.delete(new)
        assert driver.delete(new, effects=Effects(batch=step()), only_last=True) is Settled.GONE
        assert (before, []) == (batches.find(BATCH), callbacks(driver))

    @needs("batches")
    @pytest.mark.parametrize(("batch", "member"), [("unknown", "job"), (BATCH, "unknown")])
    def test_a_member_of_no_batch_is_deleted_all_the_same(
        self, driver: Driver, batches: BatchStore, batch: str, member: str
    ) -> None:
        """The batch was forgotten while its members ran."""
        reservation = member_of(driver, batches, options("finally"))
        before = batches.find(BATCH)

        settled = driver.delete(reservation, effects=Effects(batch=step(member, batch_id=batch)))
        assert (Settled.DONE, before, None) == (settled, batches.find(BATCH), batches.find("unknown"))
        assert callbacks(driver) == []

    @needs("batches", "effects_atomic")
    def test_a_member_whose_follow_up_cannot_be_stored_is_not_counted(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """All or nothing."""
        member = member_of(driver, batches, options("finally"))
        before = batches.find(BATCH)
        bad = Effects(pushes=(Push("next", payload("link"), math.nan),), batch=step())

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.delete(member, effects=bad)
        assert (before, []) == (batches.find(BATCH), callbacks(driver))
        assert driver.delete(member, only_last=True) is Settled.DONE

    @needs("batches", "effects_atomic")
    def test_a_member_whose_callback_cannot_be_stored_stays(self, driver: Driver, batches: BatchStore) -> None:
        """What is due with a batch is as much a part of the step as what follows the job."""
        batches.create(new_batch(options("finally", delay=math.inf)))
        batches.add(BATCH, ["job"], [Push("default", payload())])
        before = batches.close(BATCH, 0)
        member = reserved(driver)

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.delete(member, effects=Effects(pushes=(Push("next", payload("link")),), batch=step()))
        assert (before, []) == (batches.find(BATCH), drained(driver, "next"))
        assert driver.delete(member, only_last=True) is Settled.DONE


def _record(of: Payload) -> FailedJob:
    return FailedJob(of, "connection", "default", "Traceback: \u2603", 1_900_000_000.25)
