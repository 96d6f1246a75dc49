"""The contracts on a home of redis, whatever server it is on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.drivers.redis import RedisDriver
from qcore.redis.home import RedisHome
from qcore.stores.redis import RedisFailedStore, RedisStore
from qcore.stores.redis_batches import RedisBatchStore
from qtest.batch_contract import BatchStoreContract
from qtest.clock import FrozenClock
from qtest.contract import DriverContract, Features
from qtest.store_contract import FailedStoreContract, StoreContract
from tests.contract.lost_answers import Scene

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.driver import Driver
    from tests.contract.lost_answers import Parts


def parts_of(home: RedisHome, clock: Clock) -> Parts:
    return RedisDriver(home, clock), RedisStore(home, clock), RedisFailedStore(home), RedisBatchStore(home, clock)


def scene_on(home: RedisHome) -> Scene:
    clock = FrozenClock()
    return Scene(clock, parts_of(home, clock))


class OnRedis:
    """Makes the driver and the stores of one home, which a subclass gives as ``home``."""

    home: RedisHome
    retry_after: float

    def make_driver(self, clock: Clock) -> RedisDriver:
        return RedisDriver(self.home, clock, retry_after=self.retry_after)

    def make_batch_store(self, driver: Driver, clock: Clock) -> RedisBatchStore:
        assert isinstance(driver.home, RedisHome)
        return RedisBatchStore(driver.home, clock)


class Driven(OnRedis, DriverContract):
    """The contract of drivers."""

    features = Features(pipelined=True)

    def make_failed_store(self, driver: Driver) -> RedisFailedStore:
        assert isinstance(driver.home, RedisHome)
        return RedisFailedStore(driver.home)

    def make_store(self, driver: Driver, clock: Clock) -> RedisStore:
        assert isinstance(driver.home, RedisHome)
        return RedisStore(driver.home, clock)


class Batched(OnRedis, BatchStoreContract):
    """The contract of batch stores."""


class Stored(StoreContract):
    """The contract of key stores."""

    home: RedisHome

    def make_store(self, clock: Clock) -> RedisStore:
        return RedisStore(self.home, clock)


class Failed(FailedStoreContract):
    """The contract of stores of failed jobs."""

    home: RedisHome

    def make_failed_store(self) -> RedisFailedStore:
        return RedisFailedStore(self.home)
