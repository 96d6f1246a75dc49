"""What a class says about its uniqueness, and the key that follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from qcore import Job, JobDefinitionError, PayloadError, job
from qcore.unique import DAY, Unique, key_of
from tests.qcore.unique_jobs import Early, Import, Patient, Report, greet, locks, send

if TYPE_CHECKING:
    from qcore.app import App

DEBOUNCED = Unique(debounce=5)


def rule(base: type[Job] = Job, **keywords: Any) -> Unique | None:
    """Define a class, and give what it says."""
    made: type[Job] = type("Defined", (base,), {"__module__": "test"}, name="test:Defined", **keywords)
    return made.__job__.unique


def test_a_job_is_not_unique_unless_it_says_so() -> None:
    assert [None, None, None] == [rule(), rule(unique=False), rule(unique_until_processing=False)]


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"unique": True}, Unique(DAY)),
        ({"unique": True, "unique_for": 60}, Unique(60)),
        ({"unique": True, "unique_for": 0.5}, Unique(0.5)),
        ({"unique_until_processing": True}, Unique(DAY, until_processing=True)),
        ({"unique_until_processing": True, "unique_for": 60}, Unique(60, until_processing=True)),
        ({"unique": True, "unique_until_processing": False}, Unique(DAY)),
        ({"debounce_for": 5}, DEBOUNCED),
        ({"debounce_for": (5, 5)}, Unique(debounce=5, max_wait=5)),
        ({"debounce_for": (5, 60)}, Unique(debounce=5, max_wait=60)),
    ],
)
def test_a_class_says_how_its_jobs_keep_each_other_away(keywords: dict[str, Any], expected: Unique) -> None:
    """UNQ-02: a lock lasts a day unless the class says otherwise."""
    assert expected == rule(**keywords)


@pytest.mark.parametrize(
    ("base", "keywords", "expected"),
    [
        (Import, {}, Unique(600)),
        (Import, {"unique_for": 5}, Unique(5)),
        (Import, {"tries": 3}, Unique(600)),
        (Import, {"unique_until_processing": True}, Unique(600, until_processing=True)),
        (Early, {"unique_until_processing": False}, Unique(600)),
        (Early, {"unique": True}, Unique(600, until_processing=True)),
        (Import, {"unique": False}, None),
        (Import, {"unique": False, "debounce_for": 5}, DEBOUNCED),
        (Report, {}, Unique(debounce=30)),
        (Report, {"debounce_for": 5}, DEBOUNCED),
        (Patient, {"debounce_for": 5}, DEBOUNCED),
        (Report, {"unique": False}, None),
    ],
)
def test_it_is_inherited_and_can_be_said_anew(base: type[Job], keywords: dict[str, Any], expected: Unique) -> None:
    assert expected == rule(base, **keywords)


@pytest.mark.parametrize(
    ("base", "keywords"),
    [
        (Job, {"unique": True, "debounce_for": 5}),
        (Job, {"unique_until_processing": True, "debounce_for": 5}),
        (Job, {"unique_for": 60, "debounce_for": 5}),
        (Import, {"debounce_for": 5}),
        (Report, {"unique": True}),
        (Report, {"unique_for": 60}),
    ],
)
def test_unique_and_debounced_is_refused_when_the_class_is_defined(
    app: App, base: type[Job], keywords: dict[str, Any]
) -> None:
    """DEB-03: not when it is dispatched, so no lock was taken."""
    with pytest.raises(JobDefinitionError, match=r"either unique .* or debounced"):
        rule(base, **keywords)
    assert {} == locks(app)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"unique": True, "unique_for": 0}, "unique_for is a number of seconds above 0, got 0; a lock has an end"),
        ({"unique": True, "unique_for": -1}, "above 0, got -1"),
        ({"unique": True, "unique_for": math.inf}, "above 0, got inf"),
        ({"unique": True, "unique_for": math.nan}, "above 0, got nan"),
        ({"unique": True, "unique_for": True}, "above 0, got True"),
        ({"unique": True, "unique_for": "60"}, "above 0, got '60'"),
        ({"unique_for": 60}, "say unique=True, too"),
        ({"unique": False, "unique_for": 60}, "unique=False, and yet"),
        ({"unique": False, "unique_until_processing": True}, "unique=False, and yet"),
        ({"unique": 1}, "unique is True or False, got 1"),
        ({"unique_until_processing": "yes"}, "unique_until_processing is True or False, got 'yes'"),
        ({"debounce_for": 0}, "debounce_for is a number of seconds above 0"),
        ({"debounce_for": "5"}, "debounce_for is a number of seconds above 0"),
        ({"debounce_for": (5,)}, r"\(seconds, max_wait\)"),
        ({"debounce_for": (5, 4)}, "a max_wait that is not shorter"),
        ({"debounce_for": (5, math.inf)}, "a max_wait that is not shorter"),
        ({"unique_id": "x"}, "unique_id is no option of a job; there are .*unique, unique_for"),
    ],
)
def test_what_cannot_mean_anything_is_refused(keywords: dict[str, Any], said: str) -> None:
    """UNQ-11: a lock without an end could keep jobs away for ever."""
    with pytest.raises(JobDefinitionError, match=said):
        rule(**keywords)


@pytest.mark.parametrize(("word", "value"), [("unique", True), ("unique_for", 60), ("debounce_for", (5, 60))])
def test_an_option_written_as_an_attribute_is_refused(word: str, value: object) -> None:
    with pytest.raises(JobDefinitionError, match=f"class keywords: .*{word}="):
        type("Attribute", (Job,), {word: value})


def test_dataclasses_and_models_are_unique_too() -> None:
    @dataclass(slots=True)
    class Slotted(Job, unique=True, unique_for=5, name="test:Slotted"):
        path: str

        def unique_id(self) -> object:
            return self.path

        def handle(self) -> None: ...

    class Model(BaseModel, Job, unique=True, name="test:Model"):
        path: str

        def unique_id(self) -> object:
            return self.path

        def handle(self) -> None: ...

    assert [Unique(5), Unique(DAY)] == [Slotted.__job__.unique, Model.__job__.unique]
    assert ["unique:test:Slotted,a", "unique:test:Model,b"] == [key_of(Slotted("a")), key_of(Model(path="b"))]


# The key.


class Anything(Job, unique=True, name="anything"):
    def __init__(self, given: object) -> None:
        self.given = given

    def unique_id(self) -> object:
        return self.given

    def handle(self) -> None: ...


class Colour(StrEnum):
    RED = "red"


UUID_1 = UUID("12345678-1234-5678-1234-567812345678")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("", ""),
        ("a b:c", "a b:c"),
        (42, "42"),
        ("42", "42"),
        (1.5, "1.5"),
        (Decimal("1.50"), "1.50"),
        (True, "True"),
        (UUID_1, str(UUID_1)),
        (Colour.RED, "red"),
        (("a", 1), '["a","1"]'),
        (("a",), "a"),
        ((), "[]"),
        (("a", UUID_1), f'["a","{UUID_1}"]'),
        ('["a","1"]', r'["[\"a\",\"1\"]"]'),
    ],
)
def test_an_id_can_be_read_in_the_key(given: object, written: str) -> None:
    """UNQ-01. Ids that read the same are the same, and no text can be taken for several parts."""
    assert f"unique:anything,{written}" == key_of(Anything(given))


@pytest.mark.parametrize(
    "given", [("a", "b:c"), ("a:b", "c"), ("a,b", "c"), ("a", "b", "c"), ("a", '","c'), ("ab", "c")]
)
def test_parts_do_not_run_into_each_other(given: object) -> None:
    others = [("a", "b,c"), "a,b,c", '["a","b"]', ("a", "b"), ("", "a", "b", "c"), ("a", "c"), "ab", ("abc",)]
    assert key_of(Anything(given)) not in {key_of(Anything(each)) for each in others}


@pytest.mark.parametrize("given", ["x" * 500, "é" * 10, "a\0b", "a\r\nb", "\udcff", ("x" * 300, 1)])
def test_a_long_or_strange_id_is_hashed(app: App, given: str | tuple[object, ...]) -> None:
    """The store takes keys of 255 characters, and databases compare letters in their own ways."""
    key = key_of(Anything(given))

    assert (True, True) == (len(key) <= 100, key.isascii() and key.isprintable())
    assert key == key_of(Anything(given))
    assert key != key_of(Anything(given[:-1]))
    app.connections.store.put(key, "")
    assert {key: ""} == locks(app)


@pytest.mark.parametrize("given", [None, b"a", ["a"], {"a": 1}, {1}, math.nan, ("a", None), ("a", ("b",))])
def test_what_is_no_id_is_refused_at_dispatch(app: App, given: object) -> None:
    """And nothing is pushed."""
    with pytest.raises(PayloadError, match=r"Anything.unique_id\(\) is a text, a number, a UUID or a tuple of those"):
        Anything(given).dispatch()
    assert (0, {}) == (app.connection().size(), locks(app))


def test_each_class_has_keys_of_its_own() -> None:
    """UNQ-01: a subclass, too."""
    keys = [key_of(each) for each in (Import("a"), Early("a"), Anything("a"), Report(1, "a"), Patient(1, "a"))]

    assert len(set(keys)) == 5
    assert ["debounce"] * 2 == [key.partition(":")[0] for key in keys[3:]]


def test_an_encrypted_job_does_not_tell_its_id() -> None:
    class Secret(Anything, encrypted=True, name="secret"): ...

    key = key_of(Secret("4111 1111"))
    assert "4111" not in key
    assert key != key_of(Secret("4111 1112"))
    assert "unique:secret," == key_of(Secret(""))


def test_a_function_is_told_apart_by_all_of_its_arguments() -> None:
    """Defaults included: what is the same call is the same job."""
    same = [send.job(1), send.job(1, language="en"), send.job(user_id=1)]
    other = [send.job(2), send.job(1, language="de"), greet.job(1)]

    assert 1 == len({key_of(each) for each in same})
    assert 4 == len({key_of(each) for each in same + other})
    assert key_of(send.job(1)).endswith(':send,{"language":"en","user_id":1}')


def test_a_function_can_be_told_apart_by_some_of_its_arguments() -> None:
    assert key_of(greet.job(1, text="a")) == key_of(greet.job(1, text="b"))
    assert key_of(greet.job(1)) != key_of(greet.job(2))


@pytest.mark.parametrize("named", ["user", ("user_id", "x"), (), 5, [None]])
def test_a_function_is_told_apart_by_parameters_that_it_has(named: object) -> None:
    with pytest.raises(JobDefinitionError, match="unique_by names parameters of the function, which are user_id"):

        @job(unique=True, unique_by=named)
        def wrong(user_id: int) -> None: ...


def test_unique_by_goes_with_unique() -> None:
    with pytest.raises(JobDefinitionError, match="unique_by goes with unique=True or debounce_for="):

        @job(unique_by="user_id")
        def wrong(user_id: int) -> None: ...

    as_said = job(debounce_for=5, unique_by=["user_id"])

    @as_said
    def first(user_id: int, other: int = 0) -> None: ...

    @as_said
    def second(user_id: int, other: int = 0) -> None: ...

    assert key_of(first.job(1, 2)) == key_of(first.job(1, 3)) != key_of(second.job(1, 3))
