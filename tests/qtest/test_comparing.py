"""What is equal: jobs are compared as they are stored, and values may compare themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from dirty_equals import IsApprox, IsList, IsPartialDict, IsPositiveInt, IsStr

from qcore import Job
from qtest import QueueFake, like

if TYPE_CHECKING:
    from pathlib import Path


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


def test_dirty_equals_decide_as_fields_and_as_terms(queue_fake: QueueFake) -> None:
    Holds({"id": 7, "name": "Ann", "at": [1, 2]}).dispatch(delay=60, queue="mail")

    wanted = IsPartialDict(id=IsPositiveInt, name=IsStr(regex="A.*"))
    queue_fake.assert_pushed(Holds(wanted), queue=IsStr, delay=IsApprox(59, delta=2))
    queue_fake.assert_pushed(like(Holds, value={"id": 7, "name": IsStr, "at": IsList(length=2)}))
    queue_fake.assert_pushed_exactly(Holds(wanted))
    queue_fake.assert_not_pushed(Holds(IsPartialDict(id=IsStr)))
    queue_fake.assert_not_pushed(Holds, delay=IsApprox(50, delta=2))
    with pytest.raises(AssertionError, match=r"expected IsPartialDict\(id=IsStr"):
        queue_fake.assert_pushed(Holds(IsPartialDict(id=IsStr)))


# Values, and what messages say of them.


class Unwritable:
    def __repr__(self) -> str:
        message = "no text"
        raise RuntimeError(message)


@dataclass
class Hostile:
    number: int

    def __repr__(self) -> str:
        return Unwritable().__repr__()


class MuteError(Exception):
    __str__ = Unwritable.__repr__


class Raises(Job, tries=1):
    def __init__(self, kind: str) -> None:
        self.kind = kind

    def display_name(self) -> str:
        return "Raises\n\x1b[31m\u202ered"

    def handle(self) -> None:
        if self.kind == "mute":
            raise MuteError
        message = f"\x1b[31m{self.kind}\u202e"
        raise ValueError(message)


def test_a_value_whose_repr_raises_does_not_take_the_message_along(queue_fake: QueueFake) -> None:
    Holds(Hostile(1)).dispatch()

    with pytest.raises(AssertionError, match="no job matched") as caught:
        queue_fake.assert_pushed(Holds(3))
    assert "Hostile whose repr raises RuntimeError" in str(caught.value)


def test_an_exception_whose_text_raises_does_not_take_the_message_along(queue_fake: QueueFake) -> None:
    Raises("mute").dispatch()
    queue_fake.run_next_job()

    with pytest.raises(AssertionError, match="its text raises"):
        queue_fake.assert_processed(Raises)
    with pytest.raises(AssertionError, match="its text raises"):
        queue_fake.assert_failed(Raises, error=ValueError)
    with pytest.raises(AssertionError, match="its text raises"):
        queue_fake.assert_failed(Raises, match="nothing of it")
    queue_fake.failed()


def test_nothing_in_a_message_steers_the_terminal(queue_fake: QueueFake) -> None:
    Raises("one\ntwo").dispatch()
    queue_fake.run_next_job()
    Holds("\x1b[31m\u202e\x07").dispatch()

    for wanted in (Raises("two"), Holds("\x1b"), like(Holds, value=Hostile(1))):
        with pytest.raises(AssertionError) as caught:
            queue_fake.assert_processed(wanted)
        assert [] == [each for each in str(caught.value) if not each.isprintable() and each != "\n"]
        assert r"ValueError: \x1b[31mone" in str(caught.value)
    queue_fake.failed()


def test_an_origin_is_named_also_when_the_current_folder_is_gone(
    queue_fake: QueueFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    Holds(1).dispatch()

    with pytest.raises(AssertionError, match=r"test_comparing\.py"):
        queue_fake.assert_pushed(Holds(2))


@dataclass
class Quiet:
    number: int

    def __repr__(self) -> str:
        return "Quiet()"


def test_values_that_look_alike_are_not_said_to_hide_something(queue_fake: QueueFake) -> None:
    Holds(Quiet(1)).dispatch()

    with pytest.raises(AssertionError, match="they look alike, and are not equal"):
        queue_fake.assert_pushed(like(Holds, value=Quiet(2)))
