"""The null driver and the null failed store keep nothing, and say so."""

from __future__ import annotations

from qcore.driver import Effects, Payload, Reservation, Settled
from qcore.drivers.null import NullDriver
from qcore.failed import FailedJob
from qcore.stores.null import NullFailedStore

PAYLOAD = Payload("job", b"body")


def test_what_is_pushed_to_the_null_driver_is_never_reserved() -> None:
    driver = NullDriver()
    driver.push("default", PAYLOAD)

    assert driver.reserve(["default"]) is None
    assert driver.reserve(["default"], wait=3600) is None


def test_the_null_driver_settles_nothing() -> None:
    driver = NullDriver()
    reservation = Reservation("default", PAYLOAD, 1, 1)

    assert driver.delete(reservation, effects=Effects(), only_last=True) is Settled.GONE
    assert driver.release(reservation, delay=5, count=False, verdict="note") is Settled.GONE


def test_the_null_driver_shares_its_home_with_nobody() -> None:
    assert NullDriver().home is not NullDriver().home
    assert NullDriver().home is not NullFailedStore().home
    assert NullDriver().shared is False


def test_the_null_failed_store_forgets() -> None:
    store = NullFailedStore()
    store.add(FailedJob(PAYLOAD, "null", "default", "Traceback", 0))

    assert store.find("job") is None
    assert store.listed() == []
    assert store.forget("job") is False
    assert store.flush() == 0
