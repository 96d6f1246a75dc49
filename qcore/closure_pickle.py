"""The pickles of closures: written with cloudpickle, read only after their signature was verified."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.codec_types import is_mapped, why_not
from qcore.errors import MissingExtraError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

Function = Callable[..., Any]


class Functions(NamedTuple):
    """What a closure pickles."""

    function: Function
    callbacks: tuple[Function, ...] = ()
    """What to call with the error when it fails."""


def dumped(functions: Functions, what: str) -> bytes:
    """Pickle functions, code and captured values included. ``what`` names the closure, for messages.

    :raises PayloadError: names what cannot be pickled.
    :raises MissingExtraError: when the extra ``closures`` is not installed.
    """
    try:
        return _dumps(tuple(functions))
    except MissingExtraError:
        raise
    except Exception as error:
        used = (functions.function, *functions.callbacks)
        culprit = next((each for one in used for each in _unpicklable(one)), "")
        message = f"{what} cannot be pickled: {culprit}{error}"
        raise PayloadError(message) from error


def loaded(pickled: bytes, what: str) -> Functions:
    """Read what was pickled. It runs what the pickle says: verify its signature before.

    :raises PayloadError: when this process lacks what the functions need.
    :raises MissingExtraError: when the extra ``closures`` is not installed.
    """
    _cloudpickle()  # the pickle names it, and would complain less clearly
    import pickle

    try:
        return Functions(*pickle.loads(pickled))  # noqa: S301 - signed by a key of this project
    except Exception as error:
        message = (
            f"{what} cannot be unpickled: {type(error).__name__}: {error}; "
            "a worker needs the modules of the process that dispatched it"
        )
        raise PayloadError(message) from error


def _dumps(value: object) -> bytes:
    cloudpickle = _cloudpickle()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc,name-defined] # known only when it is installed
        def persistent_id(self, obj: object) -> None:
            """Look at every object: rows are refused here as in every other payload."""
            if is_mapped(obj) or _is_of_django(obj):
                raise PayloadError(why_not(obj).replace("<here>", "it"))

    written = BytesIO()
    Pickler(written).dump(value)
    return written.getvalue()


def _is_of_django(value: object) -> bool:
    return any(
        base.__name__ in ("Model", "QuerySet") and base.__module__.startswith("django.db.models")
        for base in type(value).__mro__
    )


def _unpicklable(function: Function) -> Iterator[str]:
    """Name what a function uses and cannot be pickled."""
    try:
        used = inspect.getclosurevars(function)
    except ValueError:  # a variable that has no value yet
        return
    parameters = inspect.signature(function).parameters.values()
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    for kind, values in (("captured", used.nonlocals), ("global", used.globals), ("default of", defaults)):
        for name, value in values.items():
            try:
                _dumps(value)
            except Exception:  # noqa: BLE001 - __reduce__ of the user may raise anything
                yield f"the {kind} {name!r} ({type(value).__qualname__}): "


def _cloudpickle() -> ModuleType:
    try:
        return import_module("cloudpickle")
    except ImportError as error:
        message = "closures need the package cloudpickle: pip install 'qcore-queue[closures]'"
        raise MissingExtraError(message) from error
