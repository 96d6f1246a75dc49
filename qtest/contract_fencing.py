"""Fenced: a success counts whoever brings it; whoever lost a job can no longer release, extend or fail it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import Driver, Effects, Extendable, Inspectable, Push, Reservation, Settled
from qtest.contract_base import ContractBase, lost_and_reserved, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qtest.clock import FrozenClock


class FencingContract(ContractBase):
    """Of all reservations of a job the newest one rules."""

    @needs("fencing", "virtual_clock")
    def test_tokens_grow_with_every_reservation(self, driver: Driver, clock: FrozenClock) -> None:
        """Released, lost, extended or not: the next token is larger."""
        first, second = lost_and_reserved(driver, clock)
        driver.release(second, count=False)
        third = reserved(driver)
        driver.release(third)

        tokens = [first.token, second.token, third.token, reserved(driver).token]
        assert sorted(set(tokens)) == tokens

    @needs("fencing")
    @pytest.mark.parametrize("ending", ["success", "failure"])
    def test_tokens_never_restart_for_an_id(self, driver: Driver, ending: str) -> None:
        """A job that was pushed anew, as by a retry, is not mistaken for its earlier life."""
        tokens = []
        for _ in range(3):
            reservation = pushed_and_reserved(driver)
            tokens.append(reservation.token)
            assert driver.delete(reservation, only_last=ending == "failure") is Settled.DONE

        assert sorted(set(tokens)) == tokens

    @needs("fencing", "virtual_clock")
    @pytest.mark.parametrize("place", ["reserved", "ready", "delayed", "lost"])
    def test_a_late_success_wins_wherever_the_copy_is(self, driver: Driver, clock: FrozenClock, place: str) -> None:
        """The job was done; it must not be done again."""
        old, new = lost_and_reserved(driver, clock)
        if place in {"ready", "delayed"}:
            driver.release(new, delay=30 if place == "delayed" else 0)
        clock.advance(self.retry_after if place == "lost" else 0)

        assert driver.delete(old) is Settled.LATE
        clock.advance(self.retry_after)
        assert driver.reserve(["default"]) is None
        assert driver.delete(new) is Settled.GONE

    @needs("fencing", "virtual_clock")
    def test_a_reservation_that_ran_out_still_rules_until_another_takes_its_place(
        self, driver: Driver, clock: FrozenClock
    ) -> None:
        """Nobody else has the job: it may be settled as if in time."""
        reservation = pushed_and_reserved(driver)
        clock.advance(self.retry_after)

        assert driver.delete(reservation, only_last=True) is Settled.DONE
        assert driver.reserve(["default"]) is None

    @needs("fencing", "virtual_clock")
    def test_a_reservation_that_ran_out_can_still_be_released(self, driver: Driver, clock: FrozenClock) -> None:
        """Nobody else has the job: its backoff counts from now."""
        reservation = pushed_and_reserved(driver)
        clock.advance(self.retry_after + 1)

        assert driver.release(reservation, delay=5) is Settled.DONE
        assert driver.reserve(["default"]) is None
        clock.advance(5)
        assert reserved(driver).attempts == 2

    @needs("fencing", "virtual_clock", "extend")
    def test_a_reservation_that_ran_out_can_still_be_extended(self, driver: Driver, clock: FrozenClock) -> None:
        """Nobody else has the job: it is held again, and from now on."""
        assert isinstance(driver, Extendable)
        reservation = pushed_and_reserved(driver)
        clock.advance(self.retry_after + 1)

        assert driver.extend(reservation, 5) is Settled.DONE
        assert driver.reserve(["default"]) is None
        assert driver.delete(reservation, only_last=True) is Settled.DONE

    @needs("fencing", "virtual_clock", "inspect", call="extend")
    @pytest.mark.parametrize("place", ["reserved", "ready", "delayed"])
    @pytest.mark.parametrize("call", ["release", "fail", "extend"])
    def test_an_old_token_can_neither_release_nor_fail_nor_extend(
        self, driver: Driver, clock: FrozenClock, place: str, call: str
    ) -> None:
        """Nothing changes, wherever the job is now, and whoever has it keeps it."""
        old, new = lost_and_reserved(driver, clock)
        if place != "reserved":
            driver.release(new, delay=30 if place == "delayed" else 0)
        before = _all(driver)

        assert self._refused(driver, old, call) is Settled.STALE
        assert before == _all(driver)
        if place == "reserved":
            assert driver.delete(new, only_last=True) is Settled.DONE

    @needs("fencing", "inspect", call="extend")
    @pytest.mark.parametrize("call", ["release", "fail", "extend"])
    def test_a_reservation_that_was_given_back_rules_no_more(self, driver: Driver, call: str) -> None:
        """Whoever released a job cannot release, fail or extend it: the next worker may have begun."""
        reservation = pushed_and_reserved(driver)
        driver.release(reservation, delay=5)
        before = _all(driver)

        assert self._refused(driver, reservation, call) is Settled.STALE
        assert before == _all(driver)

    @needs("fencing", "inspect", call="extend")
    @pytest.mark.parametrize("call", ["success", "release", "fail", "extend"])
    def test_a_token_of_an_earlier_life_is_refused(self, driver: Driver, call: str) -> None:
        """After a failure and a retry of the same id even a success of the old run does not count."""
        old = pushed_and_reserved(driver)
        driver.delete(old, only_last=True)
        driver.push("default", payload())
        before = _all(driver)

        assert self._refused(driver, old, call) is Settled.STALE
        assert before == _all(driver)
        new = reserved(driver)
        assert self._refused(driver, old, call) is Settled.STALE
        assert driver.delete(new, only_last=True) is Settled.DONE

    @needs("fencing", "inspect", call="extend")
    @pytest.mark.parametrize("call", ["success", "release", "fail", "extend"])
    def test_what_was_deleted_is_gone(self, driver: Driver, call: str) -> None:
        """Nothing can be done to it, and nothing comes of trying."""
        reservation = pushed_and_reserved(driver)
        driver.delete(reservation)

        assert self._refused(driver, reservation, call) is Settled.GONE
        assert _all(driver) == []

    def _refused(self, driver: Driver, reservation: Reservation, call: str) -> Settled:
        """Make the call, with effects where it takes some: they must not happen."""
        effects = Effects(pushes=(Push("default", payload("effect")),))
        if call == "release":
            return driver.release(reservation, delay=7, count=False, verdict="stale")
        if call == "extend":
            assert isinstance(driver, Extendable)
            return driver.extend(reservation, 7)
        return driver.delete(reservation, effects=effects, only_last=call == "fail")

    @needs("fencing", "repeatable", "inspect")
    def test_the_same_release_again_changes_nothing(self, driver: Driver) -> None:
        """The reply to a release may be lost: the attempt is not given back twice, nor the delay counted anew."""
        reservation = pushed_and_reserved(driver)
        settled = [driver.release(reservation, delay=5, count=False)]
        before = _all(driver)
        settled.append(driver.release(reservation, delay=5, count=False))

        assert [Settled.DONE, Settled.STALE] == settled
        assert before == _all(driver)


def _all(driver: Driver) -> object:
    assert isinstance(driver, Inspectable)
    return driver.listed("default")
