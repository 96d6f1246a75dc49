"""Looking without taking: size, counts, lists, the next due time; and emptying a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import (
    Bulk,
    Clearable,
    Driver,
    Extendable,
    Findable,
    Inspectable,
    Listed,
    Locking,
    Pipelined,
    QueueCounts,
    Settled,
    Sizable,
)
from qtest.contract_base import ContractBase, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qtest.clock import FrozenClock

_ABILITIES = {
    "locks": Locking,
    "bulk": Bulk,
    "extend": Extendable,
    "size": Sizable,
    "clear": Clearable,
    "inspect": Inspectable,
    "find": Findable,
    "pipelined": Pipelined,
}


class InspectionContract(ContractBase):
    """What the tools see is what is there."""

    def test_the_driver_offers_what_it_claims(self, driver: Driver) -> None:
        """No ability goes untested, and none is claimed in vain."""
        offered = [isinstance(driver, ability) for ability in _ABILITIES.values()]

        assert [getattr(self.features, name) for name in _ABILITIES] == offered

    def test_it_says_when_a_reserved_payload_comes_back(self, driver: Driver) -> None:
        """Time limits of jobs are checked against it."""
        assert self.retry_after == driver.retry_after

    @needs("size")
    def test_size_counts_ready_delayed_and_reserved_payloads_of_one_queue(self, driver: Driver) -> None:
        """All of them are still to be done."""
        assert isinstance(driver, Sizable)
        assert driver.size("default") == 0
        pushed_and_reserved(driver, "reserved")
        driver.push("default", payload("ready"))
        driver.push("default", payload("delayed"), delay=60)
        driver.push("other", payload("elsewhere"))

        assert (3, 1, 0) == (driver.size("default"), driver.size("other"), driver.size("none"))

    @needs("clear", "size")
    def test_clear_empties_one_queue_wholly(self, driver: Driver) -> None:
        """Ready, delayed and reserved payloads; and says how many there were."""
        assert isinstance(driver, Clearable)
        assert isinstance(driver, Sizable)
        held = pushed_and_reserved(driver, "reserved")
        driver.push("default", payload("ready"))
        driver.push("default", payload("delayed"), delay=60)
        driver.push("other", payload("elsewhere"))

        assert [3, 0] == [driver.clear("default"), driver.clear("default")]
        assert [0, 1] == [driver.size("default"), driver.size("other")]
        assert driver.delete(held) is Settled.GONE
        assert reserved(driver, "other").payload.id == "elsewhere"

    @needs("clear")
    def test_a_cleared_id_can_be_pushed_again(self, driver: Driver) -> None:
        """It is live no more; and its old reservation does not rule the new life."""
        assert isinstance(driver, Clearable)
        old = pushed_and_reserved(driver)
        driver.clear("default")
        new = pushed_and_reserved(driver)

        assert new.token > old.token
        assert driver.delete(old) is Settled.STALE
        assert driver.delete(new) is Settled.DONE

    @needs("inspect", "virtual_clock")
    def test_counts_tell_ready_delayed_and_reserved_apart(self, driver: Driver, clock: FrozenClock) -> None:
        """By queue, in the order of their names; with the time that the first ready payload has waited."""
        assert isinstance(driver, Inspectable)
        pushed_and_reserved(driver, "reserved")
        driver.push("default", payload("delayed"), delay=60)
        driver.push("a", payload("later"), delay=2)
        driver.push("a", payload("sooner"), delay=1)
        clock.advance(5)
        driver.push("a", payload("now"))

        assert [QueueCounts("a", 3, 0, 0, 4), QueueCounts("default", 0, 1, 1, None)] == driver.counts()

    @needs("inspect", "virtual_clock")
    def test_a_lease_that_ran_out_counts_as_ready(self, driver: Driver, clock: FrozenClock) -> None:
        """The next worker will take it."""
        assert isinstance(driver, Inspectable)
        pushed_and_reserved(driver)
        clock.advance(self.retry_after + 1)

        assert [QueueCounts("default", 1, 0, 0, 1)] == driver.counts()
        assert ["ready"] == [each.state for each in driver.listed("default")]

    @needs("inspect")
    def test_an_empty_queue_is_not_counted(self, driver: Driver) -> None:
        """What was once used and is empty now is no longer there."""
        assert isinstance(driver, Inspectable)
        driver.delete(pushed_and_reserved(driver))

        assert driver.counts() == []

    @needs("inspect", "ordered", "virtual_clock")
    def test_listed_shows_payloads_in_the_order_in_which_they_become_available(
        self, driver: Driver, clock: FrozenClock
    ) -> None:
        """With their state, attempts, and due time or end of lease; and changes nothing."""
        assert isinstance(driver, Inspectable)
        start = clock.now()
        pushed_and_reserved(driver, "reserved")
        driver.push("default", payload("delayed", b"\xff"), delay=5)
        driver.push("default", payload("ready"))

        expected = [
            Listed("default", payload("ready"), "ready", 0, start),
            Listed("default", payload("delayed", b"\xff"), "delayed", 0, start + 5),
            Listed("default", payload("reserved"), "reserved", 1, start + self.retry_after),
        ]
        assert expected == driver.listed("default")
        assert expected[:2] == driver.listed("default", limit=2)
        assert driver.listed("other") == []
        assert reserved(driver).payload.id == "ready"

    @needs("find", "virtual_clock")
    def test_a_payload_is_found_by_its_id(self, driver: Driver, clock: FrozenClock) -> None:
        """Wherever it is, as long as it is live; and it stays there."""
        assert isinstance(driver, Findable)
        start = clock.now()
        pushed_and_reserved(driver, "reserved")
        driver.push("default", payload("delayed", b"\xff"), delay=5)
        driver.push("other", payload("ready"))

        assert [
            Listed("other", payload("ready"), "ready", 0, start),
            Listed("default", payload("delayed", b"\xff"), "delayed", 0, start + 5),
            Listed("default", payload("reserved"), "reserved", 1, start + self.retry_after),
        ] == [driver.find(name) for name in ("ready", "delayed", "reserved")]
        assert [None, None] == [driver.find("unknown"), driver.find("READY")]
        driver.delete(reserved(driver, "other"))
        assert driver.find("ready") is None

    @needs("inspect", "virtual_clock")
    @pytest.mark.parametrize("place", ["ready", "delayed", "reserved"])
    def test_next_due_tells_when_to_look_again(self, driver: Driver, clock: FrozenClock, place: str) -> None:
        """The earliest of the queues asked for, ends of leases included; None when they are empty."""
        assert isinstance(driver, Inspectable)
        start = clock.now()
        driver.push("later", payload("later"), delay=3600)
        driver.push("elsewhere", payload("elsewhere"))
        assert driver.next_due(["default", "unknown"]) is None
        driver.push("default", payload(), delay=9 if place == "delayed" else 0)
        if place == "reserved":
            reserved(driver)
        clock.advance(1)

        expected = start + {"ready": 0, "delayed": 9, "reserved": self.retry_after}[place]
        assert expected == driver.next_due(["later", "default"])
