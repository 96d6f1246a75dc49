"""What is equal: jobs are compared as they are stored, and values may compare themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from qcore import Job
from qtest import QueueFake, like


@dataclass(eq=False)
class NeverEqual:
    number: int


class Holds(Job):
    def __init__(self, value: object = None) -> None:
        self.value = value

    def handle(self) -> None:
        pass


class Other(Job):
    def handle(self) -> None:
        pass


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (math.nan, float("nan")),
        ([math.nan], [math.nan]),
        (NeverEqual(1), NeverEqual(1)),
        ({"a": (NeverEqual(1),)}, {"a": (NeverEqual(1),)}),
    ],
)
def test_a_value_that_is_not_equal_to_itself_is_found_by_what_is_stored_of_it(
    one: object, other: object, queue_fake: QueueFake
) -> None:
    Holds(one).dispatch()

    for wanted in (Holds(other), like(Holds, value=other)):
        queue_fake.assert_pushed_once(wanted)
        queue_fake.assert_pushed_exactly(wanted)
        with pytest.raises(AssertionError, match="expected never"):
            queue_fake.assert_not_pushed(wanted)


@pytest.mark.parametrize("other", [NeverEqual(2), math.nan, object(), None])
def test_a_value_that_is_not_equal_to_itself_is_equal_to_no_other_one(other: object, queue_fake: QueueFake) -> None:
    Holds(NeverEqual(1)).dispatch()

    queue_fake.assert_not_pushed(like(Holds, value=other))


def test_a_row_without_gaps_may_begin_late(queue_fake: QueueFake) -> None:
    for number in (1, 2):
        Holds(number).dispatch()
    Other().dispatch()

    assert [2, 3] == [each.number for each in queue_fake.assert_pushed_in_order(Holds, Other, strict=True)]
    assert [1, 3] == [each.number for each in queue_fake.assert_pushed_in_order(Holds, Other)]
    with pytest.raises(AssertionError, match="not pushed in this order"):
        queue_fake.assert_pushed_in_order(Holds(1), Other, strict=True)


@pytest.mark.parametrize("one", [Holds, like(Holds)])
def test_more_pushes_than_calls_may_be_nested_are_matched(one: object, queue_fake: QueueFake) -> None:
    count = 1100
    for _ in range(count):
        Holds(1).dispatch()

    queue_fake.assert_pushed_exactly(*[one] * count)
    queue_fake.assert_pushed_exactly(*[Holds(1)] * count)
    with pytest.raises(AssertionError, match="pushed beside what was expected"):
        queue_fake.assert_pushed_exactly(*[Holds] * (count - 1))
    with pytest.raises(AssertionError, match="where another one was expected as well"):
        queue_fake.assert_pushed_exactly(*[Holds] * (count + 1))


def test_a_push_that_fits_two_goes_to_the_one_that_has_no_other(queue_fake: QueueFake) -> None:
    for number in (1, 2, 3):
        Holds(number).dispatch()

    queue_fake.assert_pushed_exactly(Holds, like(Holds), Holds(1))
    queue_fake.assert_pushed_exactly(Holds(1), Holds, Holds(2))
    with pytest.raises(AssertionError):
        queue_fake.assert_pushed_exactly(Holds, Holds(1), Holds(1))
