"""A job is only passed unread where no payload could lose anything of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from qcore import Job, PayloadError
from qcore.codec import Codec
from qcore.job_codec import JobCodec
from qcore.job_state import state_of
from qcore.payload import CALL, read
from qtest.evident import is_evident
from qtest.lossy import loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest import QueueFake

CODEC = JobCodec(Codec())


class Plain(Job):
    def __init__(self, value: object) -> None:
        self.value = value

    def handle(self) -> None:
        pass


@dataclass
class Declared(Job):
    value: Any
    more: list[int] = field(default_factory=list)

    def handle(self) -> None:
        pass


class Slotted(Job):
    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def handle(self) -> None:
        pass


class Caching(Plain):
    @cached_property
    def twice(self) -> list[object]:
        return [self.value, self.value]


class Watched(Plain):
    def __getattribute__(self, name: str) -> object:
        return super().__getattribute__(name)


class Sometimes(Job):
    """Keeps its argument where no payload looks, but not always."""

    def __init__(self, token: str, *, hide: bool) -> None:
        self.hide = hide
        if hide:
            self._token = token
        else:
            self.token = token

    def handle(self) -> None:
        pass


class Swapped(Job):
    def __init__(self, number: int) -> None:
        self.number = number

    def handle(self) -> None:
        pass


def _written(job: Job) -> object:
    command: object = CODEC.data_of(job)["command"]
    return command


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.csv", True),
        ("\N{SNOWMAN} \ud83d", True),
        ("\ud83d\ude00", False),
        (7, True),
        (10**50, True),
        (True, True),
        (None, True),
        (-0.0, True),
        (0.1, True),
        (math.nan, False),
        (math.inf, False),
        ([1, "a", [None]], True),
        ({"a": [1, {"b": 2}]}, True),
        ({}, True),
        ({"$date": "2030-01-01"}, False),
        ({"$dict": [["$dict", 1]]}, False),
        ({1: 2}, False),
        ({"a": {True: 1}}, False),
        ((1, 2), False),
        ([(1,)], False),
        ({"a": {1, 2}}, False),
        (b"bytes", False),
        (datetime(2030, 1, 1, tzinfo=UTC), False),
    ],
)
@pytest.mark.parametrize("kind", [Plain, Declared])
def test_only_what_json_holds_as_it_is_is_evident_and_comes_back(
    kind: Callable[[object], Job], value: object, expected: object
) -> None:
    job = kind(value)
    command = _written(job)

    body = {
        "uuid": "1",
        "displayName": "1",
        "job": CALL,
        "data": {"commandName": type(job).__job__.name, "command": command},
    }
    restored = CODEC.restored(read(CODEC.codec.loads(CODEC.codec.dumps(body, what="1"))))  # type: ignore[arg-type]
    assert expected == is_evident(job, command)
    assert loss(state_of(job), state_of(restored), "job") is None


@pytest.mark.parametrize("kind", [Slotted, Caching, Watched])
def test_jobs_that_are_put_back_in_a_way_of_their_own_are_never_evident(kind: Callable[[object], Job]) -> None:
    job = kind(1)

    assert not is_evident(job, _written(job))


def test_a_subclass_of_a_plain_type_is_not_evident() -> None:
    class Text(str):
        __slots__ = ()

    assert not is_evident(Plain(Text("a")), {"value": "a"})
    assert not is_evident(Plain(value=True), {"value": 1})
    assert not is_evident(Plain([1]), {"value": [True]})
    assert not is_evident(Plain([1]), {"value": [1, 2]})


def test_each_job_of_a_class_is_looked_at(queue_fake: QueueFake) -> None:
    Sometimes("a", hide=False).dispatch()
    with pytest.raises(PayloadError, match=r"Sometimes\._token would be lost"):
        Sometimes("a", hide=True).dispatch()
    queue_fake.assert_pushed(Sometimes, times=1)


def test_a_handle_that_is_replaced_is_looked_at_anew(queue_fake: QueueFake, monkeypatch: pytest.MonkeyPatch) -> None:
    Swapped(1).dispatch()
    monkeypatch.setattr(Swapped, "handle", lambda self, user_id: (self, user_id))
    with pytest.raises(PayloadError, match=r"Swapped\.handle\(\) takes 'user_id'"):
        Swapped(2).dispatch()
    queue_fake.assert_pushed(Swapped, times=1)


def test_a_constructor_that_is_replaced_is_looked_at_anew(
    queue_fake: QueueFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hiding(self: Swapped, code: int) -> None:
        vars(self)["_code"] = code

    Swapped(1).dispatch()
    monkeypatch.setattr(Swapped, "__init__", hiding)
    with pytest.raises(PayloadError, match=r"Swapped\._code would be lost"):
        Swapped(2).dispatch()
    queue_fake.assert_pushed(Swapped, times=1)


def test_a_declared_field_that_a_job_lacks_is_looked_at(queue_fake: QueueFake) -> None:
    job = Declared(1)
    del job.more
    with pytest.raises(PayloadError, match="comes out of its payload as another job"):
        job.dispatch()
    queue_fake.assert_nothing_pushed()
