"""What the members of a batch make due is pushed once: callbacks, and the chain that the batch is a link of."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from qcore.batches import BatchStore, State
from qcore.clock import SystemClock
from qcore.errors import QcoreError
from qtest.contract_base import ContractBase, drained
from qtest.contract_records import (
    BATCH,
    EVERY,
    FAILURE,
    NOW,
    callbacks,
    chain,
    counts,
    dispatched,
    new_batch,
    options,
    pushes,
    settled,
    step,
)

if TYPE_CHECKING:
    from qcore.driver import Driver


class CallbacksContract(ContractBase):
    """What is due is pushed once, in the step that makes it due."""

    def test_then_and_finally_come_when_all_have_succeeded(self, driver: Driver, batches: BatchStore) -> None:
        """In this order, behind the last member's progress; and not before."""
        record = dispatched(batches, EVERY, "a", "b")
        assert (None, False) == (record.finished_at, record.adding)
        batches.settle(step("b"))
        assert ["progress"] == callbacks(driver)
        batches.settle(step("a", at=NOW + 5))

        found = batches.find(BATCH)
        assert found is not None
        assert ((2, 0, 2, 0, 0), NOW + 5) == (counts(found), found.finished_at)
        assert ["progress", "then", "finally"] == callbacks(driver)

    def test_a_batch_that_is_still_being_filled_is_not_finished(self, driver: Driver, batches: BatchStore) -> None:
        """Its first members may end before the last are there."""
        batches.create(new_batch(options("then", "finally")))
        batches.add(BATCH, ["a"], pushes("a"))
        batches.settle(step("a"))
        assert callbacks(driver) == []
        batches.add(BATCH, ["b"], pushes("b"))
        batches.close(BATCH, NOW)
        assert callbacks(driver) == []
        batches.settle(step("b"))

        assert ["then", "finally"] == callbacks(driver)

    def test_a_batch_whose_members_have_ended_is_finished_by_closing_it(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """An empty one, too. Closing it again changes nothing."""
        for name, members in (("empty", ()), ("quick", ("a",))):
            batches.create(new_batch(options("then", "finally"), name))
            batches.add(name, members, [])
            for member in members:
                batches.settle(step(member, batch_id=name))
            closed = [batches.close(name, NOW + later) for later in (5, 9)]

            assert batches.find(name) == closed[0] == closed[1]
            assert NOW + 5 == (closed[0] and closed[0].finished_at)
            assert ["then", "finally"] == callbacks(driver)

    def test_a_failure_cancels_the_batch_and_is_told_once(self, driver: Driver, batches: BatchStore) -> None:
        """The others may still run; when all have ended, finally comes, and then does not."""
        dispatched(batches, EVERY, "a", "b", "c")
        batches.settle(step("a", State.FAILED, at=NOW + 5))
        found = batches.find(BATCH)
        assert found is not None
        assert (NOW + 5, "failure", FAILURE) == (found.cancelled_at, found.cancelled_by, found.failure)
        assert ["catch"] == callbacks(driver)
        batches.settle(step("b", State.FAILED, at=NOW + 9))
        assert callbacks(driver) == []
        batches.settle(step("c"))

        assert (3, 0, 1, 2, 0) == counts(batches.find(BATCH))
        assert ["progress", "finally"] == callbacks(driver)

    def test_failures_may_be_allowed(self, driver: Driver, batches: BatchStore) -> None:
        """Then each is told, the first to catch, too, and the batch goes on."""
        every = options("progress", "failure", "catch", "then", "finally", allow_failures=True)
        dispatched(batches, every, "a", "b", "c")
        batches.settle(step("a", State.FAILED))
        assert ["progress", "failure", "catch"] == callbacks(driver)
        batches.settle(step("b", State.FAILED))
        assert ["progress", "failure"] == callbacks(driver)
        batches.settle(step("c"))
        found = batches.find(BATCH)

        assert found is not None
        assert ((3, 0, 1, 2, 0), None) == (counts(found), found.cancelled_at)
        assert ["progress", "finally"] == callbacks(driver)

    def test_members_that_will_not_run_do_not_hold_up_finally(self, driver: Driver, batches: BatchStore) -> None:
        """The rest of a chain whose link failed."""
        batches.create(new_batch(options("then", "finally")))
        batches.add(BATCH, ["a 1", "a 2", "a 3", "b"], pushes("a 1", "b"))
        batches.close(BATCH, NOW)
        settled(batches, State.DONE, ["b", "a 1"])
        batches.settle(step("a 2", State.FAILED, dropped=["a 3"]))

        assert ((4, 0, 2, 1, 1), ["a 3"]) == (counts(batches.find(BATCH)), batches.members(BATCH, State.DROPPED))
        assert ["finally"] == callbacks(driver)

    def test_a_batch_whose_failed_members_were_retried_succeeds_late(self, driver: Driver, batches: BatchStore) -> None:
        """Then comes when all have succeeded at last; finally came before."""
        dispatched(batches, options("then", "finally"), "a 1", "a 2", "b")
        batches.settle(step("a 1", State.FAILED, dropped=["a 2"]))
        batches.settle(step("b", State.FAILED))
        assert ["finally"] == callbacks(driver)
        members = ["b", "a 1", "a 2", "nobody"]
        assert [True, False] == [batches.revive(BATCH, members), batches.revive(BATCH, members)]
        found = batches.find(BATCH)
        assert found is not None
        assert ((3, 3, 0, 0, 0), None, None) == (counts(found), found.finished_at, found.cancelled_at)
        settled(batches, State.DONE, ["b", "a 1"])
        assert ((3, 1, 2, 0, 0), []) == (counts(batches.find(BATCH)), callbacks(driver))
        batches.settle(step("a 2"))

        assert ((3, 0, 3, 0, 0), ["then"]) == (counts(batches.find(BATCH)), callbacks(driver))

    def test_a_retried_member_that_fails_again_cancels_the_batch_again(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """And is told no more."""
        dispatched(batches, EVERY, "a", "b")
        batches.settle(step("a", State.FAILED))
        batches.revive(BATCH, ["a"])
        callbacks(driver)
        batches.settle(step("a", State.FAILED, at=NOW + 5))
        found = batches.find(BATCH)

        assert found is not None
        assert (NOW + 5, "failure") == (found.cancelled_at, found.cancelled_by)
        assert ((2, 1, 0, 1, 0), []) == (counts(found), callbacks(driver))

    def test_a_finished_batch_that_grows_is_finished_again_without_a_word(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """A callback that adds members to its own batch makes no circle."""
        dispatched(batches, options("then", "finally"), "a")
        batches.settle(step("a"))
        assert ["then", "finally"] == callbacks(driver)
        batches.add(BATCH, ["b"], pushes("b"))
        found = batches.find(BATCH)
        assert ((2, 1, 1, 0, 0), None) == (counts(found), found and found.finished_at)
        batches.settle(step("b", at=NOW + 5))

        found = batches.find(BATCH)
        assert (NOW + 5, []) == (found and found.finished_at, callbacks(driver))

    def test_a_cancelled_batch_comes_to_its_end_but_not_to_then(self, driver: Driver, batches: BatchStore) -> None:
        """Its members are not taken back. It cannot be revived: nobody failed."""
        dispatched(batches, options("then", "finally"), "a")
        assert [True, False] == [batches.cancel(BATCH, NOW + 1), batches.cancel(BATCH, NOW + 2)]
        found = batches.find(BATCH)
        assert found is not None
        assert (NOW + 1, "request", None) == (found.cancelled_at, found.cancelled_by, found.finished_at)
        assert ["a"] == drained(driver)
        batches.settle(step("a"))

        assert ["finally"] == callbacks(driver)
        assert batches.revive(BATCH, ["a"]) is False

    def test_only_members_that_failed_or_were_dropped_wait_again(self, driver: Driver, batches: BatchStore) -> None:
        """Those that succeeded stay as they are, and so does a cancellation by request."""
        dispatched(batches, options("then", "finally"), "a", "b", "c")
        batches.cancel(BATCH, NOW + 1)
        settled(batches, State.DONE, ["a"])
        batches.settle(step("b", State.FAILED, dropped=["c"]))
        assert ["finally"] == callbacks(driver)

        assert [False, True] == [batches.revive(BATCH, ["a"]), batches.revive(BATCH, ["a", "b"])]
        assert ((3, 1, 1, 0, 1), ["b"]) == (counts(batches.find(BATCH)), batches.members(BATCH, State.PENDING))
        batches.settle(step("b", at=NOW + 5))
        found = batches.find(BATCH)
        assert found is not None
        assert ("request", NOW + 5, []) == (found.cancelled_by, found.finished_at, callbacks(driver))

    @pytest.mark.parametrize("failed", [False, True])
    def test_a_batch_that_was_given_up_ends_without_a_word_to_its_chain(
        self, driver: Driver, batches: BatchStore, *, failed: bool
    ) -> None:
        """The chain heard of it by other means; when it is opened again it goes on as ever."""
        batches.create(new_batch(options("then", "finally", chain=chain("next"))))
        batches.add(BATCH, ["a"], [])
        batches.settle(step("a", State.FAILED if failed else State.DONE))
        assert [True, False] == [batches.give_up(BATCH, NOW + 5), batches.give_up(BATCH, NOW + 9)]
        found = batches.find(BATCH)
        assert found is not None
        assert (NOW + 5, False) == (found.finished_at, found.adding)
        assert "failure" if failed else "link" == found.cancelled_by
        assert ["finally"] == callbacks(driver)

        assert [True, False] == [batches.reopen(BATCH), batches.reopen(BATCH)]
        batches.add(BATCH, ["a", "b"], [])
        batches.revive(BATCH, ["a"])
        batches.close(BATCH, NOW)
        settled(batches, State.DONE, ["a", "b"])
        assert ["then", "next"] == callbacks(driver)

    def test_a_batch_that_was_given_up_waits_for_its_members(self, driver: Driver, batches: BatchStore) -> None:
        """They were pushed, and run."""
        batches.create(new_batch(options("then", "finally", chain=chain("next"))))
        batches.add(BATCH, ["a"], [])
        assert (False, True) == (batches.reopen(BATCH), batches.give_up(BATCH, NOW))
        assert callbacks(driver) == []
        batches.settle(step("a"))

        assert ["finally"] == callbacks(driver)

    def test_a_finished_batch_cannot_be_cancelled(self, batches: BatchStore) -> None:
        """There is nothing left to cancel."""
        dispatched(batches, EVERY, "a")
        batches.settle(step("a"))
        before = batches.find(BATCH)

        assert batches.cancel(BATCH, NOW) is False
        assert before == batches.find(BATCH)

    @pytest.mark.parametrize("allow_failures", [False, True])
    @pytest.mark.parametrize("ending", [State.DONE, State.FAILED, None])
    def test_the_chain_of_a_batch_goes_on_or_hears_that_it_failed(
        self, driver: Driver, batches: BatchStore, ending: State | None, *, allow_failures: bool
    ) -> None:
        """It goes on when the batch is finished and was not cancelled, and hears of a failure that was not allowed."""
        link = chain("next", "last")
        dispatched(batches, options("finally", chain=link, allow_failures=allow_failures), "a", "b")
        batches.settle(step("a", ending or State.DONE))
        if ending is None:
            batches.cancel(BATCH, NOW)
        batches.settle(step("b"))

        failed = ending is State.FAILED and not allow_failures
        follows = [] if ending is None else ["catch of the chain"] if failed else ["next"]
        assert ["finally", *follows] == callbacks(driver)

    def test_the_chain_of_a_failed_batch_goes_on_when_all_have_succeeded_at_last(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """As that of a link that failed and was retried: once."""
        dispatched(batches, options("then", chain=chain("next")), "a", "b")
        settled(batches, State.FAILED, ["a", "b"])
        assert ["catch of the chain"] == callbacks(driver)
        batches.revive(BATCH, ["a", "b"])
        batches.settle(step("a"))
        assert callbacks(driver) == []
        settled(batches, State.DONE, ["b", "b"])

        assert ["then", "next"] == callbacks(driver)

    def test_callbacks_that_cannot_be_stored_leave_the_batch(self, driver: Driver, batches: BatchStore) -> None:
        """All or nothing."""
        batches.create(new_batch(options("progress", "then", delay=math.inf)))
        batches.add(BATCH, ["a"], [])
        before = batches.find(BATCH)

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            batches.settle(step("a"))
        assert (before, []) == (batches.find(BATCH), callbacks(driver))
        assert ["a"] == batches.members(BATCH, State.PENDING)

    def test_members_that_end_at_the_same_instant_finish_a_batch_once(self) -> None:
        """Two threads bring the last two successes."""
        driver = self.make_driver(SystemClock())
        batches = self.make_batch_store(driver, SystemClock())
        told: dict[str, list[str]] = {"a": [], "b": []}
        turn = threading.Barrier(3)

        def end(member: str) -> None:
            for number in range(20):
                turn.wait(timeout=60)
                batches.settle(step(member, batch_id=str(number)))
                told[member] += callbacks(driver)  # by each for itself: on sync they are pushed to the caller
                turn.wait(timeout=60)

        threads = [threading.Thread(target=end, args=(member,), daemon=True) for member in told]
        for thread in threads:
            thread.start()
        for number in range(20):
            batches.create(new_batch(options("then", "finally"), str(number)))
            batches.add(str(number), list(told), [])
            batches.close(str(number), NOW)
            turn.wait(timeout=60)
            turn.wait(timeout=60)
        for thread in threads:
            thread.join(timeout=60)

        assert ["finally"] * 20 + ["then"] * 20 == sorted([*told["a"], *told["b"], *callbacks(driver)])
        assert [0] * 20 == [record.pending for record in batches.listed()]
