"""Job classes of every kind: how they are declared, what of them is stored, when they are equal."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import InitVar, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

import attrs
import pydantic
import pytest

from qcore import Job, PayloadError
from qcore.job_state import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.worker import Stopped

T = TypeVar("T")
ran: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


class Recorded(Job):
    def handle(self) -> None:
        ran.append(self)


class Plain(Recorded, tries=3):
    def __init__(self, path: str, *, skip: bool = False) -> None:
        self.path = path
        self.skip = skip
        self._opened = object()


class Slotted(Recorded, tries=3):
    __slots__ = ("_secret", "path", "unset")

    def __init__(self, path: str) -> None:
        self.path = path
        self._secret = object()


@dataclass
class Data(Recorded, tries=3):
    path: str
    tags_of_file: list[str] = field(default_factory=list)
    known: ClassVar[int] = 1
    _cache: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.length = len(self.path)  # no declared field


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen(Recorded, tries=3):
    path: str
    size: int = 0


@dataclass
class Lazy(Recorded, tries=3):
    given: InitVar[str]
    path: str = field(init=False)

    def __post_init__(self, given: str) -> None:
        self.path = given


@attrs.define
class Attrs(Recorded, tries=3):
    path: str
    _cache: int = 7


@attrs.frozen(slots=False)
class FrozenAttrs(Recorded, tries=3):
    path: str


class Model(pydantic.BaseModel, Recorded, tries=3):
    path: str
    _cache: int = pydantic.PrivateAttr(default=7)


class FrozenModel(pydantic.BaseModel, Recorded, tries=3, frozen=True, extra="allow"):
    path: str


class JobFirst(Recorded, pydantic.BaseModel, tries=3):
    path: str


class Typed(Recorded, Generic[T], tries=3):
    def __init__(self, path: T) -> None:
        self.path = path


class Asynchronous(Plain):
    async def handle(self) -> None:  # type: ignore[override] # a subclass may be async
        ran.append(self)


class Abstract(Recorded, ABC, tries=3):
    @abstractmethod
    def path_of(self) -> str: ...


class Concrete(Abstract):
    def __init__(self) -> None:
        self.path = self.path_of()

    def path_of(self) -> str:
        return "a.csv"


FORMS: list[Callable[[], Any]] = [
    lambda: Plain("a.csv", skip=True),
    lambda: Slotted("a.csv"),
    lambda: Data("a.csv", ["t"]),
    lambda: Frozen(path="a.csv", size=3),
    lambda: Lazy("a.csv"),
    lambda: Attrs("a.csv"),
    lambda: FrozenAttrs("a.csv"),
    lambda: Model(path="a.csv"),
    lambda: FrozenModel(path="a.csv", more=1),  # type: ignore[call-arg] # extra="allow"
    lambda: JobFirst(path="a.csv"),
    lambda: Typed("a.csv"),
    lambda: Typed[str]("a.csv"),
    lambda: Asynchronous("a.csv"),
    Concrete,
]


@pytest.mark.parametrize("make", FORMS, ids=lambda make: type(make()).__name__)
def test_every_kind_of_class_can_be_a_job(make: Callable[[], Any], app: App, work: Callable[..., Stopped]) -> None:
    make().dispatch()
    assert (1, 0) == work()[1:]

    [restored] = ran
    assert make() == restored
    assert state_of(make()) == state_of(restored)
    assert ("a.csv", 3) == (restored.path, type(restored).__job__.options.tries)


def test_what_is_private_is_not_stored_and_gets_its_default(app: App, work: Callable[..., Stopped]) -> None:
    data, model, attr = Data("a"), Model(path="a"), Attrs("a", cache=9)
    data._cache["secret"], model._cache = 1, 9
    for each in (Plain("a"), Slotted("a"), data, model, attr):
        each.dispatch()
    work()

    plain, slotted, *declared = ran
    assert [False, False] == [hasattr(plain, "_opened"), hasattr(slotted, "_secret")]
    assert [{}, 7, 7] == [each._cache for each in declared]


def test_an_attribute_beside_the_declared_fields_is_state_too(app: App, work: Callable[..., Stopped]) -> None:
    Data("abc").dispatch()
    work()

    assert ran[0].length == 3


def test_a_job_is_restored_without_calling_its_constructor(app: App, work: Callable[..., Stopped]) -> None:
    made = []

    class Counted(Recorded):
        def __init__(self, x: int) -> None:
            made.append(x)
            self.x = x

    Counted(1).dispatch()
    work()

    assert ([1], 1) == (made, ran[0].x)


def test_a_restored_job_can_be_changed(app: App, work: Callable[..., Stopped]) -> None:
    for made in (Plain("a"), Slotted("a"), Data("a"), Attrs("a")):
        made.dispatch()
    work()

    for restored in ran:
        restored.path = "b"
        assert "b" == state_of(restored)["path"]


def test_a_cached_property_is_no_state(app: App, work: Callable[..., Stopped]) -> None:
    class Caching(Recorded):
        def __init__(self, x: int) -> None:
            self.x = x

        @cached_property
        def client(self) -> object:
            return object()

    used = Caching(1)
    assert used.client
    used.dispatch()
    work()

    assert (Caching(1), {"x": 1}) == (ran[0], state_of(used))


@pytest.mark.parametrize("kind", ["dataclass", "attrs"])
def test_a_field_that_cannot_come_back_is_refused_at_dispatch(kind: str, app: App) -> None:
    class Base(Recorded):
        path: str
        _token: str

    decorate = dataclass if kind == "dataclass" else attrs.define
    lossy: Any = decorate(type("Lossy", (Base,), {"__annotations__": {"path": str, "_token": str}}))

    with pytest.raises(PayloadError, match=r"Lossy\._token begins with an underscore, so it is not stored"):
        lossy("a", "b").dispatch()
    assert 0 == app.connection().size()


def test_a_field_without_value_is_refused_at_dispatch(app: App) -> None:
    @dataclass
    class Unset(Recorded):
        path: str = field(init=False)

    with pytest.raises(PayloadError, match=r"Unset\.path has no value"):
        Unset().dispatch()


def test_options_are_class_keywords_and_never_in_the_way_of_a_field(app: App, work: Callable[..., Stopped]) -> None:
    @dataclass
    class Fields(Recorded, queue="default", tries=2):
        queue: str
        tries: str
        delay: int
        name: str

    Fields("q", "t", 3, "n").dispatch()
    work()

    assert [Fields("q", "t", 3, "n")] == ran
