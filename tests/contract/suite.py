"""The contracts outside of pytest's collection: one test of them on one driver."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qcore.stores.memory_batches import MemoryBatchStore
from qtest.batch_contract import BatchStoreContract
from qtest.clock import FrozenClock
from qtest.contract import DriverContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.clock import Clock
    from qcore.driver import Driver
    from tests.contract.broken import Broken


class Suite(DriverContract, BatchStoreContract):
    """Sound, but for the driver or the batch store that it is given."""

    __test__ = False

    def __init__(self, kind: type[Broken] | None = None, batches: type[MemoryBatchStore] = MemoryBatchStore) -> None:
        self.kind = kind
        self.batch_store = batches

    def make_driver(self, clock: Clock) -> MemoryDriver:
        if self.kind is None:
            return MemoryDriver(Memory(), clock, retry_after=self.retry_after)
        return self.kind(clock, retry_after=self.retry_after)

    def make_failed_store(self, driver: Driver) -> MemoryFailedStore:
        assert isinstance(driver.home, Memory)
        return MemoryFailedStore(driver.home)

    def make_store(self, driver: Driver, clock: Clock) -> MemoryStore:
        assert isinstance(driver.home, Memory)
        return MemoryStore(driver.home, clock)

    def make_batch_store(self, driver: Driver, clock: Clock) -> MemoryBatchStore:
        return self.batch_store(driver.home, clock)

    def run(self, test: Callable[..., None], arguments: dict[str, Any]) -> None:
        clock = FrozenClock()
        driver = self.make_driver(clock)
        given = {
            "driver": driver,
            "clock": clock,
            "store": self.make_store(driver, clock),
            "batches": self.make_batch_store(driver, clock),
            **arguments,
        }
        test(self, **{name: given[name] for name in list(inspect.signature(test).parameters)[1:]})
