"""The memory driver keeps every promise, and no garbage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.driver import Payload, Push
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qcore.stores.memory_batches import MemoryBatchStore
from qtest.clock import FrozenClock
from qtest.contract import DriverContract

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.driver import Driver


class TestMemory(DriverContract):
    def make_driver(self, clock: Clock) -> MemoryDriver:
        return MemoryDriver(Memory(), clock, retry_after=self.retry_after)

    def make_failed_store(self, driver: Driver) -> MemoryFailedStore:
        assert isinstance(driver.home, Memory)
        return MemoryFailedStore(driver.home)

    def make_store(self, driver: Driver, clock: Clock) -> MemoryStore:
        assert isinstance(driver.home, Memory)
        return MemoryStore(driver.home, clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> MemoryBatchStore:
        return MemoryBatchStore(driver.home, clock)


def test_settled_payloads_leave_no_garbage() -> None:
    memory = Memory()
    driver = MemoryDriver(memory, FrozenClock())
    driver.push("default", Payload("stays", b""), delay=3600)

    for number in range(100_000):
        driver.push("default", Payload(str(number), b""))
        reservation = driver.reserve(["default"])
        assert reservation is not None
        driver.delete(reservation)

    queue = memory.queues["default"]
    assert (1, 1) == (len(memory.entries), queue.size)
    assert len(queue.waiting) + len(queue.leases) < 200


def test_a_lease_that_is_extended_again_and_again_leaves_no_garbage() -> None:
    memory = Memory()
    driver = MemoryDriver(memory, FrozenClock())
    driver.push("default", Payload("job", b""))
    reservation = driver.reserve(["default"])
    assert reservation is not None

    for _ in range(10_000):
        driver.extend(reservation, 1000)

    assert len(memory.queues["default"].leases) < 200


def test_leases_that_are_given_back_leave_no_garbage_behind_one_that_is_held() -> None:
    memory = Memory()
    driver = MemoryDriver(memory, FrozenClock())
    driver.push("default", Payload("held", b""))
    assert driver.reserve(["default"]) is not None
    driver.push("default", Payload("job", b""))

    for number in range(10_000):
        reservation = driver.reserve(["default"])
        assert reservation is not None
        driver.extend(reservation, 1000 + number)
        driver.release(reservation)

    queue = memory.queues["default"]
    assert len(queue.waiting) + len(queue.leases) < 200


def test_a_payload_that_is_released_until_the_end_of_its_lease_is_handed_out_once() -> None:
    driver = MemoryDriver(Memory(), clock := FrozenClock())
    for job_id in ("a", "b", "c"):
        driver.push("default", Payload(job_id, b""))
    for _ in range(3):
        reservation = driver.reserve(["default"])
        assert reservation is not None
        driver.release(reservation, delay=driver.retry_after)
    clock.advance(driver.retry_after)

    found = [driver.reserve(["default"]) for _ in range(4)]
    assert ["a", "b", "c", None] == [each and each.payload.id for each in found]


def test_late_successes_leave_no_garbage_among_the_waiting() -> None:
    memory = Memory()
    driver = MemoryDriver(memory, FrozenClock())
    driver.push("default", Payload("stays", b""), delay=1)

    for number in range(10_000):
        driver.push("default", Payload(str(number), b""))
        reservation = driver.reserve(["default"])
        assert reservation is not None
        driver.release(reservation, delay=3600)
        driver.delete(reservation)

    assert len(memory.queues["default"].waiting) < 200


def test_names_of_queues_that_are_empty_again_are_forgotten() -> None:
    memory = Memory()
    driver = MemoryDriver(memory, FrozenClock())

    for number in range(1000):
        driver.push(f"tenant {number}", Payload("job", b""))
        reservation = driver.reserve([f"tenant {number}"])
        assert reservation is not None
        driver.delete(reservation)

    assert len(memory.queues) < 100


def test_drivers_of_one_memory_share_its_queues() -> None:
    memory = Memory()
    clock = FrozenClock()
    MemoryDriver(memory, clock).bulk([Push("default", Payload("job", b""))])

    assert MemoryDriver(memory, clock, retry_after=5).reserve(["default"]) is not None


def test_it_is_not_shared_with_other_processes() -> None:
    assert MemoryDriver(Memory(), FrozenClock()).shared is False
