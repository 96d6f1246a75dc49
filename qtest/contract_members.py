"""Batches are kept as they were created, and their members are counted by id."""

from __future__ import annotations

import math

import pytest

from qcore.batches import BatchStore, State
from qcore.driver import Driver, Lock, Locking, LockRule, Payload, Push
from qcore.errors import QcoreError
from qtest.contract_base import ContractBase, drained, needs
from qtest.contract_records import (
    BATCH,
    EVERY,
    NOW,
    callbacks,
    counts,
    dispatched,
    new_batch,
    options,
    pushes,
    settled,
    step,
)


class MembersContract(ContractBase):
    """Batches are kept, and members are counted by their ids."""

    def test_a_batch_comes_back_as_it_was_created(self, batches: BatchStore) -> None:
        """Every field, and a second one of its id changes nothing."""
        record = new_batch(EVERY)

        assert [True, False] == [batches.create(record), batches.create(record._replace(name="other"))]
        assert record == batches.find(BATCH)
        assert batches.find(BATCH.upper()) is None

    def test_a_batch_that_is_not_there_takes_nothing(self, driver: Driver, batches: BatchStore) -> None:
        """It was forgotten while its members ran: whoever comes late is told so, or nothing."""
        batches.settle(step())

        assert batches.add(BATCH, ["job"], pushes("job")) is False
        assert (None, None) == (batches.find(BATCH), batches.close(BATCH, NOW))
        assert [False] * 3 == [batches.cancel(BATCH, NOW), batches.revive(BATCH, ["job"]), batches.forget(BATCH)]
        assert [False] * 2 == [batches.give_up(BATCH, NOW), batches.reopen(BATCH)]
        assert ([], []) == (batches.members(BATCH, State.PENDING), batches.listed())
        assert ([], []) == (drained(driver), callbacks(driver))

    def test_members_are_counted_and_pushed(self, driver: Driver, batches: BatchStore) -> None:
        """Also those whose payloads are pushed later: the links of a chain behind its first."""
        batches.create(new_batch(EVERY))
        batches.add(BATCH, ["a", "b", "b 2"], pushes("a", "b"))
        batches.add(BATCH, ["c"], pushes("c"))
        batches.add(BATCH, [], [])

        assert (4, 4, 0, 0, 0) == counts(batches.find(BATCH))
        assert ["a", "b", "b 2", "c"] == batches.members(BATCH, State.PENDING)
        assert ["a", "b", "c"] == drained(driver)

    def test_a_member_that_is_known_is_neither_counted_nor_pushed_again(
        self, driver: Driver, batches: BatchStore
    ) -> None:
        """The reply may have been lost; meanwhile it may have run."""
        dispatched(batches, EVERY, "a", "b")
        assert ["a", "b"] == drained(driver)
        batches.settle(step("a"))
        before = batches.find(BATCH)

        assert batches.add(BATCH, ["b", "a"], pushes("b", "a")) is True
        assert (before, []) == (batches.find(BATCH), drained(driver))
        batches.add(BATCH, ["a", "c", "c"], pushes("a", "c", "c"))
        assert ((3, 2, 1, 0, 0), ["c"]) == (counts(batches.find(BATCH)), drained(driver))
        assert ["b", "c"] == batches.members(BATCH, State.PENDING)

    @needs("locks")
    def test_a_member_that_its_lock_refuses_is_not_counted(self, driver: Driver, batches: BatchStore) -> None:
        """The batch would wait for it for ever."""
        assert isinstance(driver, Locking)
        driver.push_locked(_locked("holder", LockRule.REFUSE))
        batches.create(new_batch(EVERY))
        batches.add(BATCH, ["a", "b"], [*pushes("a"), _locked("b", LockRule.REFUSE)])
        batches.add(BATCH, ["c", "b"], [_locked("c", LockRule.SHARE), _locked("b", LockRule.REFUSE)])
        batches.add(BATCH, ["d", "a"], pushes("d", "a"))

        assert (3, 3, 0, 0, 0) == counts(batches.find(BATCH))
        assert ["a", "c", "d"] == batches.members(BATCH, State.PENDING)
        assert ["holder", "a", "c", "d"] == drained(driver)

    @pytest.mark.parametrize("delay", [math.nan, math.inf])
    def test_members_that_cannot_be_stored_are_not_counted(
        self, driver: Driver, batches: BatchStore, delay: float
    ) -> None:
        """All or nothing."""
        batches.create(new_batch(EVERY))

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            batches.add(BATCH, ["a", "b"], [*pushes("a"), Push("default", Payload("b", b""), delay)])
        assert ((0, 0, 0, 0, 0), []) == (counts(batches.find(BATCH)), drained(driver))

    def test_members_are_given_by_their_state(self, batches: BatchStore) -> None:
        """In the order in which they were added, as many as asked for."""
        names = ["z", "a", "k", "y", "b"]
        dispatched(batches, options(allow_failures=True), *names)
        batches.add(BATCH, ["c", "a"], [])
        settled(batches, State.DONE, ["b", "y"])
        batches.settle(step("k", State.FAILED, dropped=["c"]))

        found = [batches.members(BATCH, state) for state in State]
        assert [["z", "a"], ["y", "b"], ["k"], ["c"]] == found
        assert [["z"], []] == [batches.members(BATCH, State.PENDING, limit=1), batches.members("other", State.DONE)]

    @pytest.mark.parametrize("first", [State.DONE, State.FAILED])
    @pytest.mark.parametrize("again", [State.DONE, State.FAILED])
    def test_a_member_that_succeeded_or_failed_again_changes_nothing(
        self, driver: Driver, batches: BatchStore, first: State, again: State
    ) -> None:
        """A duplicate delivery counts once; only a success after a failure, which was retried, counts anew."""
        dispatched(batches, EVERY, "a", "b")
        batches.settle(step("a", first))
        before, _ = batches.find(BATCH), callbacks(driver)
        batches.settle(step("a", again, dropped=["a"], at=NOW + 9))

        if (first, again) == (State.FAILED, State.DONE):
            assert ((2, 1, 1, 0, 0), ["progress"]) == (counts(batches.find(BATCH)), callbacks(driver))
        else:
            assert (before, []) == (batches.find(BATCH), callbacks(driver))

    def test_who_is_no_member_is_not_counted(self, driver: Driver, batches: BatchStore) -> None:
        """Neither as one that ended nor as one that is dropped."""
        dispatched(batches, EVERY, "a", "b")
        before = batches.find(BATCH)
        batches.settle(step("c"))
        batches.settle(step("A", State.FAILED, dropped=["b"]))
        assert (before, []) == (batches.find(BATCH), callbacks(driver))

        batches.settle(step("a", State.FAILED, dropped=["c", "a", "B"]))
        assert (2, 1, 0, 1, 0) == counts(batches.find(BATCH))

    def test_batches_do_not_mix(self, batches: BatchStore) -> None:
        """One job may be a member of several: each counts it for itself."""
        for name in ("x", "X"):
            batches.create(new_batch(EVERY, name))
            batches.add(name, ["a"], [])
        batches.settle(step("a", batch_id="x"))

        assert [["a"], []] == [batches.members(name, State.DONE) for name in ("x", "X")]

    def test_batches_are_listed_newest_first(self, batches: BatchStore) -> None:
        """As many as asked for."""
        for name, age in (("a", 5), ("b", 1), ("c", 9), ("d", 5)):
            batches.create(new_batch(EVERY, name, created_at=NOW - age))

        assert ["b", "d", "a", "c"] == [record.id for record in batches.listed()]
        assert [["b"], []] == [[record.id for record in batches.listed(limit=limit)] for limit in (1, 0)]

    def test_a_batch_that_is_forgotten_leaves_its_payloads(self, driver: Driver, batches: BatchStore) -> None:
        """They run; a new batch of the same id knows nothing of them."""
        dispatched(batches, EVERY, "a")
        assert [True, False] == [batches.forget(BATCH), batches.forget(BATCH)]
        assert ["a"] == drained(driver)
        batches.create(new_batch(EVERY))

        assert batches.members(BATCH, State.PENDING) == []
        batches.add(BATCH, ["a"], pushes("a"))
        assert ["a"] == drained(driver)

    def test_old_batches_are_pruned(self, batches: BatchStore) -> None:
        """By when they were finished, or when they were created; without an instant, none."""
        ages = {"new": 1, "old": 5}
        for name, age in ages.items():
            for kind in ("finished", "running", "cancelled"):
                batches.create(new_batch(EVERY, f"{name} {kind}", created_at=NOW - age))
                batches.add(f"{name} {kind}", ["a"], [])
            batches.close(f"{name} finished", NOW - 9)
            batches.settle(step("a", batch_id=f"{name} finished", at=NOW - age))
            batches.cancel(f"{name} cancelled", NOW)

        assert [0, 1] == [batches.prune(), batches.prune(finished=NOW - 5)]
        assert 1 == batches.prune(cancelled=NOW - 5, unfinished=NOW - 6)
        assert ["new running", "new finished", "new cancelled", "old running"] == [each.id for each in batches.listed()]
        assert 4 == batches.prune(finished=NOW, unfinished=NOW)
        assert ([], None) == (batches.listed(), batches.find("new running"))
        assert batches.members("old running", State.PENDING) == []


def _locked(member: str, rule: LockRule) -> Push:
    return Push("default", Payload(member, b""), 0, Lock("key", member, None, rule))
