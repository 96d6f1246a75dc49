"""Jobs and values of which a payload would lose something, and some that look like it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import attrs
import pydantic

from qcore import Job, job
from qcore.handlers import handler


class Holds(Job):
    def __init__(self, value: object) -> None:
        self.value = value

    def handle(self) -> None:
        pass


class Hides(Job):
    def __init__(self, user_id: int) -> None:
        self._user_id = user_id

    def handle(self) -> None:
        pass


class Hands(Job):
    """Has what it hides said by its class, for when it comes out of a payload."""

    _client: object = None

    def __init__(self, user_id: int, client: object = None) -> None:
        self.user_id = user_id
        self._client = client

    def handle(self) -> None:
        pass


class Property(Job):
    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def path(self) -> str:
        return self._path

    @path.setter
    def path(self, path: str) -> None:
        self._path = path

    def handle(self) -> None:
        pass


class _Fixed:
    def __get__(self, owner: object, kind: type | None = None) -> int:
        return 5


class Computed(Job):
    limit = _Fixed()

    def __init__(self, limit: int) -> None:
        vars(self)["limit"] = limit

    def handle(self) -> None:
        pass


class Cached(Job):
    def __init__(self, number: int) -> None:
        self.number = number

    @cached_property
    def double(self) -> int:
        return 2 * self.number

    def handle(self) -> None:
        pass


@dataclass
class Secretive(Job):
    name: str
    _note: str = ""

    def handle(self) -> None:
        pass


@attrs.define
class Attrs(Job):
    name: str
    _note: str = ""

    def handle(self) -> None:
        pass


class Model(pydantic.BaseModel, Job):
    name: str
    _note: str = pydantic.PrivateAttr(default="")

    def handle(self) -> None:
        pass


class Takes(Job):
    def handle(self, user_id: int) -> None:
        pass


class Untyped(Job):
    def handle(self, user_id) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001 - what is refused
        pass


class Mailer:
    def fire(self, job: object, data: object) -> None:
        pass

    def send(self, data: object) -> None:
        pass


handler(name="checked-mailer")(Mailer)


@dataclass(eq=False)
class Point:
    x: object
    y: object = None


@dataclass
class Loud:
    """Its ``==`` looks at nothing."""

    text: str

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class _Growing:
    """Makes more of a text whenever it is set, and a job is made of its fields once more than it was dispatched."""

    kept: ClassVar[dict[int, str]] = {}

    def __get__(self, owner: object, kind: type | None = None) -> str:
        return self.kept[id(owner)] if owner is not None else ""

    def __set__(self, owner: object, text: str) -> None:
        self.kept[id(owner)] = text + "!"


@dataclass
class Grown:
    text: Any = _Growing()


@job
def counted(number: int, /, *, step: int = 1) -> None:
    pass


@dataclass
class Fresh(Job):
    items: list[int] = field(default_factory=list)

    def handle(self) -> None:
        pass


class Grows(Job):
    def __init__(self, how: str) -> None:
        self.how = how

    def handle(self) -> None:
        if self.how == "chain":
            self.append_to_chain(Hides(7))
        elif (found := self.batch()) is not None:
            found.add([Hides(7)])
