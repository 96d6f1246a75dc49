"""A lock is taken with the payload that it is for, and freed with it: never one without the other."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Bulk, Driver, Effects, Lock, Locking, LockRule, Push, Settled, Unlock, pending
from qcore.errors import QcoreError
from qtest.contract_base import ContractBase, drained, lost_and_reserved, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qcore.store import Store
    from qtest.clock import FrozenClock


def locked(
    job_id: str, rule: LockRule = LockRule.REFUSE, *, queue: str = "default", delay: float = 0, ttl: float | None = None
) -> Push:
    """Make a push that wants the lock ``key``."""
    return Push(queue, payload(job_id), delay, Lock("key", job_id, ttl, rule))


def push(driver: Driver, push: Push) -> str | None:
    """Push with a lock."""
    assert isinstance(driver, Locking)
    return driver.push_locked(push)


def unlocking(owner: str) -> Effects:
    """Free the lock ``key`` of an owner."""
    return Effects(unlocks=(Unlock("key", owner),))


class LocksContract(ContractBase):
    """The lock and the payload come in one step."""

    @needs("locks")
    def test_a_free_lock_is_taken_with_the_payload(self, driver: Driver, store: Store) -> None:
        """Its owner is the id of the payload."""
        assert store.home is driver.home

        assert push(driver, locked("job")) is None
        assert store.get("key") == "job"
        assert ["job"] == drained(driver)

    @needs("locks")
    @pytest.mark.parametrize("place", ["ready", "delayed", "reserved"])
    def test_a_lock_of_a_live_payload_refuses_others(self, driver: Driver, store: Store, place: str) -> None:
        """Wherever that payload is; nothing is stored, and the answer says who holds the lock."""
        push(driver, locked("first", delay=60 if place == "delayed" else 0))
        held = reserved(driver) if place == "reserved" else None

        assert push(driver, locked("second")) == "first"
        assert push(driver, locked("third", queue="other")) == "first"
        assert store.get("key") == "first"
        assert drained(driver) == (["first"] if place == "ready" else [])
        assert drained(driver, "other") == []
        assert held is None or driver.delete(held, only_last=True) is Settled.DONE

    @needs("locks")
    def test_a_refused_payload_can_be_pushed_later(self, driver: Driver, store: Store) -> None:
        """Being refused leaves no trace of its id."""
        push(driver, locked("first"))
        push(driver, locked("second"))
        driver.delete(reserved(driver), effects=unlocking("first"))

        assert push(driver, locked("second")) is None
        assert ("second", ["second"]) == (store.get("key"), drained(driver))

    @needs("locks")
    def test_a_shared_push_comes_without_the_lock(self, driver: Driver, store: Store) -> None:
        """It is stored all the same; a free lock it takes."""
        assert push(driver, locked("first", LockRule.SHARE)) is None
        assert push(driver, locked("second", LockRule.SHARE)) is None

        assert store.get("key") == "first"
        assert ["first", "second"] == drained(driver)

    @needs("locks")
    @pytest.mark.parametrize("owner", ["first", pending("first")])
    def test_a_replacing_push_takes_the_lock_over(self, driver: Driver, store: Store, owner: str) -> None:
        """The one that had it stays where it is."""
        push(driver, locked("first"))
        store.put("key", owner, ttl=5)
        assert push(driver, locked("second", LockRule.REPLACE)) is None

        assert store.get("key") == "second"
        assert ["first", "second"] == drained(driver)

    @needs("locks", "virtual_clock")
    @pytest.mark.parametrize("rule", LockRule)
    def test_a_lock_lives_as_long_as_it_was_given(
        self, driver: Driver, store: Store, clock: FrozenClock, rule: LockRule
    ) -> None:
        """To the millisecond; then it is free, although its payload is live."""
        push(driver, locked("first", rule, ttl=10))
        clock.advance(9.999)
        assert push(driver, locked("second")) == "first"
        clock.advance(0.001)

        assert store.get("key") is None
        assert push(driver, locked("third")) is None
        clock.advance(10 * 365 * 86_400)
        assert store.get("key") == "third"

    @needs("locks", "virtual_clock")
    def test_a_replaced_lock_lives_as_long_as_the_new_one(
        self, driver: Driver, store: Store, clock: FrozenClock
    ) -> None:
        """What was left of the old time does not count."""
        push(driver, locked("first", ttl=5))
        push(driver, locked("second", LockRule.REPLACE, ttl=10))
        clock.advance(9.999)
        assert store.get("key") == "second"
        clock.advance(0.001)

        assert store.get("key") is None

    @needs("locks")
    def test_a_lock_of_a_payload_that_is_gone_is_free(self, driver: Driver, store: Store) -> None:
        """Also when nobody freed it: no lock outlives its job for long."""
        push(driver, locked("first"))
        driver.delete(reserved(driver))
        assert store.get("key") == "first"

        assert push(driver, locked("second")) is None
        assert ("second", ["second"]) == (store.get("key"), drained(driver))

    @needs("locks")
    def test_a_lock_of_a_payload_that_waits_for_a_commit_is_held(self, driver: Driver, store: Store) -> None:
        """It is not stored yet, but it will be."""
        store.put("key", pending("first"))

        assert push(driver, locked("second")) == pending("first")
        assert push(driver, locked("shared", LockRule.SHARE)) is None
        assert (pending("first"), ["shared"]) == (store.get("key"), drained(driver))

    @needs("locks", "virtual_clock")
    @pytest.mark.parametrize("owner", ["job", pending("job")])
    @pytest.mark.parametrize("rule", LockRule)
    def test_a_payload_takes_over_the_lock_that_was_kept_for_it(
        self, driver: Driver, store: Store, clock: FrozenClock, owner: str, rule: LockRule
    ) -> None:
        """Then it is its own, for as long as its push says."""
        store.put("key", owner, ttl=5)

        assert push(driver, locked("job", rule, ttl=10)) is None
        clock.advance(9)
        assert store.get("key") == "job"
        clock.advance(1)
        assert store.get("key") is None

    @needs("locks", "repeatable")
    @pytest.mark.parametrize("rule", LockRule)
    def test_a_second_push_of_a_live_id_does_not_touch_the_lock(
        self, driver: Driver, store: Store, rule: LockRule
    ) -> None:
        """The reply to a push may be lost; meanwhile the lock may have changed hands."""
        push(driver, locked("job"))
        store.forget("key")
        again = [push(driver, locked("job", rule))]
        free = store.get("key")
        store.put("key", pending("other"))
        again.append(push(driver, locked("job", rule)))

        assert [None, None] == again
        assert (None, pending("other")) == (free, store.get("key"))
        assert ["job"] == drained(driver)

    @needs("locks")
    @pytest.mark.parametrize("bad", [{"delay": math.inf}, {"ttl": math.inf}, {"delay": math.nan}, {"ttl": math.nan}])
    def test_a_push_that_cannot_be_stored_takes_no_lock(
        self, driver: Driver, store: Store, bad: dict[str, float]
    ) -> None:
        """All or nothing."""
        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            push(driver, locked("job", **bad))  # type: ignore[arg-type]

        assert (None, []) == (store.get("key"), drained(driver))

    @needs("locks", "bulk")
    def test_bulk_leaves_out_what_its_lock_refuses(self, driver: Driver, store: Store) -> None:
        """The others come in their order; of two that want one lock, the first gets it."""
        assert isinstance(driver, Bulk)
        pushes = [Push("default", payload("a")), locked("b"), locked("c"), Push("default", payload("d")), locked("e")]
        driver.bulk([*pushes, locked("f", LockRule.SHARE), Push("default", payload("g"))])

        assert store.get("key") == "b"
        assert ["a", "b", "d", "f", "g"] == drained(driver)

    @needs("locks", "effects_atomic")
    @pytest.mark.parametrize("rule", LockRule)
    def test_what_follows_a_job_takes_its_lock(self, driver: Driver, store: Store, rule: LockRule) -> None:
        """As with any other push; a follow-up that is refused is left out, and the job is deleted all the same."""
        push(driver, locked("holder", queue="other"))
        follow = Effects(pushes=(locked("link", rule), Push("default", payload("last"))))

        assert driver.delete(pushed_and_reserved(driver), effects=follow) is Settled.DONE
        assert store.get("key") == ("link" if rule is LockRule.REPLACE else "holder")
        assert drained(driver) == (["last"] if rule is LockRule.REFUSE else ["link", "last"])

    @needs("locks", "effects_atomic")
    def test_what_follows_a_job_may_take_the_lock_of_that_job(self, driver: Driver, store: Store) -> None:
        """It is gone before what follows is stored, so its lock is free, and freeing it comes first."""
        push(driver, locked("job"))
        follow = Effects(pushes=(locked("link"),), unlocks=(Unlock("key", "job"),))

        driver.delete(reserved(driver), effects=follow)
        assert store.get("key") == "link"
        driver.delete(reserved(driver), effects=Effects(pushes=(locked("link"),), unlocks=(Unlock("key", "link"),)))
        assert store.get("key") == "link", "pushed anew under its own id"
        driver.delete(reserved(driver), effects=Effects(pushes=(locked("last"),)))
        assert ("last", ["last"]) == (store.get("key"), drained(driver)), "although nobody freed it"

    @needs("locks")
    @pytest.mark.parametrize("owner", ["job", pending("job")])
    def test_a_lock_is_freed_with_the_delete(self, driver: Driver, store: Store, owner: str) -> None:
        """Whether its owner was stored already or not."""
        reservation = pushed_and_reserved(driver)
        store.put("key", owner)
        store.put("other", "job")

        assert driver.delete(reservation, effects=unlocking("job")) is Settled.DONE
        assert [None, "job"] == [store.get("key"), store.get("other")]

    @needs("locks")
    @pytest.mark.parametrize("owner", ["somebody else", pending("somebody else"), "JOB", "", "job ", None])
    def test_a_lock_in_other_hands_is_not_freed(self, driver: Driver, store: Store, owner: str | None) -> None:
        """Its time was over, and somebody has taken it."""
        reservation = pushed_and_reserved(driver)
        if owner is not None:
            store.put("key", owner)

        assert driver.delete(reservation, effects=unlocking("job")) is Settled.DONE
        assert owner == store.get("key")

    @needs("locks", "fencing", "virtual_clock")
    def test_a_stale_failure_frees_no_lock(self, driver: Driver, store: Store, clock: FrozenClock) -> None:
        """The worker that has the job now has the lock, too."""
        old, new = lost_and_reserved(driver, clock)
        store.put("key", "job")

        assert driver.delete(old, effects=unlocking("job"), only_last=True) is Settled.STALE
        assert store.get("key") == "job"
        assert driver.delete(new, effects=unlocking("job"), only_last=True) is Settled.DONE
        assert store.get("key") is None

    @needs("locks", "repeatable")
    def test_the_same_delete_again_frees_no_lock(self, driver: Driver, store: Store) -> None:
        """It removed nothing."""
        reservation = pushed_and_reserved(driver)
        driver.delete(reservation, effects=unlocking("job"))
        store.put("key", "job")

        assert driver.delete(reservation, effects=unlocking("job")) is Settled.GONE
        assert store.get("key") == "job"

    @needs("locks", "effects_atomic")
    def test_effects_that_cannot_be_stored_free_no_lock(self, driver: Driver, store: Store) -> None:
        """All or nothing: what one follow-up took is given back, too."""
        reservation = pushed_and_reserved(driver)
        store.put("of job", "job")
        bad = Effects(
            pushes=(locked("link"), Push("default", payload("bad"), math.nan)), unlocks=(Unlock("of job", "job"),)
        )

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.delete(reservation, effects=bad)
        assert ["job", None] == [store.get("of job"), store.get("key")]
        assert driver.delete(reservation, only_last=True) is Settled.DONE

    @needs("locks")
    @pytest.mark.parametrize("owner", ["job", pending("job")])
    def test_a_lock_can_be_taken_apart_from_its_payload(self, driver: Driver, store: Store, owner: str) -> None:
        """Before the payload is stored, or when it is about to run. It is free and held by the same rules."""
        assert isinstance(driver, Locking)
        driver.push("default", payload("job"))
        taken = [driver.take_lock(Lock("key", owner, None)) for _ in range(2)]
        held = driver.take_lock(Lock("key", "second", None))
        also = driver.take_lock(Lock("key", "second", None, LockRule.SHARE))

        assert [[None, None], owner, owner] == [taken, held, also]
        assert owner == store.get("key")
        assert driver.take_lock(Lock("key", "second", None, LockRule.REPLACE)) is None
        assert store.get("key") == "second"
        assert driver.take_lock(Lock("key", "third", None)) is None
        assert ("third", ["job"]) == (store.get("key"), drained(driver)), "the second one was never stored"

    @needs("locks", "virtual_clock")
    def test_a_lock_that_is_taken_apart_lives_as_long_as_it_was_given(
        self, driver: Driver, store: Store, clock: FrozenClock
    ) -> None:
        """Taken again, it lives on."""
        assert isinstance(driver, Locking)
        driver.take_lock(Lock("key", pending("job"), 10))
        clock.advance(9)
        driver.take_lock(Lock("key", pending("job"), 2))
        clock.advance(1.999)
        assert driver.take_lock(Lock("key", "second", None)) == pending("job")
        clock.advance(0.001)
        assert store.get("key") is None

        with pytest.raises((ArithmeticError, ValueError, QcoreError)):
            driver.take_lock(Lock("key", "third", math.inf))
        assert driver.take_lock(Lock("key", "second", None)) is None

    @needs("locks")
    def test_of_pushes_at_the_same_instant_one_gets_the_lock(self) -> None:
        """A driver is shared by threads."""
        driver = self.make_driver(SystemClock())
        holders: dict[str, str | None] = {}
        start = threading.Barrier(4)

        def race(name: str) -> None:
            start.wait(timeout=60)
            for number in range(25):
                wanted = Push("default", payload(f"{name} {number}"), 0, Lock(str(number), f"{name} {number}", None))
                holders[wanted.payload.id] = push(driver, wanted)

        threads = [threading.Thread(target=race, args=(name,), daemon=True) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        winners = [job_id for job_id, holder in holders.items() if holder is None]
        assert [100, 25] == [len(holders), len(winners)]
        assert sorted(winners) == sorted(drained(driver))
        assert {*winners, None} == set(holders.values())
