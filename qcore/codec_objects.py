"""Objects with named fields: which fields they have, how they are restored, and how their class is named.

A class is named ``module:QualName``. A name is looked up in the modules this process has imported already,
and nowhere else: nothing that stands in a payload is ever imported or called.
"""

from __future__ import annotations

import sys
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, Flag
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from weakref import WeakValueDictionary

from qcore.codec_loss import foreign_base, held_beside
from qcore.errors import PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Classes made inside a function cannot be found by their name; this process still knows those it has met.
_remembered: WeakValueDictionary[str, type] = WeakValueDictionary()
_UNSET = object()


class Refused(Exception):  # noqa: N818 - becomes a PayloadError as soon as the whole path is known
    """A value that cannot be stored or restored, on its way up to the value that holds it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self._trail: list[tuple[int, str]] = []

    def within(self, holder: object, step: str) -> None:
        """Note one step of the path: from the holder to the refused value."""
        self._trail.append((id(holder), step))

    def error(self, path: str) -> PayloadError:
        """The error to raise: its path begins with the given one."""
        steps, reason, met = [path], self.reason, set[int]()
        for holder, step in reversed(self._trail):
            if holder in met:
                reason = "refers to itself: pass its fields, without the way back"
                break
            met.add(holder)
            steps.append(step)
        whole = "".join(steps)
        if not path:
            whole = whole.removeprefix(".")
        return PayloadError(f"{whole or 'the value'}: {reason.replace('<here>', whole or 'value')}")


class Wanted(NamedTuple):
    """What kind of class a name must stand for."""

    what: str
    fits: Callable[[type], bool]
    standard: bool = False


def fields_of(cls: type) -> tuple[str, ...] | None:
    """The declared fields of a dataclass, attrs, pydantic or named tuple class; None for any other class."""
    if is_namedtuple(cls):
        return tuple(cast("Any", cls)._fields)
    if is_model(cls):
        return tuple(cast("Any", cls).model_fields)
    if is_dataclass(cls):
        return tuple(field.name for field in fields(cls))
    if hasattr(cls, "__attrs_attrs__"):
        return tuple(field.name for field in cls.__attrs_attrs__)
    return None


# Asked for only where instances exist: then the decorator has done its work, and the fields do not change any more.
_fields = lru_cache(maxsize=1024)(fields_of)


def is_namedtuple(cls: type) -> bool:
    """Whether it was made by NamedTuple or namedtuple, or derives from such a class."""
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def is_model(cls: type) -> bool:
    """Whether it is a pydantic model. Nobody can have one before pydantic is imported, so it is not imported here."""
    pydantic = sys.modules.get("pydantic.main")
    return pydantic is not None and issubclass(cls, pydantic.BaseModel)


# Making a member runs no code, so the enums of the standard library (http.HTTPStatus) are welcome.
ENUM = Wanted("an enum", lambda cls: issubclass(cls, Enum), standard=True)
NAMEDTUPLE = Wanted("a named tuple", is_namedtuple)
VALUE_CLASS = Wanted(
    "a dataclass, an attrs class or a pydantic model",
    lambda cls: not is_namedtuple(cls) and _fields(cls) is not None,
)


def remember(cls: type) -> type:
    """Let a class be found by its name although no module holds it; for this process only."""
    _remembered[_name(cls)] = cls
    return cls


def name_of(cls: type, wanted: Wanted) -> str:
    """The name by which `find_class` will find the class again, checked."""
    if "<locals>" in cls.__qualname__:
        remember(cls)
        return _name(cls)
    return _checked_name(cls, wanted)


@lru_cache(maxsize=1024)
def _checked_name(cls: type, wanted: Wanted) -> str:
    name = _name(cls)
    try:
        found = find_class(name, wanted)
    except Refused as refused:
        raise Refused(f"{name} could not be found again: {refused.reason}") from None
    if found is not cls:
        raise Refused(f"{name} could not be found again: another class bears that name now")
    return name


def find_class(name: object, wanted: Wanted) -> type:
    """The class of that name, if a module that is loaded defines it and it is of the right kind."""
    if not isinstance(name, str) or ":" not in name:
        raise Refused(f"names no class: {str(name)[:100]!r}")
    found = _remembered.get(name)
    if found is None:
        found = _defined(name, standard=wanted.standard)
    if not wanted.fits(found):
        raise Refused(f"{name} is not {wanted.what}")
    return found


def _name(cls: type) -> str:
    return f"{cls.__module__}:{cls.__qualname__}"


def _defined(name: str, *, standard: bool) -> type:
    module_name, _, qualname = name.partition(":")
    if "<locals>" in qualname:
        raise Refused(f"{name} is defined inside a function, so only the process that made it knows it: move it out")
    if not standard and module_name.partition(".")[0] in sys.stdlib_module_names:
        raise Refused(f"{name} belongs to the standard library: pass its fields")
    if module_name not in sys.modules:
        raise Refused(f"module {module_name!r} is not imported by this process: add it to imports")
    found = _walk(sys.modules[module_name], qualname.split("."))
    if found is None or _name(found) != name:
        raise Refused(f"module {module_name!r} has no class {qualname!r}: define it there, outside functions")
    return found


def _walk(module: object, steps: list[str]) -> type | None:
    """Follow the names through plain dictionaries: no attribute of a module or class is computed."""
    try:
        # Past __getattr__ and __getattribute__: a lazy module would load itself.
        names: Any = object.__getattribute__(module, "__dict__")
    except AttributeError:
        return None
    found: object = None
    for step in steps:
        found = names.get(step)
        if not issubclass(type(found), type):
            return None
        names = type.__getattribute__(cast("type", found), "__dict__")
    return cast("type", found)


def member_key(member: Enum) -> str | int:
    """How a member of an enum is stored: by its name, flags by their value."""
    kind = type(member)
    if issubclass(kind, Flag):
        return cast("int", member._value_)
    if kind.__members__.get(member._name_) is not member:
        raise Refused(f"{member!r} is not a member of {_name(kind)}: define it there")
    return member._name_


def member_of(name: object, key: object) -> object:
    """The member of the enum of that name."""
    cls = cast("type[Enum]", find_class(name, ENUM))
    if issubclass(cls, Flag):
        return cls(key)
    if key not in cls.__members__:
        raise Refused(f"{name} has no member {str(key)[:100]!r}")
    return cls.__members__[cast("str", key)]


def state_of(value: Any) -> dict[str, object]:  # noqa: ANN401 - what it has is found out here
    """All that the object consists of, by field. Refused when something would be lost."""
    cls = type(value)
    if is_model(cls):
        state = _model_state(value)
    else:
        state = {name: getattr(value, name, _UNSET) for name in _fields(cast("type", cls)) or ()}
        _refuse_loss(value, cls, state)
    for name, held in state.items():
        if held is _UNSET:
            raise Refused(f"{_name(cls)} has no value for its field {name!r}: set it")
    return state


def _refuse_loss(value: object, cls: type, state: dict[str, object]) -> None:
    if foreign := foreign_base(cls):
        what = foreign.__qualname__
        raise Refused(f"{_name(cls)} is also a {what}, whose content would be lost: hold that in a field")
    if beside := held_beside(value, state.keys()):
        raise Refused(f"{_name(cls)} holds {beside!r}, which is no field of it and would be lost: declare it")


def _model_state(model: Any) -> dict[str, object]:  # noqa: ANN401 - pydantic is not imported, not even for its types
    held = {name: vars(model).get(name, _UNSET) for name in type(model).model_fields}
    extra = getattr(model, "__pydantic_extra__", None) or {}
    private = getattr(model, "__pydantic_private__", None) or {}
    state = private | extra | held
    if len(state) < len(private) + len(extra) + len(held):
        raise Refused(f"{_name(type(model))} holds an extra value under the name of a field: rename it")
    return cast("dict[str, object]", state)


def rebuild(cls: type, state: dict[str, object], path: str = "") -> object:
    """Make an instance from its fields, past ``__init__``; yesterday's state fits today's class.

    What the state lacks gets the default of its field, what the class does not declare is dropped.
    An instance of a class without declared fields gets the state as its attributes.
    """
    try:
        return restore(cls, state)
    except Refused as refused:
        raise refused.error(path) from refused.__cause__


def restore(cls: type, state: dict[str, object], fields_set: Iterable[str] | None = None) -> object:
    """Do what `rebuild` does, for a caller that knows the path better; `fields_set` is pydantic's."""
    try:
        if is_namedtuple(cls):
            return restore_namedtuple(cls, [state[name] for name in fields_of(cls) or () if name in state])
        if is_model(cls):
            return _restore_model(cls, state, fields_set)
        return _restore_fields(cls, state)
    except Refused:
        raise
    except Exception as error:  # a default factory and a descriptor are the user's code: it may raise anything
        raise Refused(f"{_name(cls)} cannot be restored: {error!r}"[:300]) from error


def _restore_fields(cls: type, state: dict[str, object]) -> object:
    # object's own: neither __init__ nor a __new__ of the user runs, and no classes of C are made half.
    instance: object = object.__new__(cls)
    names = _fields(cls)
    if names is None:
        vars(instance).update(state)
        return instance
    for name in names:
        value = state[name] if name in state else _default(cls, name, instance)
        object.__setattr__(instance, name, value)
    if _keeps_its_hash(cls):
        object.__setattr__(instance, "_attrs_cached_hash", None)
    return instance


def _default(cls: type, name: str, instance: object) -> object:
    for field in getattr(cls, "__dataclass_fields__", {}).values():
        if field.name == name and field.default is not MISSING:
            return field.default
        if field.name == name and field.default_factory is not MISSING:
            return field.default_factory()
    for field in getattr(cls, "__attrs_attrs__", ()):
        if field.name == name and field.default is not sys.modules["attr"].NOTHING:
            if not hasattr(field.default, "takes_self"):
                return field.default
            return field.default.factory(instance) if field.default.takes_self else field.default.factory()
    raise _lacks(cls, name)


def _lacks(cls: type, name: str) -> Refused:
    return Refused(f"the payload has no {name!r}, and {_name(cls)} has no default for it: give the field one")


def _keeps_its_hash(cls: type) -> bool:
    """Whether attrs made it with cache_hash: then the place for the hash is not a field, and must exist."""
    code = getattr(cls.__hash__, "__code__", None)
    return code is not None and "_attrs_cached_hash" in code.co_names


def restore_namedtuple(cls: Any, values: list[object]) -> object:  # noqa: ANN401 - they have no class in common
    """A named tuple from its values in order; what is missing at the end gets its default."""
    if len(values) > len(cls._fields):
        raise Refused(f"{_name(cls)} has {len(cls._fields)} fields, the payload has {len(values)} values")
    for name in cls._fields[len(values) :]:
        if name not in cls._field_defaults:
            raise _lacks(cls, name)
    return cast("object", tuple.__new__(cls, (*values, *(cls._field_defaults[n] for n in cls._fields[len(values) :]))))


def _restore_model(cls: Any, state: dict[str, object], fields_set: Iterable[str] | None) -> object:  # noqa: ANN401 - see _model_state
    declared, private = cls.model_fields, cls.__private_attributes__
    held: dict[str, object] = {}
    for name, field in declared.items():
        if name not in state and field.is_required():
            raise _lacks(cls, name)
        held[name] = state[name] if name in state else _model_default(field, held)
    extra = None
    if cls.model_config.get("extra") == "allow":
        extra = {name: value for name, value in state.items() if name not in declared and name not in private}
    model = cls.__new__(cls)
    # The way pickle and copy restore a model: no validation, no model_post_init.
    model.__setstate__(
        {
            "__dict__": held,
            "__pydantic_extra__": extra,
            "__pydantic_fields_set__": set(state if fields_set is None else fields_set) & {*declared, *(extra or ())},
            "__pydantic_private__": _model_private(private, state, held) if private else None,
        }
    )
    return cast("object", model)


def set_fields(model: Any) -> list[str] | None:  # noqa: ANN401 - see _model_state
    """Which fields of a pydantic model were given and not defaults; None when all were, or it is no model."""
    if not is_model(type(model)):
        return None
    given = model.model_fields_set
    every = type(model).model_fields.keys() | (getattr(model, "__pydantic_extra__", None) or {}).keys()
    return sorted(given) if given != every else None


def _model_default(field: Any, held: dict[str, object]) -> object:  # noqa: ANN401 - see _model_state
    if field.default_factory is None:
        return cast("object", field.get_default())
    takes_held = getattr(field, "default_factory_takes_validated_data", False)
    return cast("object", field.default_factory(held) if takes_held else field.default_factory())


def _model_private(private: dict[str, Any], state: dict[str, object], held: dict[str, object]) -> dict[str, object]:
    values = {name: state[name] if name in state else _model_default(private[name], held) for name in private}
    undefined = sys.modules["pydantic_core"].PydanticUndefined
    return {name: value for name, value in values.items() if value is not undefined}
