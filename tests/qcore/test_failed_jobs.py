"""Failed jobs are kept, found, shown and dropped, on every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import App, ConfigError
from qcore.driver import Payload
from qcore.events import JobFailed, JobQueued
from tests.qcore.failing import HOUR, Import, broken

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


def test_a_failed_job_is_kept_with_its_payload_and_its_reason(
    app: App, fail: Callable[..., str], clock: FrozenClock
) -> None:
    queued: list[JobQueued] = []
    app.listen(JobQueued, queued.append)
    job_id = fail()

    [record] = app.failed.list()
    assert (job_id, app.config.default, "default", clock.now()) == (
        record.id,
        record.connection,
        record.queue,
        record.failed_at,
    )
    assert queued[0].payload == record.payload
    assert "Import" == app.failed.display_name(record)
    assert record.exception.startswith("Traceback (most recent call last):")
    assert "in handle" in record.exception
    assert record.exception.rstrip().endswith("ValueError: a.csv is bad, password=[redacted]")
    assert "hunter2" not in record.exception


def test_a_huge_reason_is_cut(app: App, fail: Callable[..., str]) -> None:
    fail("x" * 300_000)

    assert len(app.failed.list()[0].exception) < 65_000


def test_a_job_that_succeeds_or_is_tried_again_is_not_kept(app: App, work: Callable[..., Stopped]) -> None:
    Import("a").with_options(tries=2, backoff=60).dispatch()
    work()
    assert [] == app.failed.list()
    broken["yes"] = False
    Import("b").dispatch()
    work()

    assert [] == app.failed.list()


def test_they_are_listed_newest_first_and_by_queue(app: App, fail: Callable[..., str], clock: FrozenClock) -> None:
    ids = [fail(), fail(queue="mail"), fail()]

    assert ids[::-1] == [record.id for record in app.failed.list()]
    assert [ids[1]] == [record.id for record in app.failed.list(queue="mail")]
    assert [] == app.failed.list(queue="none")


def test_one_is_found_by_its_id(app: App, fail: Callable[..., str]) -> None:
    job_id = fail()

    found = app.failed.find(job_id)
    assert [found] == app.failed.list()
    assert app.failed.find("missing") is None


@pytest.mark.parametrize("body", [b"\xff\x00 no payload", b"[]", b'{"uuid": "poison"}'])
def test_a_poison_payload_is_kept_and_pushed_byte_for_byte(body: bytes, app: App, work: Callable[..., Stopped]) -> None:
    """G-40."""
    app.connection().push_raw(Payload("poison", body))
    work()

    [record] = app.failed.list()
    assert (body, "(unreadable payload)") == (record.payload.body, app.failed.display_name(record))
    assert "PayloadError" in record.exception
    app.failed.retry(["poison"])
    assert [body] == [each.payload.body for each in app.connection().listed()]


def test_one_can_be_forgotten(app: App, fail: Callable[..., str]) -> None:
    job_id, other = fail(), fail()

    assert [True, False] == [app.failed.forget(job_id), app.failed.forget(job_id)]
    assert [other] == [record.id for record in app.failed.list()]


def test_all_can_be_flushed(app: App, fail: Callable[..., str]) -> None:
    fail()
    fail()

    assert [2, 0] == [app.failed.flush(), app.failed.flush()]


@pytest.mark.parametrize(
    ("ages", "hours", "kept"), [((49, 47), 48, [47]), ((48.001, 48, 47.999), 48, [47.999]), ((1, 0), 0, [])]
)
def test_the_old_ones_can_be_flushed(
    ages: tuple[float, ...], hours: float, kept: list[float], app: App, fail: Callable[..., str], clock: FrozenClock
) -> None:
    """G-44. At the very hour it is old enough."""
    of = {}
    for age, younger in zip(ages, (*ages[1:], 0), strict=True):
        of[fail()] = age
        clock.advance((age - younger) * HOUR)

    assert len(ages) - len(kept) == app.failed.flush(hours=hours)
    assert kept == [of[record.id] for record in app.failed.list()]


def test_pruning_drops_what_is_a_day_old(app: App, fail: Callable[..., str], clock: FrozenClock) -> None:
    fail()
    clock.advance(23 * HOUR)
    newer = fail()
    assert 0 == app.failed.prune()
    clock.advance(HOUR)

    assert 1 == app.failed.prune()
    assert [newer] == [record.id for record in app.failed.list()]
    assert (0, 1) == (app.failed.prune(hours=2), app.failed.prune(hours=1))


@pytest.mark.parametrize("hours", [-1, float("nan"), float("inf")])
def test_hours_that_are_none_flush_nothing(hours: float, app: App, fail: Callable[..., str]) -> None:
    fail()

    with pytest.raises(ConfigError, match="hours is a number"):
        app.failed.flush(hours=hours)
    assert 1 == len(app.failed.list())


def test_a_record_is_written_before_its_failure_is_told(app: App, fail: Callable[..., str]) -> None:
    kept: list[int] = []
    app.listen(JobFailed, lambda _: kept.append(len(app.failed.list())))
    fail()

    assert [1] == kept
