"""Objects in payloads: what is kept of them, how they come back, and what is refused with a way out."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import math
import re
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from functools import cached_property, partial
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo

import attrs
import pydantic
import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column

from qcore.codec import JSON, Codec, fields_of, rebuild, remember
from qcore.errors import ConfigError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator

codec = Codec()
T = TypeVar("T")


@dataclass
class Line:
    sku: str
    price: Decimal
    _note: str = "kept"


@dataclass(slots=True)
class Order:
    lines: list[Line]
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Stepped:
    seed: InitVar[int]
    kind: ClassVar[str] = "stepped"
    value: int = field(init=False)

    def __post_init__(self, seed: int) -> None:
        self.value = seed * 2

    @cached_property
    def half(self) -> int:
        return self.value // 2


class Point(NamedTuple):
    x: int
    y: Any = 7


class Spot(Point):
    pass


class Colour(Enum):
    RED = 1

    @classmethod
    def _missing_(cls, value: Any) -> Colour:  # noqa: ANN401 - whatever Enum hands on
        made = object.__new__(cls)
        made._name_, made._value_ = "RED", value
        return made


class Rights(Flag):
    READ = 1


@attrs.define
class Seat:
    row: int
    _taken: bool = False
    tags: list[str] = attrs.field(factory=list)
    label: str = attrs.field(default=attrs.Factory(lambda self: f"row {self.row}", takes_self=True))


@attrs.frozen(cache_hash=True)
class Place:
    name: str


@attrs.define(slots=False, unsafe_hash=True, cache_hash=True)
class Loose:
    name: str


class Address(pydantic.BaseModel):
    street: str
    city: str = "Berlin"
    notes: list[str] = pydantic.Field(default_factory=list)


class Customer(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    home: Address
    born: datetime | None = pydantic.Field(default=None, alias="bornAt")
    _seen: list[int] = pydantic.PrivateAttr(default_factory=lambda: [1])

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @cached_property
    def city(self) -> str:
        return self.home.city


class Aliased(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    a: int = pydantic.Field(alias="b")


class Names(pydantic.RootModel[list[str]]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    rows: list[T]


class IntPage(Page[int]):
    pass


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(primary_key=True)


class DataRow(MappedAsDataclass, Base):
    __tablename__ = "data_rows"
    id: Mapped[int] = mapped_column(primary_key=True)


def there_and_back(value: object) -> Any:  # noqa: ANN401 - it is what went in
    return codec.decode(codec.loads(codec.dumps(codec.encode(value), what="a test")))


def decode_refusal(structure: JSON, path: str = "") -> str:
    with pytest.raises(PayloadError) as caught:
        codec.decode(structure, path=path)
    return str(caught.value)


def refusal(value: object, path: str = "") -> str:
    with pytest.raises(PayloadError) as caught:
        codec.encode(value, path=path)
    return str(caught.value)


OBJECTS: list[object] = [
    Stepped(4), Seat(1), Seat(2, taken=True, tags=["a"]), Address(street="x"), Address.model_construct(street=b"x"),
    Customer.model_validate({"home": {"street": "x"}, "bornAt": datetime(2026, 1, 1, tzinfo=UTC), "vip": (1,)}),
    Names(["a"]), Names.model_validate([]), IntPage(rows=[1]), Page[int](rows=[1]), Page(rows=[1]),
]  # fmt: skip


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_objects_come_back_equal_and_of_the_same_type(value: object) -> None:
    back = there_and_back([value])[0]
    assert (type(value), value, repr(value)) == (type(back), back, repr(back))
    assert getattr(value, "model_fields_set", None) == getattr(back, "model_fields_set", None)


@pytest.mark.parametrize("kind", [Place, Loose])
def test_a_class_with_a_cached_hash_can_still_be_hashed(kind: type) -> None:
    assert {kind("a"): 1} == there_and_back({kind("a"): 1})
    assert hash(kind("a")) == hash(there_and_back(kind("a")))


def test_what_an_object_computes_is_computed_again() -> None:
    stepped, customer = Stepped(4), Customer(home=Address(street="x"))
    assert (4, "Berlin") == (stepped.half, customer.city)
    back = there_and_back([stepped, customer])
    assert (4, "Berlin") == (back[0].half, back[1].city)
    assert "half" not in vars(there_and_back(stepped))


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00-05:30"])
def test_a_moment_read_by_pydantic_comes_back(text: str) -> None:
    moment = Customer.model_validate({"home": {"street": "x"}, "bornAt": text}).born
    assert type(moment.tzinfo) not in {type(UTC), ZoneInfo}  # type: ignore[union-attr]
    assert moment == there_and_back(moment)
    assert moment.isoformat() == there_and_back(moment).isoformat()


def test_private_values_and_extras_of_a_model_are_kept() -> None:
    customer = Customer(home=Address(street="x"), vip=True)  # type: ignore[call-arg]
    customer._seen.append(2)
    back = there_and_back(customer)
    assert ([1, 2], {"vip": True}) == (back._seen, back.model_extra)


class Text(str):
    __slots__ = ()


class Moment(datetime):
    pass


class LocalZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return timedelta() if _ else None

    def dst(self, _: datetime | None) -> None: ...

    def tzname(self, _: datetime | None) -> str:
        return "local"


@dataclass
class Derived(dict):  # type: ignore[type-arg]
    x: int = 1


class Unset(Order):
    def __init__(self) -> None:
        pass


class Counted(Line):
    def __init__(self) -> None:
        super().__init__("a", Decimal(1))
        self.count = 3


def marked_spot() -> Spot:
    spot = Spot(1)
    spot.mark = "!"  # type: ignore[attr-defined]
    return spot


async def fetch() -> None: ...


def numbers() -> Iterator[int]:
    yield 1


REFUSED: list[tuple[object, str, str]] = [
    (Text("a"), f"{__name__}.Text", "call str(...) on it"),
    (OrderedDict(a=1), "collections.OrderedDict", "call dict(...) on it"),
    (defaultdict(list), "collections.defaultdict", "call dict(...) on it"),
    (Counter(), "collections.Counter", "call dict(...) on it"),
    (type("Big", (int,), {})(1), "Big", "call int(...) on it"),
    (type("float64", (float,), {"__module__": "numpy"})(1), "numpy.float64", "call float(...) on it"),
    (type("ndarray", (), {"__module__": "numpy"})(), "numpy.ndarray", "call .tolist() on it"),
    (type("Items", (list,), {})(), "Items", "call list(...) on it"),
    (Moment(2026, 1, 1), f"{__name__}.Moment", "pandas: .to_pydatetime()"),
    (bytearray(b"a"), "bytearray", "call bytes(...) on it"),
    (range(3), "range", "call list(...) on it"),
    (deque([1]), "collections.deque", "call list(...) on it"),
    (numbers(), "generator", "call list(...) on it"),
    (Fraction(1, 2), "fractions.Fraction", "make it a dataclass, or pass its fields"),
    (1j, "complex", "make it a dataclass, or pass its fields"),
    (object(), "object", "make it a dataclass, or pass its fields"),
    (lambda: 1, "function", "make it a job of its own, or pass its name"),
    (fetch, "function", "make it a job of its own"),
    (print, "builtin_function_or_method", "make it a job of its own"),
    (codec.encode, "method", "make it a job of its own"),
    (partial(print), "functools.partial", "make it a job of its own"),
    (Line, "type", "pass its name"),
    (json, "module", "pass its name"),
    (io.StringIO(), "_io.StringIO", "pass its path, and open it in handle()"),
    (threading.Lock(), "_thread.lock", "it lives in this process only: make it in handle()"),
    (ValueError("x"), "ValueError", "pass str(...) of it"),
    (re.compile("a"), "re.Pattern", "make it a dataclass, or pass its fields"),
    (10**4300, "int of more than 4300 digits", "pass hex(...) of it"),
    (datetime(2026, 1, 1, tzinfo=LocalZone()), f"{__name__}.LocalZone", "use zoneinfo.ZoneInfo or datetime.UTC"),
    (marked_spot(), f"{__name__}.Spot", "call tuple(...) on it"),
    (Colour(2), f"is not a member of {__name__}:Colour", "define it there"),
    (Aliased.model_validate({"a": 1, "b": 2}), "an extra value under the name of a field", "rename it"),
    (Address.model_construct(), f"{__name__}:Address has no value for its field 'street'", "set it"),
    (Derived(), f"{__name__}:Derived is also a dict", "hold that in a field"),
    (Unset(), f"{__name__}:Unset has no value for its field 'lines'", "set it"),
    (Counted(), f"{__name__}:Counted holds 'count'", "declare it"),
    (SimpleNamespace(**{"\ud83d\ude00": 1}), "the field name", "use a plain str"),
]


@pytest.mark.parametrize(("value", "named", "advice"), REFUSED, ids=lambda part: part if isinstance(part, str) else "")
def test_a_refused_value_is_named_with_its_path_and_a_way_out(value: object, named: str, advice: str) -> None:
    message = refusal({"order": SimpleNamespace(lines=[1, {"a b": (value,)}])})
    assert message.startswith("order.lines[1]['a b'][0]")
    assert named in message
    assert advice in message


def test_a_coroutine_is_met_with_the_question_about_await() -> None:
    coroutine = fetch()
    assert "users: you passed a coroutine: did you forget await?" == refusal({"users": coroutine})
    asyncio.run(coroutine)


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        (object(), "", "the value: object"),
        (object(), "SendMail", "SendMail: object"),
        ({"a": object()}, "SendMail", "SendMail.a: object"),
        ([{"price": object()}], "", "[0].price: object"),
        ({"n": {1: object()}}, "", "n[1]: object"),
        ({"n": {object(): 1}}, "", "n.keys()[0]: object"),
        ({"n": {10**5000: object()}}, "", "n.keys()[0]: an int"),
        ({"n": Order([object()])}, "", "n.lines[0]: object"),  # type: ignore[list-item]
        ({"n": Point(1, object())}, "", "n.y: object"),
        ({"n": {Colour.RED: object()}}, "", "n[Colour]: object"),
        ({"n": {object()}}, "", "n[0]: object"),
        ({"n": {"big": 10**4300}}, "", "n.big: an int"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_the_path_reads_like_python(value: object, path: str, expected: str) -> None:
    assert refusal(value, path).startswith(expected)


def test_a_value_that_holds_itself_is_told_so() -> None:
    loop: dict[str, Any] = {"a": [1]}
    loop["a"].append(SimpleNamespace(back=loop))
    assert refusal({"top": loop}).startswith("top.a[1].back: refers to itself")


@pytest.mark.parametrize("limits", [{"max_bytes": 0}, {"max_depth": 0}, {"max_depth": 201}])
def test_limits_that_cannot_be_kept_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(limits))):
        Codec(**limits)


def test_too_many_bytes_are_refused_with_both_numbers() -> None:
    assert b'"12345678"' == Codec(max_bytes=10).dumps("12345678", what="ImportCsv")
    with pytest.raises(PayloadError, match=r"payload of ImportCsv takes 11 bytes, the limit is 10: .*max_bytes"):
        Codec(max_bytes=10).dumps("123456789", what="ImportCsv")


@pytest.mark.parametrize("structure", [object(), math.nan, 10**5000, {"a": {1}}], ids=["object", "nan", "int", "set"])
def test_what_is_not_json_is_not_written(structure: JSON) -> None:
    with pytest.raises(PayloadError, match="ImportCsv cannot be written as JSON"):
        codec.dumps(structure, what="ImportCsv")


@dataclass
class Mail:
    to: str
    copies: list[str] = field(default_factory=list)
    kind: str = "plain"

    def __post_init__(self) -> None:
        raise AssertionError("restoring must not run __post_init__")


@pytest.mark.parametrize(
    ("cls", "state", "expected"),
    [
        (Order, {"lines": [], "gone": 1}, Order([])),
        (Stepped, {"value": 8}, Stepped(4)),
        (Seat, {"row": 3, "_taken": True, "gone": 1}, Seat(3, taken=True)),
        (Seat, {"row": 3}, Seat(3)),
        (Address, {"street": "x", "gone": 1}, Address(street="x")),
        (Customer, {"home": Address(street="x"), "new": 1}, Customer(home=Address(street="x"), new=1)),  # type: ignore[call-arg]
        (Point, {"x": 1, "gone": 2}, Point(1)),
    ],
    ids=lambda part: part.__name__ if isinstance(part, type) else "",
)
def test_yesterdays_state_fits_todays_class(cls: type, state: dict[str, object], expected: object) -> None:
    back = rebuild(cls, state)
    assert (expected, repr(expected), cls) == (back, repr(back), type(back))


def test_restoring_runs_no_code_of_the_class() -> None:
    back: Any = rebuild(Mail, {"to": "a"})
    assert ("a", [], "plain") == (back.to, back.copies, back.kind)


@pytest.mark.parametrize(("cls", "name"), [(Order, "lines"), (Seat, "row"), (Address, "street"), (Point, "x")])
def test_a_missing_field_without_default_is_named(cls: type, name: str) -> None:
    with pytest.raises(PayloadError, match=rf"SendMail: .* no '{name}', and .*{cls.__name__} has no default"):
        rebuild(cls, {}, path="SendMail")


@pytest.mark.parametrize("command", [{"$date": "2026-01-01"}, {"$float": "nan"}, {"$tuple": [1]}])
def test_a_state_that_is_none_is_a_payload_error(command: JSON) -> None:
    state: Any = codec.decode(command)
    for cls in (Order, LocalZone):
        with pytest.raises(PayloadError, match="SendMail: "):
            rebuild(cls, state, path="SendMail")


def test_a_plain_class_gets_its_attributes_back_and_nothing_else_happens() -> None:
    class Plain:
        def __new__(cls, needed: int) -> Self:
            raise AssertionError(needed)

    back: Any = rebuild(Plain, {"a": 1, "__class__": "x", "_b": 2})
    assert ({"a": 1, "__class__": "x", "_b": 2}, Plain) == (vars(back), type(back))


def test_fields_are_the_declared_ones() -> None:
    fields = [fields_of(cls) for cls in (Line, Stepped, Seat, Address, Point, Exception)]
    declared = [("sku", "price", "_note"), ("value",), ("row", "_taken", "tags", "label"), ("street", "city", "notes")]
    assert [*declared, ("x", "y"), None] == fields


@pytest.mark.parametrize("row", [Row(id=1), DataRow(id=1)], ids=["plain", "dataclass"])
def test_a_row_of_sqlalchemy_is_refused_for_its_key(row: object) -> None:
    advice = f"{__name__}.{type(row).__name__} cannot be stored in a payload: pass its key instead"
    assert f"orders[0]: {advice} (orders[0].id) and load it in handle()" == refusal({"orders": [row]})


def test_a_row_of_django_is_refused_for_its_key() -> None:
    model = type("Model", (), {"__module__": "django.db.models.base"})
    order = type("Order", (model,), {"__module__": "shop.models"})()
    advice = "pass its key instead (order.pk) and load it in handle()"
    assert f"order: shop.models.Order cannot be stored in a payload: {advice}" == refusal({"order": order})
    query = type("QuerySet", (), {"__module__": "django.db.models.query"})()
    assert "pass keys instead (value.pk) and load it in handle()" in refusal(query)


def test_a_class_inside_a_function_is_known_to_this_process() -> None:
    @dataclass
    class Local:
        x: int

    structure = codec.encode(Local(1))
    assert Local(1) == codec.decode(structure)
    unknown = json.loads(json.dumps(structure).replace("Local", "Other"))
    assert "only the process that made it knows it: move it out" in decode_refusal(unknown)


def test_a_class_that_no_module_holds_can_be_remembered() -> None:
    made: Any = dataclass(type("Made", (), {"__annotations__": {"x": int}, "__module__": "builtins"}))
    assert "builtins:Made could not be found again" in refusal(made(1))
    remember(made)
    assert made(1) == there_and_back(made(1))


def test_a_class_whose_name_means_another_one_is_refused() -> None:
    other = type("Point", (Point,), {"__module__": __name__})
    assert "another class bears that name now" in refusal(other(1))


@pytest.mark.parametrize(
    ("tag", "name", "reason"),
    [
        ("$object", "shop.models:Order", "module 'shop.models' is not imported by this process: add it to imports"),
        ("$enum", "this:Colour", "module 'this' is not imported"),
        ("$object", "os:system", "belongs to the standard library"),
        ("$enum", "os:system", "module 'os' has no class 'system'"),
        ("$enum", "builtins:eval", "has no class 'eval'"),
        ("$enum", "builtins:object", "is not an enum"),
        ("$object", "builtins:object", "belongs to the standard library"),
        ("$namedtuple", "urllib.parse:ParseResult", "belongs to the standard library"),
        ("$object", f"{__name__}:Colour", "is not a dataclass, an attrs class or a pydantic model"),
        ("$object", f"{__name__}:Point", "is not a dataclass"),
        ("$enum", f"{__name__}:Line", "is not an enum"),
        ("$namedtuple", f"{__name__}:Line", "is not a named tuple"),
        ("$object", f"{__name__}:Line.__class__", "has no class"),
        ("$object", f"{__name__}:Line.__class__.__mro__", "has no class"),
        ("$object", f"{__name__}:Line.__init__.__globals__", "has no class"),
        ("$object", f"{__name__}:sys", "has no class"),
        ("$object", f"{__name__}:dataclass", "has no class"),
        ("$enum", f"{__name__}:Enum", "has no class 'Enum'"),
        ("$object", f"{__name__}:", "has no class"),
        ("$object", ":", "is not imported"),
        ("$object", "x", "names no class: 'x'"),
        ("$object", 5, "names no class: '5'"),
        ("$object", [["x"] * 1000], "names no class"),
    ],
    ids=repr,
)
def test_a_name_reaches_nothing_but_classes_of_the_right_kind(tag: str, name: JSON, reason: str) -> None:
    message = decode_refusal({"a": {tag: [name, {}]}})
    assert message.startswith("a: ")
    assert reason in message
    assert len(message) < 400


def test_a_name_imports_nothing() -> None:
    assert "this" not in sys.modules
    decode_refusal({"$enum": ["this:Colour", "RED"]})
    assert "this" not in sys.modules


def test_a_lazy_module_is_not_made_to_load_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lazy(ModuleType):
        def __getattribute__(self, name: str) -> object:
            raise AssertionError(name)

    for module in (Lazy("lazy_shop"), object()):
        monkeypatch.setitem(sys.modules, "lazy_shop", module)
        assert "module 'lazy_shop' has no class 'Order'" in decode_refusal({"$object": ["lazy_shop:Order", {}]})


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        ({"$colour": 1}, "the tag '$colour' is unknown"),
        ({"$datetime": 5}, "a damaged $datetime: text expected, not int"),
        ({"$datetime": "yesterday"}, "a damaged $datetime: Invalid isoformat"),
        ({"$datetime": "2026-01-01T00:00:00+00:00[No/Where]"}, "a damaged $datetime: 'No time zone found"),
        ({"$datetime": "2026-01-01T00:00:00+00:00[../../etc/passwd]"}, "a damaged $datetime"),
        ({"$datetime": ["2026-01-01"]}, "a damaged $datetime"),
        ({"$date": "2026-13-01"}, "a damaged $date"),
        ({"$time": []}, "a damaged $time"),
        ({"$timedelta": [10**12, 0, 0]}, "a damaged $timedelta"),
        ({"$uuid": "x"}, "a damaged $uuid"),
        ({"$decimal": "x"}, "a damaged $decimal"),
        ({"$float": "1"}, "a damaged $float: not one of"),
        ({"$bytes": "=="}, "a damaged $bytes"),
        ({"$bytes": "é"}, "a damaged $bytes"),
        ({"$str": "ab"}, "a damaged $str"),
        ({"$path": 5}, "a damaged $path"),
        ({"$path": ["Popen", "x"]}, "a damaged $path: not a kind of path"),
        ({"$tuple": "ab"}, "a damaged $tuple: a list expected, not str"),
        ({"$set": [[]]}, "a damaged $set: unhashable"),
        ({"$dict": [[1]]}, "a damaged $dict"),
        ({"$dict": [[[], 1]]}, "a damaged $dict"),
        ({"$namespace": []}, "a damaged $namespace"),
        ({"$enum": [f"{__name__}:Colour", "GREEN"]}, f"{__name__}:Colour has no member 'GREEN'"),
        ({"$enum": [f"{__name__}:Colour", ["RED"]]}, "a damaged $enum"),
        ({"$enum": [f"{__name__}:Rights", 64]}, "a damaged $enum"),
        ({"$enum": "x"}, "a damaged $enum"),
        ({"$object": []}, "a damaged $object"),
        ({"$object": [f"{__name__}:Line", []]}, "a damaged $object: fields expected, not list"),
        ({"$object": [f"{__name__}:Line", {}]}, "the payload has no 'sku'"),
        ({"$object": [f"{__name__}:Address", {"street": "x"}, 5]}, "a damaged $object"),
        ({"$namedtuple": [f"{__name__}:Point", [1, 2, 3]]}, f"{__name__}:Point has 2 fields, the payload has 3 values"),
    ],
    ids=lambda part: f"{part!r:.60}",
)
def test_a_damaged_value_is_told_with_its_path(structure: JSON, reason: str) -> None:
    message = decode_refusal({"items": [0, {"x": structure, "y": 1}]}, "SendMail")
    assert message.startswith(f"SendMail.items[1].x: {reason}")


def test_a_stack_without_room_is_a_payload_error() -> None:
    value: object = 1
    for _ in range(60):
        value = [value]

    def dive(levels: int) -> object:
        return dive(levels - 1) if levels else codec.encode(value)

    with pytest.raises(PayloadError, match="is nested too deeply"):
        dive(sys.getrecursionlimit() - len(inspect.stack()) - 40)


@pytest.mark.parametrize("tag", [None, "$tuple"])
def test_decoding_too_deep_is_a_payload_error(tag: str | None) -> None:
    structure: JSON = []
    for _ in range(5000):
        structure = [structure] if tag is None else {tag: [structure]}
    assert "the value: is nested too deeply" in decode_refusal(structure)


def test_the_codec_loads_no_library_for_types_nobody_uses() -> None:
    code = "import sys; before = set(sys.modules); import qcore.codec; print(*sorted(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"decimal", "zoneinfo", "attr", "pydantic", "sqlalchemy"} & set(loaded)
