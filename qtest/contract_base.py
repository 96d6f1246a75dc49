"""What the parts of the driver contract share: the features a driver claims, and how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import pytest

from qcore.driver import Payload, Reservation
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.batches import BatchStore
    from qcore.clock import Clock
    from qcore.driver import Driver
    from qcore.failed import FailedStore
    from qcore.store import Store

Test = TypeVar("Test", bound="Callable[..., None]")


@dataclass(frozen=True)
class Features:
    """What a driver claims. A feature chooses tests; it never makes one milder."""

    virtual_clock: bool = True
    """It takes the time from the clock it is given."""
    fencing: bool = True
    """Every reservation of an id bears a token of its own, and the newest one rules."""
    effects_atomic: bool = True
    """Effects happen in the step of the delete, exactly when it removed something."""
    failed_store: bool = True
    """``make_failed_store`` gives one with the same home: failing a job is one step."""
    repeatable: bool = True
    """The same call again changes nothing, as after a lost reply."""
    ordered: bool = True
    """Payloads come in the order in which they are due, and of their pushes among those due at once."""
    verdict: bool = True
    """A note of ``release`` is kept beside the payload."""
    waits: bool = True
    """``reserve`` wakes for a push, and for what becomes due."""
    locks: bool = True
    """Locks are taken and freed in the step that stores or deletes a payload; ``make_store`` gives their store."""
    batches: bool = True
    """A member of a batch is counted in the step that deletes it; ``make_batch_store`` gives the store of batches."""
    bulk: bool = True
    extend: bool = True
    size: bool = True
    clear: bool = True
    inspect: bool = True
    find: bool = True
    """The last six: it offers ``Bulk``, ``Extendable``, ``Sizable``, ``Clearable``, ``Inspectable``, ``Findable``."""
    pipelined: bool = False
    """It offers ``Pipelined``."""


def needs(*features: str, **for_value: str) -> Callable[[Test], Test]:
    """Run the test only for drivers that claim these features.

    ``call="extend"`` means the feature ``extend``, for the case in which the parameter ``call`` has just that value.
    """

    def mark(test: Test) -> Test:
        test.needs, test.needs_for_value = features, for_value  # type: ignore[attr-defined]
        return test

    return mark


class ContractBase:
    """How a contract gets its driver."""

    features = Features()
    retry_after = 60.0
    """Seconds. ``make_driver`` hands it to the driver."""

    def make_driver(self, clock: Clock) -> Driver:
        """Make a driver over an empty backend, with ``self.retry_after``, on ``clock`` if it can."""
        raise NotImplementedError

    def make_failed_store(self, driver: Driver) -> FailedStore:
        """Make the failed store with the home of ``driver``."""
        raise NotImplementedError

    def make_store(self, driver: Driver, clock: Clock) -> Store:
        """Make the key store with the home of ``driver``, on ``clock``."""
        raise NotImplementedError

    def make_batch_store(self, driver: Driver, clock: Clock) -> BatchStore:
        """Make the batch store with the home of ``driver``, on ``clock``."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _claimed(self, request: pytest.FixtureRequest) -> None:
        needed = list(getattr(request.function, "needs", ()))
        given = request.node.callspec.params if hasattr(request.node, "callspec") else {}
        for_value = getattr(request.function, "needs_for_value", {})
        needed += [value for name, value in for_value.items() if given.get(name) == value]
        missing = [name for name in needed if not getattr(self.features, name)]
        if missing:
            pytest.skip(f"the driver does not claim {', '.join(missing)}")

    @pytest.fixture
    def clock(self) -> FrozenClock:
        """Time that moves only when the test says so."""
        return FrozenClock()

    @pytest.fixture
    def driver(self, clock: FrozenClock) -> Driver:
        """Give the driver under test, on the frozen clock if it takes one."""
        return self.make_driver(clock)

    @pytest.fixture
    def store(self, driver: Driver, clock: FrozenClock) -> Store:
        """Give the key store beside the driver under test."""
        return self.make_store(driver, clock)

    @pytest.fixture
    def batches(self, driver: Driver, clock: FrozenClock) -> BatchStore:
        """Give the batch store beside the driver under test."""
        return self.make_batch_store(driver, clock)


def payload(job_id: str = "job", body: bytes = b"body") -> Payload:
    """Make a payload."""
    return Payload(job_id, body)


def reserved(driver: Driver, queue: str = "default") -> Reservation:
    """Reserve what must be there."""
    reservation = driver.reserve([queue])
    assert reservation is not None, f"nothing could be reserved from {queue!r}"
    return reservation


def pushed_and_reserved(driver: Driver, job_id: str = "job") -> Reservation:
    """Push a payload and take it."""
    driver.push("default", payload(job_id))
    return reserved(driver)


def lost_and_reserved(driver: Driver, clock: FrozenClock) -> tuple[Reservation, Reservation]:
    """Let a reservation run out, and take its payload again: the old and the new one."""
    old = pushed_and_reserved(driver)
    clock.advance(driver.retry_after)
    return old, reserved(driver)


def drained(driver: Driver, queue: str = "default") -> list[str]:
    """Take and delete all that is due; the ids in the order they came."""
    ids = []
    while (reservation := driver.reserve([queue])) is not None:
        driver.delete(reservation)
        ids.append(reservation.payload.id)
    return ids
