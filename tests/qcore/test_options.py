"""What may be said about a job, what is refused, and what beats what."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, timezone

import pytest

from qcore.errors import JobDefinitionError
from qcore.options import UNSET, Delay, JobOptions, checked_name, job_options, said, seconds_until, timestamp

NOW = 1_900_000_000.0


class Queues(enum.Enum):
    MAIL = "mail"
    LOW = 3


class Text(enum.StrEnum):
    REPORTS = "reports"


@pytest.mark.parametrize(
    ("option", "value", "kept"),
    [
        ("tries", 0, 0),
        ("tries", 3, 3),
        ("max_exceptions", 2, 2),
        ("backoff", 1.5, 1.5),
        ("backoff", [1, 5, 10], (1, 5, 10)),
        ("backoff", range(1, 4), (1, 2, 3)),
        ("backoff", (), None),
        ("timeout", 0, 0),
        ("timeout", 0.5, 0.5),
        ("fail_on_timeout", True, True),
        ("fail_on_timeout", False, False),
        ("delay", 5, 5),
        ("delay", timedelta(minutes=1), timedelta(minutes=1)),
        ("delay", -1, -1),
        ("queue", "mail", "mail"),
        ("queue", "büro / über 9", "büro / über 9"),
        ("connection", Queues.MAIL, "mail"),
        ("queue", Queues.LOW, "LOW"),
        ("queue", Text.REPORTS, "reports"),
    ],
)
def test_a_good_option_is_kept(option: str, value: object, kept: object) -> None:
    assert kept == getattr(said({option: value}), option)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("tries", -1),
        ("tries", 1.0),
        ("tries", True),
        ("tries", "3"),
        ("tries", 1 << 63),
        ("max_exceptions", -1),
        ("backoff", -1),
        ("backoff", (1, "5")),
        ("backoff", (1, float("nan"))),
        ("backoff", "1,5"),
        ("backoff", timedelta(seconds=1)),
        ("timeout", -0.1),
        ("timeout", float("inf")),
        ("timeout", 1e12),
        ("timeout", True),
        ("fail_on_timeout", "no"),
        ("fail_on_timeout", 1),
        ("delay", "soon"),
        ("delay", True),
        ("delay", float("nan")),
        ("delay", float("-inf")),
        ("delay", 1e12),
        ("delay", datetime(2030, 1, 1)),  # noqa: DTZ001 - that is what is refused
        ("queue", ""),
        ("queue", " mail"),
        ("queue", "a,b"),
        ("queue", "line\nbreak"),
        ("queue", "x" * 191),
        ("queue", 3),
        ("connection", b"redis"),
    ],
)
def test_a_value_that_cannot_mean_anything_is_refused_by_the_name_of_its_option(option: str, value: object) -> None:
    """What is accepted here can be written into a payload and read back: nothing is found out by a worker."""
    with pytest.raises(JobDefinitionError, match=option):
        said({option: value})


def test_an_unknown_option_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(JobDefinitionError, match=r"prio, retries is no option of a job; there are queue, connection"):
        said({"retries": 3, "prio": 1})


def test_options_said_here_beat_those_below() -> None:
    class_options = job_options(queue="class", tries=3, timeout=5)

    assert job_options(queue="call", tries=3, timeout=0) == job_options(queue="call", timeout=0).over(class_options)


def test_options_that_say_nothing_change_nothing() -> None:
    base = job_options(queue="mail", tries=3)

    assert (base, base) == (UNSET.over(base), JobOptions().over(base))
    assert base == base.over(UNSET)


def test_a_false_option_is_said() -> None:
    assert job_options(fail_on_timeout=False).over(job_options(fail_on_timeout=True)).fail_on_timeout is False


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (None, 0),
        (0, 0),
        (2.5, 2.5),
        (-3, 0),
        (timedelta(hours=1), 3600),
        (timedelta(hours=-1), 0),
        (datetime.fromtimestamp(NOW + 60, UTC), 60),
        (datetime.fromtimestamp(NOW + 60, timezone(timedelta(hours=-11))), 60),
        (datetime.fromtimestamp(NOW - 60, UTC), 0),
    ],
)
def test_a_delay_is_seconds_from_now_and_the_past_is_now(delay: Delay | None, seconds: float) -> None:
    """DSP-23."""
    assert seconds == seconds_until(delay, NOW)


def test_a_moment_is_aware_or_a_number() -> None:
    assert (NOW, NOW) == (timestamp(NOW), timestamp(datetime.fromtimestamp(NOW, UTC)))
    with pytest.raises(ValueError, match="has no time zone"):
        timestamp(datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_the_longest_name_is_accepted() -> None:
    assert "x" * 190 == checked_name("x" * 190, "queue")
