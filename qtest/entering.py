"""Contexts that do nothing before they are entered, and say so to those who forgot it."""

from __future__ import annotations

from contextlib import ContextDecorator, contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Generic, NoReturn, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")


class ToEnter(ContextDecorator, Generic[T]):
    """What a call gives that is to stand behind ``with``."""

    def __init__(self, make: Callable[[], AbstractContextManager[T]], write: str) -> None:
        """Keep how it is made, and what to write."""
        self._make = make
        self._write = write
        self._entered: list[AbstractContextManager[T]] = []

    def __enter__(self) -> T:
        """Begin."""
        inside = self._make()
        given = inside.__enter__()
        self._entered.append(inside)
        return given

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """End it."""
        __tracebackhide__ = True
        return self._entered.pop().__exit__(kind, error, traceback)

    if not TYPE_CHECKING:  # a type checker is to know what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Say that ``with`` is missing."""
            message = f"there is no {name} before the block is entered: write `{self.__dict__.get('_write')}`"
            raise AttributeError(message, name=name, obj=self)


def to_enter(write: str) -> Callable[[Callable[P, Iterator[T]]], Callable[P, ToEnter[T]]]:
    """Make a context of a generator, as ``contextmanager`` does; without ``with`` it says what to ``write``."""

    def decorate(function: Callable[P, Iterator[T]]) -> Callable[P, ToEnter[T]]:
        make: Any = contextmanager(function)

        @wraps(function)
        def called(*given: P.args, **named: P.kwargs) -> ToEnter[T]:
            return ToEnter(partial(make, *given, **named), write)

        return called

    return decorate
