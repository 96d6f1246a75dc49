"""The contracts of stores: subclass them, say how yours is made, and run pytest.

::

    class TestMyStore(StoreContract):
        def make_store(self, clock):
            return MyStore(clock)
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.errors import DriverError
from qcore.failed import FailedJob
from qcore.store import Held, Listing
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from qcore.clock import Clock
    from qcore.failed import FailedStore
    from qcore.store import Store


class StoreContract:
    """Tests of every promise a key store makes."""

    def make_store(self, clock: Clock) -> Store:
        """Make an empty store whose time runs on ``clock``."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Time that moves only when the test says so."""
        return FrozenClock()

    @pytest.fixture
    def store(self, clock: FrozenClock) -> Store:
        """Give the store under test."""
        return self.make_store(clock)

    def test_what_was_put_can_be_read(self, store: Store) -> None:
        """Put replaces whatever was there."""
        assert store.get("key") is None
        store.put("key", "first")
        store.put("key", "second\n\u2603")

        assert store.get("key") == "second\n\u2603"

    def test_an_empty_value_is_a_value(self, store: Store) -> None:
        """It is read as such, and holds its key."""
        store.put("key", "")

        assert store.get("key") == ""
        assert store.add("key", "other") is False

    def test_keys_never_mix(self, store: Store) -> None:
        """Case, spaces, composition of letters and wildcards tell keys apart."""
        keys = ["key", "Key", "key ", "k\u00e9y", "ke\u0301y", "key%", "ke_", "key:key", "k" * 255]
        for key in keys:
            assert store.add(key, f"of {key}") is True

        assert [f"of {key}" for key in keys] == [store.get(key) for key in keys]

    @pytest.mark.parametrize("write", ["put", "add", "increment"])
    def test_a_key_lives_as_long_as_it_was_given(self, store: Store, clock: FrozenClock, write: str) -> None:
        """To the millisecond: a lock does not open early."""
        if write == "increment":
            store.increment("key", by=7, ttl=10)
        else:
            getattr(store, write)("key", "7", ttl=10)
        clock.advance(9.999)
        assert store.get("key") == "7"
        clock.advance(0.001)

        assert store.get("key") is None
        assert store.forget("key") is False

    def test_keys_can_be_shown_with_the_time_they_have(self, store: Store, clock: FrozenClock) -> None:
        """One, or those below a prefix, which is no pattern; in the order of their characters, as many as asked for."""
        if not isinstance(store, Listing):
            pytest.skip("the store does not offer Listing")
        for key, ttl in (("lock:b", 10), ("lock:\u2603", None), ("lock:a", 5), ("Lock:c", None), ("lock", None)):
            store.put(key, f"of {key}", ttl=ttl)
        store.put("lock_", "")
        clock.advance(5)

        held = [Held("lock:b", "of lock:b", clock.now() + 5), Held("lock:\u2603", "of lock:\u2603", None)]
        assert held == store.held_below("lock:")
        assert [*held, None] == [store.held(key) for key in ("lock:b", "lock:\u2603", "lock:a")]
        assert [["lock:b"], ["lock_"], []] == [
            [each.key for each in store.held_below(prefix, limit=1)] for prefix in ("lock:", "lock_", "lock%")
        ]
        assert ["Lock:c", "lock", "lock:b", "lock:\u2603", "lock_"] == [each.key for each in store.held_below("")]

    def test_a_key_without_time_to_live_stays(self, store: Store, clock: FrozenClock) -> None:
        """For ever."""
        store.put("key", "value")
        clock.advance(10 * 365 * 86_400)

        assert store.get("key") == "value"

    def test_put_renews_the_time_to_live(self, store: Store, clock: FrozenClock) -> None:
        """The last put decides, also when it sets none."""
        store.put("renewed", "1", ttl=5)
        store.put("kept", "1", ttl=5)
        store.put("renewed", "2", ttl=10)
        store.put("kept", "2")
        clock.advance(6)

        assert ["2", "2"] == [store.get("renewed"), store.get("kept")]

    def test_add_takes_only_a_free_key(self, store: Store, clock: FrozenClock) -> None:
        """Free is what never was, was forgotten, or has run out; who came too late changes nothing."""
        assert [True, False] == [store.add("key", "first", ttl=10), store.add("key", "second", ttl=99)]
        assert store.get("key") == "first"
        clock.advance(10)
        assert store.add("key", "third") is True
        store.forget("key")

        assert store.add("key", "fourth") is True

    def test_a_counter_starts_at_zero_and_keeps_its_first_time_to_live(self, store: Store, clock: FrozenClock) -> None:
        """As a rate limit needs it: the window does not move with every hit."""
        assert [1, 3, 2] == [
            store.increment("hits", ttl=10),
            store.increment("hits", by=2),
            store.increment("hits", by=-1),
        ]
        clock.advance(9)
        assert store.increment("hits", ttl=10) == 3
        clock.advance(1)

        assert store.increment("hits", ttl=10) == 1

    def test_a_counter_is_a_key(self, store: Store) -> None:
        """It can be put and read like any other."""
        store.put("hits", "41")

        assert store.increment("hits") == 42
        assert store.get("hits") == "42"

    def test_what_is_no_number_is_not_counted(self, store: Store) -> None:
        """It is kept, and the error says so."""
        store.put("key", "owner")

        with pytest.raises(DriverError, match="owner"):
            store.increment("key")
        assert store.get("key") == "owner"

    def test_forget_removes_a_key(self, store: Store) -> None:
        """Once."""
        store.put("key", "value")

        assert [True, False] == [store.forget("key"), store.forget("key")]
        assert store.get("key") is None

    def test_forget_with_a_value_removes_only_that(self, store: Store) -> None:
        """A lock is opened by its owner only."""
        store.put("lock", "owner")

        assert store.forget("lock", value="thief") is False
        assert store.forget("lock", value="Owner") is False
        assert store.get("lock") == "owner"
        assert store.forget("lock", value="owner") is True

    def test_many_short_lived_keys_do_not_disturb_the_others(self, store: Store, clock: FrozenClock) -> None:
        """What has run out is cleared away; what lives stays."""
        store.put("stays", "1")
        store.put("lives", "1", ttl=3600)
        for number in range(2500):
            store.put(f"short {number}", "1", ttl=0.1)
            clock.advance(0.2)

        assert ["1", "1"] == [store.get("stays"), store.get("lives")]

    def test_of_many_threads_one_takes_a_key_and_all_are_counted(self) -> None:
        """Add and increment are single steps."""
        store = self.make_store(SystemClock())
        taken: list[bool] = []

        def work() -> None:
            for number in range(25):
                taken.append(store.add(f"lock {number}", "owner"))
                store.increment("hits")

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        assert (25, 100) == (taken.count(True), len(taken))
        assert store.get("hits") == "100"


class FailedStoreContract:
    """Tests of every promise a store of failed jobs makes."""

    def make_failed_store(self) -> FailedStore:
        """Make an empty store."""
        raise NotImplementedError

    @pytest.fixture
    def failed(self) -> FailedStore:
        """Give the store under test."""
        return self.make_failed_store()

    def test_a_record_is_kept_as_it_is(self, failed: FailedStore) -> None:
        """Its bytes and texts and the time, to the last digit."""
        record = failed_job("job", queue="d\u00e9fault ", failed_at=1_900_000_000.123456)
        failed.add(record)

        found = failed.find("job")
        assert found is not None
        assert record == found._replace(number=0)
        assert [found] == failed.listed()
        assert failed.find("other") is None

    def test_a_text_that_is_not_quite_text_does_not_lose_the_record(self, failed: FailedStore) -> None:
        """A traceback may show a file name in a broken encoding."""
        failed.add(failed_job("job")._replace(exception="before \udcff after"))

        found = failed.find("job")
        assert found is not None
        assert (True, True) == (found.exception.startswith("before "), found.exception.endswith(" after"))

    def test_the_newest_failure_comes_first(self, failed: FailedStore) -> None:
        """By number, which counts up with every failure."""
        for job_id in ("a", "b", "c"):
            failed.add(failed_job(job_id))

        listed = failed.listed()
        assert ["c", "b", "a"] == [record.id for record in listed]
        assert listed[0].number > listed[1].number > listed[2].number

    def test_a_job_that_fails_again_has_one_record_with_a_new_number(self, failed: FailedStore) -> None:
        """The older record is replaced."""
        for job_id in ("a", "b"):
            failed.add(failed_job(job_id))
        failed.add(failed_job("a")._replace(exception="again"))

        first, second = failed.listed()
        assert ("a", "again", "b") == (first.id, first.exception, second.id)
        assert first.number > second.number

    def test_numbers_are_not_used_twice(self, failed: FailedStore) -> None:
        """Not even when the newest record was forgotten."""
        failed.add(failed_job("a"))
        [first] = failed.listed()
        failed.forget("a")
        failed.add(failed_job("a"))

        [second] = failed.listed()
        assert second.number > first.number

    def test_records_of_one_queue_can_be_listed(self, failed: FailedStore) -> None:
        """And of that very queue."""
        failed.add(failed_job("a", queue="mail"))
        failed.add(failed_job("b", queue="Mail"))
        failed.add(failed_job("c", queue="mail"))

        assert ["c", "a"] == [record.id for record in failed.listed(queue="mail")]

    def test_one_record_can_be_forgotten(self, failed: FailedStore) -> None:
        """Once."""
        failed.add(failed_job("a"))
        failed.add(failed_job("b"))

        assert [True, False] == [failed.forget("a"), failed.forget("a")]
        assert ["b"] == [record.id for record in failed.listed()]

    def test_forget_with_a_number_removes_only_that_failure(self, failed: FailedStore) -> None:
        """A retry forgets what it retried, and not what failed meanwhile."""
        failed.add(failed_job("a"))
        [first] = failed.listed()
        failed.add(failed_job("a"))
        [second] = failed.listed()

        assert failed.forget("a", number=first.number) is False
        assert [second] == failed.listed()
        assert failed.forget("a", number=second.number) is True
        assert [] == failed.listed()

    def test_all_can_be_flushed(self, failed: FailedStore) -> None:
        """It says how many there were."""
        for job_id in ("a", "b"):
            failed.add(failed_job(job_id))

        assert [2, 0] == [failed.flush(), failed.flush()]
        assert failed.listed() == []

    def test_those_before_an_instant_can_be_flushed(self, failed: FailedStore) -> None:
        """That instant included."""
        for job_id, failed_at in (("old", 100.5), ("at", 200.25), ("new", 200.250001)):
            failed.add(failed_job(job_id, failed_at=failed_at))

        assert failed.flush(before=200.25) == 2
        assert ["new"] == [record.id for record in failed.listed()]


def failed_job(job_id: str, *, queue: str = "default", failed_at: float = 1_900_000_000.0) -> FailedJob:
    """Make a record with hostile bytes and a text of several lines."""
    return FailedJob(Payload(job_id, bytes(range(256))), "connection", queue, "Traceback\n  \u2603", failed_at)
