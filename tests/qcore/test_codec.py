"""What goes into a payload comes out again, equal and of the same type, or is refused with a way out."""

from __future__ import annotations

import enum
import http
import json
import math
import re
import signal
from collections import namedtuple
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePosixPath, PureWindowsPath
from time import tzset  # noqa: TID251 - the zone of the machine, not its time
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from freezegun import freeze_time
from hypothesis import given, settings
from hypothesis import strategies as st

from qcore import codec_types
from qcore.codec import JSON, Codec, canonical, fields_of
from qcore.errors import PayloadError

codec = Codec()
BERLIN = ZoneInfo("Europe/Berlin")
TWICE = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)


class Colour(enum.Enum):
    RED = "red"
    ROUGE = "red"  # noqa: PIE796 - an alias
    DATA = (1, [2])


Level = enum.IntEnum("Level", "LOW HIGH")
Mode = enum.StrEnum("Mode", "FAST")


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    A = 1
    B = 2


class Point(NamedTuple):
    x: int
    y: int = 7


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - users have these too


@dataclass
class Line:
    sku: str
    price: Decimal
    _note: str = "kept"


@dataclass(frozen=True)
class Key:
    name: str
    parts: tuple[int, ...] = ()


@dataclass(slots=True)
class Order:
    lines: list[Line]
    placed: datetime | None = None
    options: dict[str, Any] = field(default_factory=dict)

    class Status(enum.Enum):
        OPEN = 1


T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    content: T


VALUES: list[object] = [
    None, True, False, 0, -1, 2**53 + 1, 10**4300 - 1, -(10**4300 - 1), 1.5, -0.0, 1e308, 5e-324,
    math.inf, -math.inf, "", "é", "\U0001f600", "a\0b", "\ud800", "\udc00", "x\ud83d\ude00y", "\ude00\ud83d",
    [], [1, "a", None], {}, {"a": 1}, {"a b": [1]}, {"$date": "no tag"}, {"$x": 1, "y": 2}, {"$": None}, {"é": 1},
    {"\ud83d\ude00": 1}, {1: "a", None: 2, 2.5: 3}, {(1, "b"): [2]}, {Key("k"): 1}, {b"": 1}, {"1": 1, 1: 2},
    (), (1, (2,)), [(1,)], set(), {1, 2, 3}, {"b", "a"}, {(1, frozenset({2}))}, frozenset(), frozenset({"x", None}),
    b"", b"\x00\xff", date(1, 1, 1), date(2026, 11, 21),
    datetime(2026, 11, 21, 8, 49, 56, 123456), datetime(1, 1, 1), datetime.max,  # noqa: DTZ001, DTZ901
    datetime(2026, 11, 21, tzinfo=UTC), datetime(2026, 11, 21, fold=1),  # noqa: DTZ001
    datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=-3, minutes=-30, seconds=-7))),
    datetime(2026, 11, 21, tzinfo=timezone(timedelta(hours=1), "CET"), fold=1),
    TWICE, TWICE.replace(fold=1),
    datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN), datetime(2026, 3, 29, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2026, 6, 1, tzinfo=BERLIN, fold=1), datetime(1800, 1, 1, tzinfo=BERLIN),
    time(), time(23, 59, 59, 999999), time(1, tzinfo=UTC), time(2, 30, fold=1), time(2, tzinfo=BERLIN, fold=1),
    timedelta(), timedelta.max, timedelta.min, timedelta(microseconds=-1),
    UUID(int=0), UUID("9d2c3d0e-1111-4222-8333-444455556666"),
    Decimal("1.10"), Decimal("-0"), Decimal("Infinity"), Decimal("1E+999999"),
    Path("a/b.csv"), Path(), Path("/\udcff"), PurePosixPath("//a/b"), PureWindowsPath("C:\\x"), PureWindowsPath("c:d"),
    SimpleNamespace(), SimpleNamespace(a=[1], b=SimpleNamespace()), SimpleNamespace(**{"$date": 1}),
    Colour.RED, Colour.ROUGE, Colour.DATA, Level.LOW, Mode.FAST, Rights.READ, Rights.READ | Rights.WRITE, Rights(0),
    Bits.A, Bits.A | Bits(8), Order.Status.OPEN, http.HTTPStatus.NOT_FOUND, re.ASCII | re.MULTILINE, signal.SIGTERM,
    Point(1), Point(1, 2), Point((3,), Point(4)), Pair([1], {"a": 2}),  # type: ignore[arg-type]
    Line("a", Decimal("2.50")), Line("a", Decimal(1), "own"), Key("k", (1, 2)), Box(Box((1,))), Box[int](5),
    Order([Line("a", Decimal(1))], datetime(2026, 1, 1, tzinfo=UTC), {"when": date(2026, 1, 1)}),
]  # fmt: skip


def kind_of(value: object) -> str:
    return type(value).__name__


def there_and_back(value: object) -> object:
    return codec.decode(codec.loads(codec.dumps(codec.encode(value), what="a test")))


def form(value: object) -> object:
    """The value with all its types, in a form that tells -0.0 from 0.0 and finds nan equal to nan."""
    names = fields_of(type(value))
    parts: object = value
    if isinstance(value, dict):
        parts = [(form(key), form(item)) for key, item in value.items()]
    elif isinstance(value, set | frozenset):
        parts = sorted(repr(form(item)) for item in value)
    elif names is not None or isinstance(value, SimpleNamespace):
        parts = [(name, form(getattr(value, name))) for name in names or vars(value)]
    elif isinstance(value, list | tuple):
        parts = [form(item) for item in value]
    elif isinstance(value, datetime | time):
        parts = value.isoformat(), value.fold, repr(value.tzinfo)
    elif isinstance(value, float | Decimal):
        parts = repr(value)
    return type(value), parts


@pytest.mark.parametrize("value", VALUES, ids=kind_of)
def test_a_value_comes_back_equal_and_of_the_same_type_from_inside_every_container(value: object) -> None:
    holders: list[object] = [
        value, [value], (value,), {"key": value}, {1: value}, {"$bytes": value}, SimpleNamespace(a=value), Box(value)
    ]  # fmt: skip
    for holder in holders:
        assert form(holder) == form(there_and_back(holder))


def is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("value", [*filter(is_hashable, VALUES)], ids=kind_of)
def test_a_hashable_value_comes_back_as_a_key_and_in_sets(value: object) -> None:
    holders = [{value}, frozenset({value, "other"}), {value: 1, "other": 2}]
    assert form(holders) == form(there_and_back(holders))


def test_nan_comes_back() -> None:
    back = there_and_back([math.nan, Decimal("NaN"), Decimal("-sNaN")])
    assert ["nan", "NaN", "-sNaN"] == [str(number) for number in back]  # type: ignore[attr-defined]


scalars: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones(), allow_imaginary=True) | st.timedeltas() | st.uuids()
    | st.times(timezones=st.none() | st.timezones()) | st.decimals(allow_nan=False)
    | st.sampled_from([*Colour, *Level, *Mode, *Rights]) | st.text(st.sampled_from("$a\ud83d\ude00"), max_size=4)
)  # fmt: skip
keys = scalars.filter(lambda key: not (isinstance(key, Decimal | float) and math.isnan(key)))
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys | st.just("$date"), inner, max_size=4)
        | st.sets(keys, max_size=4)
        | st.frozensets(keys, max_size=4)
        | st.builds(Pair, inner, inner)
        | st.builds(Box, inner)
        | st.builds(lambda item: SimpleNamespace(item=item), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(values)
def test_every_value_of_the_listed_types_comes_back(value: object) -> None:
    structure = codec.encode(value)
    assert form(value) == form(there_and_back(value))
    assert canonical(structure) == canonical(codec.encode(codec.decode(structure)))


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (TWICE, {"$datetime": "2026-10-25T02:30:00+02:00[Europe/Berlin]"}),
        (TWICE.replace(fold=1), {"$datetime": "2026-10-25T02:30:00+01:00[Europe/Berlin]"}),
        (timedelta(1, 2, 3), {"$timedelta": [1, 2, 3]}),
        (b"ab", {"$bytes": "YWI="}),
        ({9, 33, 10}, {"$set": [10, 33, 9]}),
        ({1: 2}, {"$dict": [[1, 2]]}),
        (math.nan, {"$float": "nan"}),
        (Colour.ROUGE, {"$enum": [f"{__name__}:Colour", "RED"]}),
        (Rights.READ | Rights.WRITE, {"$enum": [f"{__name__}:Rights", 3]}),
        (Point(1, 2), {"$namedtuple": [f"{__name__}:Point", [1, 2]]}),
        (Key("k"), {"$object": [f"{__name__}:Key", {"name": "k", "parts": {"$tuple": []}}]}),
        (SimpleNamespace(a=1), {"$namespace": {"a": 1}}),
    ],
    ids=kind_of,
)
def test_the_written_form_stays_as_it_is(value: object, written: JSON) -> None:
    """Payloads outlive the process that wrote them."""
    assert written == codec.encode(value)


def test_equal_values_have_one_canonical_text() -> None:
    one = {"b": {1, 2}, "a": {1: frozenset("xyz"), (2,): None}}
    other = {"a": {(2,): None, 1: frozenset("zyx")}, "b": {2, 1}}
    assert canonical(codec.encode(one)) == canonical(codec.encode(other))
    shuffled = '{"b":{"$set":[2,1]},"a":{"$dict":[[{"$tuple":[2]},null],[1,{"$frozenset":["z","x","y"]}]]}}'
    assert canonical(codec.encode(one)) == canonical(codec.loads(shuffled.encode()))


@pytest.mark.parametrize(("one", "other"), [([1, 2], [2, 1]), ((1,), [1]), (1, 1.0), (1, True), ({1}, {2})])
def test_different_values_have_different_canonical_texts(one: object, other: object) -> None:
    assert canonical(codec.encode(one)) != canonical(codec.encode(other))


def test_frozen_dates_are_written_like_real_ones_and_read_as_real_ones() -> None:
    real = [datetime(2026, 11, 21, 8, tzinfo=UTC), date(2026, 11, 21), datetime(2026, 11, 21, 8)]  # noqa: DTZ001
    expected = codec.dumps(codec.encode(real), what="a test")
    with freeze_time("2026-11-21 08:00"):
        frozen = [datetime.now(UTC), date.today(), datetime.now()]  # noqa: DTZ005, DTZ011, TID251
        body = codec.dumps(codec.encode(frozen), what="a test")
        back = codec.decode(codec.loads(body))
    assert [type(moment).__name__ for moment in frozen] == ["FakeDatetime", "FakeDate", "FakeDatetime"]
    assert expected == body
    assert form(real) == form(back)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_frozen_local_time_is_written_with_its_offset(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, freeze_time("2026-07-21 08:00"):
        patch.setenv("TZ", zone)
        tzset()
        local = datetime.now().astimezone()  # noqa: TID251
        written = local.isoformat()
        back: Any = there_and_back(local)
    tzset()
    assert (written, timezone) == (back.isoformat(), type(back.tzinfo))


def test_dates_are_real_even_when_the_codec_is_imported_under_a_frozen_clock() -> None:
    spec: Any = spec_from_file_location("imported_while_frozen", codec_types.__file__)
    module = module_from_spec(spec)
    with freeze_time("2026-11-21"):
        spec.loader.exec_module(module)
    dates = module.DECODERS["$datetime"]("2026-01-01"), module.DECODERS["$date"]("2026-01-01")
    assert (datetime, date) == tuple(map(type, dates))


def test_a_moment_survives_a_change_of_the_zones_rules() -> None:
    back = codec.decode({"$datetime": "2026-07-01T12:00:00+01:00[Europe/Berlin]"})
    assert datetime(2026, 7, 1, 13, tzinfo=BERLIN) == back
    assert back.tzinfo is BERLIN  # type: ignore[attr-defined]


def nested(levels: int) -> object:
    value: object = UUID(int=1)
    for level in range(levels):
        value = [[value], (value,), {"k": value}, Box(value), Point(1, value)][level % 5]  # type: ignore[arg-type]
    return value


def test_depth_is_limited() -> None:
    assert form(nested(64)) == form(there_and_back(nested(64)))
    for limited, value in ((codec, nested(65)), (Codec(max_depth=2), [[[]]]), (Codec(max_depth=1), [Box(1)])):
        with pytest.raises(PayloadError, match="nested too deeply"):
            limited.encode(value)
    deep = Codec(max_depth=200)
    assert form(nested(200)) == form(deep.decode(deep.loads(deep.dumps(deep.encode(nested(200)), what="a test"))))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"), (b" \n", "it is empty"), (b'{"a": 1', "delimiter"), (b"[1]]", "something follows"),
        (b"{} x", "something follows"), (b"\xef\xbb\xbf{}", "byte order"), ("{}".encode("utf-16"), "byte order"),
        ("{}".encode("utf-16-le"), "Expecting"), (b'"\xff"', "not UTF-8 at byte 1"), (b'"\xed\xa0\x80"', "not UTF-8"),
        (b"\0", "Expecting"), (b'{"a": NaN}', "NaN"), (b"[Infinity]", "Infinity"), (b"-Infinity", "Infinity"),
        (b"[1e999]", "1e999"), (b"1" * 5000, "4300"), (b"[" * 801 + b"]" * 801, "nested deeper|recursion"),
        (b"[" * 100_000, "recursion|Expecting"), (b'{"a":' * 100_000, "recursion|Expecting"),
        (b"{'a': 1}", "Expecting"), (b"[1,]", "Expecting|trailing"),
    ],
    ids=lambda part: f"{part!r:.30}",
)  # fmt: skip
def test_bytes_that_are_no_payload_raise_a_payload_error_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(PayloadError, match=rf"(?s)the payload cannot be read: .*({reason})"):
        codec.loads(body)


def test_bytes_beyond_the_hard_bound_are_refused_unread() -> None:
    with pytest.raises(PayloadError, match="67108865 bytes, more than 67108864"):
        Codec(max_bytes=10).loads(bytes((64 << 20) + 1))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"null", None), (b" []\n", []), (b'"x"', "x"), (b"9007199254740993", 2**53 + 1), (b"-0.0", -0.0),
        (b'"\\ud800"', "\ud800"), (b'{"a":1,"a":2}', {"a": 2}), ('"é"'.encode(), "é"), (b'"\\u0000"', "\0"),
        (b"[" * 300 + b"]" * 300, ...), (b"[[],[]" + b",[]" * 1000 + b"]", [[]] * 1002),
    ],
    ids=lambda part: f"{part!r:.30}",
)  # fmt: skip
def test_strange_json_is_still_json(body: bytes, expected: object) -> None:
    read = codec.loads(body)
    assert expected is ... or form(expected) == form(read)


@settings(deadline=None)
@given(st.binary() | st.text('[]{}",:01eE.-$ \\u\ufeff').map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_raise_anything_but_a_payload_error(body: bytes) -> None:
    try:
        codec.loads(body)
    except PayloadError as error:
        assert str(error).startswith("the payload cannot be read")  # noqa: PT017


def test_a_million_keys_are_read() -> None:
    body = json.dumps({f"k{number}": number for number in range(1_000_000)}).encode()
    assert 1_000_000 == len(codec.loads(body))  # type: ignore[arg-type]
