"""Payload checks: what a payload would lose is said at the push, with its path."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from qcore import Job, PayloadError
from qtest.lossy import loss
from tests.qtest.losing import (
    Attrs,
    Cached,
    Computed,
    Fresh,
    Grown,
    Hands,
    Hides,
    Holds,
    Loud,
    Model,
    Point,
    Property,
    Secretive,
    Takes,
    Untyped,
    counted,
)
from tests.qtest.signup import notify

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest import QueueFake


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Holds(object()), r"Holds\.value: object cannot be stored"),
        (lambda: Holds([1, {"a": lambda: 1}]), r"Holds\.value\[1\]\.a: function cannot be stored"),
        (lambda: Holds(Point(1, {1, object()})), r"Holds\.value\.y\[\d\]: object cannot"),
        (lambda: Hides(7), r"Hides\._user_id would be lost: names with an underscore .* keep it as user_id"),
        (lambda: Property("a"), r"Property\._path would be lost"),
        (lambda: Computed(3), r"Computed\.limit would be lost: the class defines the same name"),
        (lambda: Secretive("a", "b"), r"Secretive\._note would be lost"),
        (lambda: Attrs("a", "b"), r"Attrs\._note would be lost"),
        (Takes, r"Takes\.handle\(\) takes 'user_id'.* keep it as self\.user_id"),
        (Untyped, r"Untyped\.handle\(\) takes 'user_id'"),
    ],
)
def test_what_would_be_lost_is_named_by_its_path(make: Callable[[], Job], says: str, queue_fake: QueueFake) -> None:
    with pytest.raises(PayloadError, match=says):
        make().dispatch()

    queue_fake.assert_nothing_pushed()


@pytest.mark.parametrize(
    "value",
    [
        (1, (2, [3])),
        {1: "a", "1": "b", None: 0},
        datetime(2030, 1, 1),  # noqa: DTZ001 - naive stays naive
        datetime(2030, 1, 1, tzinfo=UTC),
        {math.nan},
        -0.0,
        frozenset({(1, "a"), None}),
        Point(1),
        Loud("x"),
        [Point(Loud("x"), Point((1,)))],
    ],
)
def test_what_comes_back_as_it_was_is_pushed(value: object, queue_fake: QueueFake) -> None:
    Holds(value).dispatch()

    found = queue_fake.assert_pushed_once(Holds).job
    assert isinstance(found, Holds)
    assert loss(value, found.value, "value") is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Hands(7, object()),
        lambda: Cached(3),
        lambda: Secretive("a"),
        lambda: Attrs("a"),
        lambda: Model(name="a"),
        lambda: counted.job(1, step=2),
        lambda: notify.job(1),
    ],
)
def test_what_a_class_says_it_does_not_keep_may_be_lost(make: Callable[[], Job], queue_fake: QueueFake) -> None:
    given = make()
    assert getattr(given, "double", 6) == 6
    given.dispatch()

    queue_fake.assert_pushed(given)


@pytest.mark.parametrize(
    ("given", "got", "says"),
    [
        ((1,), [1], "at: tuple would come back as list"),
        ({1: "a"}, {"1": "a"}, "a key of at: int would come back as str"),
        ({"a": [1, (2,)]}, {"a": [1, [2]]}, "at.a[1]: tuple would come back as list"),
        (1, True, "at: int would come back as bool"),
        (1, 1.0, "at: int would come back as float"),
        (datetime(2030, 1, 1), datetime(2030, 1, 1, tzinfo=UTC), "at: another datetime.datetime would come back"),  # noqa: DTZ001
        ([1, 2], [1], "at: another list would come back"),
        ({"a": 1}, {}, "at: another dict would come back"),
        ({1}, {True}, "at: another set would come back"),
        (Point(1), Point("1"), "at.x: int would come back as str"),
        (Loud("x"), Loud("X"), "at.text: another str would come back"),
        ("x", "X", "at: another str would come back"),
        (math.nan, math.nan, None),
    ],
)
def test_values_are_compared_by_type_and_part_by_part(given: object, got: object, says: str | None) -> None:
    assert says == loss(given, got, "at")


def test_a_value_that_comes_back_as_another_is_named_and_not_shown(queue_fake: QueueFake) -> None:
    with pytest.raises(PayloadError, match=r"^Holds\.value\[0\]\.text: another str would come back$"):
        Holds([Grown("x")]).dispatch()


def test_what_happens_to_a_job_after_its_dispatch_does_not_reach_its_payload(queue_fake: QueueFake) -> None:
    given = Holds([1])
    with queue_fake.transaction():
        given.dispatch(after_commit=True)
        given.value.append(2)  # type: ignore[attr-defined]

    queue_fake.assert_pushed(Holds([1]))


def test_a_default_that_is_made_anew_comes_back_as_it_was_filled(queue_fake: QueueFake) -> None:
    given = Fresh()
    given.items.append(1)
    given.dispatch()

    queue_fake.assert_pushed(Fresh([1]))
