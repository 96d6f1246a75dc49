"""Memory, SQLite and redis do the same: whatever is called, all answer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fakeredis
import hypothesis
from hypothesis import strategies as some

from qcore.driver import Effects, Lock, LockRule, Payload, Push, Reservation, Unlock, pending
from qcore.drivers.database import DatabaseDriver
from qcore.drivers.memory import MemoryDriver
from qcore.drivers.redis import RedisDriver
from qcore.failed import FailedJob
from qcore.memory import Memory
from qcore.redis.client import Client
from qcore.redis.home import RedisHome
from qcore.sql import Database
from qcore.stores.database import DatabaseFailedStore, DatabaseStore
from qcore.stores.memory import MemoryFailedStore, MemoryStore
from qcore.stores.redis import RedisFailedStore, RedisStore
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from qcore.store import Store

ids = some.sampled_from(["a", "b", "c", "d"])
queues = some.sampled_from(["default", "Default"])
delays = some.sampled_from([-1, 0, 0.0004, 0.001, 1, 3, 10])
keys = some.sampled_from(["key", "Key"])
owners = some.one_of(ids, ids.map(pending))
times = some.sampled_from([None, 0, 0.0004, 1, 5])


@some.composite
def pushes(draw: some.DrawFn) -> Push:
    payload = Payload(draw(ids), draw(some.binary(max_size=3)))
    lock = draw(some.none() | some.builds(Lock, keys, some.just(payload.id), times, some.sampled_from(LockRule)))
    return Push(draw(queues), payload, draw(delays), lock)


unlocks = some.lists(some.builds(Unlock, keys, ids), max_size=2)
calls = some.one_of(
    some.tuples(some.just("push"), pushes()),
    some.tuples(some.just("push_locked"), pushes()),
    some.tuples(some.just("take_lock"), some.builds(Lock, keys, owners, times, some.sampled_from(LockRule))),
    some.tuples(some.just("put"), keys, owners, times),
    some.tuples(some.just("bulk"), some.lists(pushes(), max_size=3)),
    some.tuples(some.just("reserve"), some.lists(queues, max_size=3), some.sampled_from([0, 0, 0, 2, 20])),
    # The last ones settle the n-th reservation that was handed out, whatever became of it.
    some.tuples(some.just("delete"), some.integers(0, 9), some.lists(pushes(), max_size=2), unlocks, some.booleans()),
    some.tuples(some.just("fail"), some.integers(0, 9)),
    some.tuples(some.just("release"), some.integers(0, 9), delays, some.booleans(), some.sampled_from(["", "note"])),
    some.tuples(some.just("extend"), some.integers(0, 9), delays),
    some.tuples(some.just("advance"), some.sampled_from([0.0001, 0.001, 1, 2, 10])),
    some.tuples(some.just("clear"), queues),
)


STORES: dict[type, tuple[Any, Any]] = {
    Memory: (MemoryFailedStore, MemoryStore),
    Database: (DatabaseFailedStore, DatabaseStore),
    RedisHome: (RedisFailedStore, RedisStore),
}


class Mended:
    """A frozen clock that can be put right."""

    def __init__(self) -> None:
        self.inner = FrozenClock()

    def mend(self) -> None:
        self.inner = FrozenClock(round(self.inner.now(), 4))

    def now(self) -> float:
        return self.inner.now()

    def monotonic(self) -> float:
        return self.inner.monotonic()

    def sleep(self, seconds: float) -> None:
        self.inner.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.inner.wait(condition, seconds)

    def advance(self, seconds: float) -> None:
        self.inner.advance(seconds)


class World:
    """A driver with its clock, its failed store, and what it has handed out."""

    def __init__(self, driver: MemoryDriver | DatabaseDriver | RedisDriver, clock: Mended) -> None:
        self.driver, self.clock = driver, clock
        home = driver.home
        self.failed = STORES[type(home)][0](home)
        self.home = home
        self.handed_out: list[Reservation] = []

    def call(self, name: str, *arguments: object) -> object:
        answer: object = getattr(self, name)(*arguments)
        if isinstance(answer, Reservation):
            # Tokens only have to grow; from where is each driver's own business.
            answer = answer._replace(token=0, receipt=None)
        listed = [self.driver.listed(queue) for queue in ("default", "Default")]
        sizes = [self.driver.size(queue) for queue in ("default", "Default")]
        due = self.driver.next_due(["default", "Default"])
        locks = [self.store.get(key) for key in ("key", "Key")]
        return answer, self.clock.now(), listed, sizes, due, self.driver.counts(), self.failed.listed(), locks

    @property
    def store(self) -> Store:
        store: Store = STORES[type(self.home)][1](self.home, self.clock)
        return store

    def put(self, key: str, owner: str, ttl: float | None) -> None:
        self.store.put(key, owner, ttl=ttl)

    def push_locked(self, push: Push) -> str | None:
        return self.driver.push_locked(push)

    def take_lock(self, lock: Lock) -> str | None:
        return self.driver.take_lock(lock)

    def push(self, push: Push) -> None:
        self.driver.push(push.queue, push.payload, delay=push.delay)

    def bulk(self, pushes: list[Push]) -> None:
        self.driver.bulk(pushes)

    def reserve(self, queues: list[str], wait: float) -> Reservation | None:
        found = self.driver.reserve(queues, wait=wait)
        # SQLite waits in many small steps, and so stops some nanoseconds beside the point.
        self.clock.mend()
        if found is not None:
            self.handed_out.append(found)
        return found

    def delete(self, index: int, pushes: list[Push], unlocks: list[Unlock], only_last: bool) -> object:  # noqa: FBT001 - drawn
        held = self._held(index)
        effects = Effects(tuple(pushes), unlocks=tuple(unlocks))
        return held and self.driver.delete(held, effects=effects, only_last=only_last)

    def fail(self, index: int) -> object:
        held = self._held(index)
        if held is None:
            return None
        record = FailedJob(held.payload, "connection", held.queue, "Traceback", self.clock.now())
        return self.driver.delete(held, effects=Effects(failed=record), only_last=True)

    def release(self, index: int, delay: float, count: bool, verdict: str) -> object:  # noqa: FBT001 - drawn
        held = self._held(index)
        return held and self.driver.release(held, delay=delay, count=count, verdict=verdict)

    def extend(self, index: int, seconds: float) -> object:
        held = self._held(index)
        return held and self.driver.extend(held, seconds)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    def clear(self, queue: str) -> int:
        return self.driver.clear(queue)

    def _held(self, index: int) -> Reservation | None:
        return self.handed_out[-1 - index] if index < len(self.handed_out) else None


@hypothesis.settings(
    max_examples=100,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(script=some.lists(calls, max_size=25))
def test_memory_and_sqlite_answer_every_call_alike(script: list[tuple[str, object]], tmp_path: Path) -> None:
    """Ids are few, so that reservations are lost, retried, settled late and twice."""
    clocks = Mended(), Mended()
    database = Database(f"sqlite:///{tmp_path}/queue.sqlite3", synchronous="OFF")
    for table in ("jobs", "failed_jobs", "keys"):
        database.connection().say(f"DELETE FROM qcore_{table}")
    database.connection().say("DELETE FROM sqlite_sequence")  # failures are numbered from 1
    worlds = [
        World(MemoryDriver(Memory(), clocks[0], retry_after=10), clocks[0]),
        World(DatabaseDriver(database, clocks[1], retry_after=10), clocks[1]),
    ]

    for name, *arguments in script:
        memory, sqlite = (world.call(name, *arguments) for world in worlds)
        assert memory == sqlite
    database.close()


@hypothesis.settings(max_examples=100)
@hypothesis.given(script=some.lists(calls, max_size=25))
def test_memory_and_redis_answer_every_call_alike(script: list[tuple[str, object]]) -> None:
    clocks = Mended(), Mended()
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    worlds = [
        World(MemoryDriver(Memory(), clocks[0], retry_after=10), clocks[0]),
        World(RedisDriver(RedisHome(lambda: Client(client, "the fake server")), clocks[1], retry_after=10), clocks[1]),
    ]

    for name, *arguments in script:
        memory, redis = (world.call(name, *arguments) for world in worlds)
        assert memory == redis
