"""What a running job may ask and decide."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from qcore import delivery as deliveries
from qcore.delivery import Delivery, Tools, current_delivery
from qcore.driver import Payload, Reservation
from qcore.errors import ManuallyFailedError, NotRunningError
from qcore.events import Events
from qcore.jobs import Job
from qcore.memory import Memory
from qcore.stores.memory import MemoryStore
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from qcore.options import Delay


TOOLS = Tools(FrozenClock(), Events(), lambda: MemoryStore(Memory(), FrozenClock()), {})


class Sorting(Job):
    def handle(self) -> None: ...


@pytest.fixture
def delivery() -> Delivery:
    reservation = Reservation("mail", Payload("id-1", b"\xff not JSON"), attempts=3, token=7)
    return Delivery("redis", reservation, TOOLS)


def test_a_delivery_knows_where_it_comes_from(delivery: Delivery) -> None:
    assert ("redis", "mail", "id-1", b"\xff not JSON", 3) == (
        delivery.connection,
        delivery.queue,
        delivery.id,
        delivery.raw_body,
        delivery.attempts(),
    )


def test_a_payload_that_was_not_read_has_no_name(delivery: Delivery) -> None:
    assert delivery.name == "(unreadable payload)"


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (0, 0),
        (1.5, 1.5),
        (-3, 0),
        (timedelta(minutes=1), 60),
        (datetime.fromtimestamp(1_900_000_030, UTC), 30),
        (datetime.fromtimestamp(1, UTC), 0),
    ],
)
def test_release_takes_seconds_a_timedelta_or_an_aware_datetime(
    delivery: Delivery, delay: Delay, seconds: float
) -> None:
    """WRK-52."""
    delivery.release(delay)

    assert seconds == delivery.release_delay


@pytest.mark.parametrize(
    "delay",
    [datetime(2030, 1, 1), float("nan"), float("inf"), "5", True],  # noqa: DTZ001 - a naive one is the point
    ids=repr,
)
def test_release_refuses_what_is_no_delay(delivery: Delivery, delay: Delay) -> None:
    delivery.release(3)

    with pytest.raises(ValueError, match=r"a delay is|time zone"):
        delivery.release(delay)
    assert delivery.release_delay == 3


def test_the_last_word_of_release_and_delete_counts(delivery: Delivery) -> None:
    delivery.delete()
    delivery.release(5)
    assert (False, 5) == (delivery.deleted, delivery.release_delay)

    delivery.delete()
    assert (True, None) == (delivery.deleted, delivery.release_delay)


def test_fail_keeps_an_exception_as_it_is(delivery: Delivery) -> None:
    error = KeyError("x")

    delivery.fail(error)

    assert error is delivery.error


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "(unreadable payload) was failed by itself"),
        ("", "(unreadable payload) was failed by itself"),
        ("x", "x"),
    ],
)
def test_fail_makes_an_error_of_a_text(delivery: Delivery, given: str | None, message: str) -> None:
    """WRK-60."""
    delivery.fail(given)

    assert (ManuallyFailedError, message) == (type(delivery.error), str(delivery.error))


@pytest.mark.parametrize("given", [3, b"x", ValueError, object()], ids=["number", "bytes", "class", "object"])
def test_fail_refuses_what_is_no_error(delivery: Delivery, given: ValueError) -> None:
    """WRK-60."""
    with pytest.raises(TypeError, match=r"^fail\(\) takes an exception, a text or nothing, got "):
        delivery.fail(given)
    assert delivery.error is None


def test_outside_a_job_there_is_no_delivery() -> None:
    with pytest.raises(NotRunningError, match=r"^no job is running here"):
        current_delivery()


def test_a_delivery_is_that_of_one_job_object_and_not_of_an_equal_one(delivery: Delivery) -> None:
    job = delivery.job = Sorting()

    def look() -> None:
        assert delivery is current_delivery()
        assert delivery is deliveries.of(job)
        assert deliveries.of(Sorting()) is None
        with pytest.raises(NotRunningError, match=r"^Sorting\.release\(\) was called, but no worker is running"):
            Sorting().release()

    deliveries.context_of(delivery, bool).run(look)
    assert deliveries.of(job) is None


def test_deliveries_nest_and_do_not_reach_other_threads(delivery: Delivery) -> None:
    seen: list[object] = []

    def look() -> None:
        seen.append(deliveries.of(Sorting()))
        try:
            current_delivery()
        except NotRunningError as error:
            seen.append(type(error))

    def outer() -> None:
        inner = Delivery("sync", delivery.reservation, TOOLS)
        assert inner is deliveries.context_of(inner, bool).run(current_delivery)
        assert delivery is current_delivery()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    deliveries.context_of(delivery, bool).run(outer)

    assert [None, NotRunningError] == seen


def test_a_job_that_is_not_running_was_tried_once() -> None:
    """WRK-40."""
    assert Sorting().attempts() == 1


@pytest.mark.parametrize("verb", ["release", "fail", "delete"])
def test_a_job_that_is_not_running_cannot_decide(verb: str) -> None:
    with pytest.raises(NotRunningError, match=rf"^Sorting\.{verb}\(\) was called, but no worker is running this job$"):
        getattr(Sorting(), verb)()
