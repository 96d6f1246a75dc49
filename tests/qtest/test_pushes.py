"""What is kept of a dispatch is read when somebody looks: it is what was pushed then, whatever has happened since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from qcore import Job
from qcore.driver import Payload

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from qtest import QueueFake


class Kept(Job):
    def __init__(self, value: object) -> None:
        self.value = value

    def handle(self) -> None:
        pass


class Titled(Job):
    def __init__(self, title: str) -> None:
        self.title = title

    def handle(self) -> None:
        pass

    def display_name(self) -> str:
        return self.title


@dataclass
class Point:
    x: int


def test_a_job_that_is_changed_after_its_dispatch_is_shown_as_it_was_pushed(queue_fake: QueueFake) -> None:
    parts: dict[str, int] = {"a": 2}
    job, held = Kept(1), Kept([1, parts])
    for each in (job, held):
        each.dispatch()
    job.value = 2
    parts["a"] = 3

    queue_fake.assert_pushed(Kept(1), times=1)
    queue_fake.assert_pushed(Kept([1, {"a": 2}]), times=1)
    assert [1, [1, {"a": 2}]] == [each.job.value for each in queue_fake.pushed()]  # type: ignore[union-attr]


def test_a_value_that_is_changed_after_the_dispatch_is_shown_as_it_was_pushed(queue_fake: QueueFake) -> None:
    point = Point(1)
    Kept(point).dispatch()
    point.x = 2

    queue_fake.assert_pushed(Kept(Point(1)), times=1)
    queue_fake.assert_not_pushed(Kept(Point(2)))


def test_a_name_that_changes_after_the_dispatch_is_shown_as_it_was_pushed(queue_fake: QueueFake) -> None:
    job = Titled("old")
    job.dispatch()
    job.title = "new"

    assert ["old"] == [each.name for each in queue_fake.pushed()]


def test_a_job_keeps_its_class_when_that_is_defined_anew(queue_fake: QueueFake) -> None:
    first = _defined()
    first(1).dispatch()  # type: ignore[call-arg]
    _defined()

    assert [first] == [type(each.job) for each in queue_fake.pushed()]


def _defined() -> type[Job]:
    class Again(Job):
        def __init__(self, value: int) -> None:
            self.value = value

        def handle(self) -> None:
            pass

    return Again


def test_the_class_of_a_value_that_is_defined_anew_stays_what_it_was(queue_fake: QueueFake) -> None:
    first = _defined_value()
    Kept(first(1)).dispatch()
    _defined_value()

    assert [first] == [type(each.job.value) for each in queue_fake.pushed()]  # type: ignore[union-attr]


def _defined_value() -> type:
    @dataclass
    class Value:
        x: int

    globals()["Value"] = Value
    Value.__qualname__ = "Value"
    return Value


def test_a_payload_that_cannot_be_read_is_told(queue_fake: QueueFake) -> None:
    queue_fake.app.connection().push_raw(Payload("7", b"no JSON"))

    (pushed,) = queue_fake.pushed()
    assert (None, "(unreadable payload)", {}) == (pushed.job, pushed.name, pushed.body)


def test_the_folder_in_which_a_push_is_looked_at_does_not_change_its_origin(
    queue_fake: QueueFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Kept(1).dispatch()
    monkeypatch.chdir(tmp_path)

    (pushed,) = queue_fake.pushed()
    assert "tests/qtest/test_pushes.py" == pushed.origin.rpartition(":")[0]
