"""The state of a job: which of its attributes a payload keeps, and how they are put back."""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields
from inspect import getattr_static
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from qcore.codec import fields_of, rebuild
from qcore.errors import PayloadError
from qcore.wrong_dispatch import OfInstances

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.jobs import Job


def state_of(job: Job) -> dict[str, Any]:
    """Give what a payload keeps of a job: its attributes without ``_private`` names."""
    state = {name: value for name, value in vars(job).items() if name[0] != "_"}
    shape = _shape_of(type(job))
    return state if shape is _PLAIN else shape.completed(job, state)


def held_by(job: Job, name: str) -> bool:
    """Tell whether a job itself holds an attribute of that name, and not only its class."""
    return name in vars(job) or (name in _shape_of(type(job)).slots and hasattr(job, name))


def complete_state_of(job: Job) -> dict[str, Any]:
    """Give the state of a job, sure that it can be restored from it.

    :raises PayloadError: names a field that would be missing.
    """
    state = state_of(job)
    required = _shape_of(type(job)).required
    if required and (lacking := required - state.keys()):
        name = min(lacking)
        why = "begins with an underscore, so it is not stored" if name[0] == "_" else "has no value"
        message = f"{type(job).__qualname__}.{name} {why}, and has no default either: give the field one"
        raise PayloadError(message)
    return state


def restored(job_class: type[Job], state: dict[str, Any], path: str) -> Job:
    """Make a job from its state, without calling ``__init__``.

    :raises PayloadError: when the state does not fit the class.
    """
    shape = _shape_of(job_class)
    job = cast("Job", rebuild(job_class, {} if shape.slots and not shape.declared else state, path))
    if shape is not _PLAIN:
        shape.finish(job, state)
    return job


def comes_back_by_name(job_class: type[Job]) -> bool:
    """Tell whether its jobs are restored attribute by attribute, so that no code of the user has a part in it."""
    shape, seal = _shape_of(job_class), job_class.__job__.seal
    if seal is not None or shape.slots or shape.computed or shape.is_model or issubclass(job_class, tuple):
        return False
    is_own = job_class.__getattribute__ is not object.__getattribute__
    return not is_own and not any(
        hasattr(type(getattr_static(job_class, name, None)), "__set__") for name in shape.declared
    )


class _Shape(NamedTuple):
    """Where the instances of a class keep their state, beyond plain attributes."""

    slots: tuple[str, ...] = ()
    declared: frozenset[str] = frozenset()
    """The fields of a dataclass, an attrs class or a model."""
    required: frozenset[str] = frozenset()
    """Those without a default."""
    computed: frozenset[str] = frozenset()
    """Cached properties: no state, they are computed again."""
    is_model: bool = False

    def completed(self, job: Job, state: dict[str, Any]) -> dict[str, Any]:
        held = {name: getattr(job, name) for name in self.slots if name[0] != "_" and hasattr(job, name)} | state
        if self.is_model:
            held |= getattr(job, "__pydantic_extra__", None) or {}
        return {name: value for name, value in held.items() if name not in self.computed}

    def finish(self, job: Job, state: dict[str, Any]) -> None:
        """Give a restored job what is no declared field: set in ``__post_init__``, or plain slots."""
        if self.is_model:
            return
        for name in state.keys() - self.declared:
            if name in self.slots:
                object.__setattr__(job, name, state[name])
            else:
                vars(job)[name] = state[name]


_PLAIN = _Shape()


_shapes: dict[type[Job], _Shape] = {}


def _shape_of(job_class: type[Job]) -> _Shape:
    shape = _shapes.get(job_class)
    if shape is None:
        shape = _made_shape(job_class)
        shape = _shapes[job_class] = _PLAIN if shape == _PLAIN else shape
    return shape


def _made_shape(job_class: type[Job]) -> _Shape:
    declared = [vars(base).get("__slots__", ()) for base in job_class.__mro__]
    slots = [name for names in declared for name in ((names,) if isinstance(names, str) else names)]
    return _Shape(
        # pydantic keeps its own bookkeeping in slots with dunder names; the fields stand in vars().
        slots=tuple(name for name in slots if not name.startswith("__")),
        declared=frozenset(fields_of(job_class) or ()),
        required=frozenset(_required(job_class)),
        computed=frozenset(
            name for base in job_class.__mro__ for name, held in vars(base).items() if name[0] != "_" and _caches(held)
        ),
        is_model=hasattr(job_class, "__pydantic_fields__"),
    )


def _required(job_class: Any) -> Iterable[str]:  # noqa: ANN401 - they have no class in common
    if hasattr(job_class, "__pydantic_fields__"):
        return [name for name, field in job_class.model_fields.items() if field.is_required()]
    if hasattr(job_class, "__attrs_attrs__"):
        return [field.name for field in job_class.__attrs_attrs__ if field.default is sys.modules["attr"].NOTHING]
    if hasattr(job_class, "__dataclass_fields__"):
        known = fields(job_class)
        return [field.name for field in known if field.default is MISSING is field.default_factory]
    return ()


def _caches(attribute: object) -> bool:
    """Whether it is like ``cached_property``: asked for once, then found among the attributes."""
    kind = type(attribute)
    return hasattr(kind, "__get__") and not hasattr(kind, "__set__") and not issubclass(kind, _METHODS)


_METHODS = (FunctionType, staticmethod, classmethod, OfInstances)
