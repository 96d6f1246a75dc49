"""What qcore knows of a job class, found out when the class is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from qcore import registry
from qcore.errors import JobDefinitionError
from qcore.options import OF_A_CLASS, UNSET, JobOptions, checked_name
from qcore.sealing import Seal
from qcore.unique import KEYWORDS, UNSAID

if TYPE_CHECKING:
    from qcore.jobs import Job
    from qcore.unique import Unique, Words

SAID_OF_A_CLASS = (*OF_A_CLASS, "encrypted", *KEYWORDS)
"""The keywords of a job class, but for its names."""


class Definition(NamedTuple):
    """What qcore knows of a job class."""

    name: str
    """The name in payloads: ``module:QualName``, or what ``name=`` said."""
    aliases: tuple[str, ...]
    options: JobOptions
    given: JobOptions
    """The options said on this very class, without those of its bases."""
    unique: Unique | None = None
    """How jobs of the class keep each other away, None when they do not."""
    seal: Seal | None = None
    """How their state is sealed in a payload, None when it is plain."""

    @property
    def short_name(self) -> str:
        """The name without its module."""
        return self.name.rpartition(":")[2] or self.name


def define(
    cls: type[Job],
    given: JobOptions,
    name: str | None,
    aliases: tuple[str, ...],
    *,
    encrypted: bool | None,
    words: Words,
) -> None:
    """Keep what was said of a class, and make it known by its names.

    :raises JobDefinitionError: when that cannot mean anything.
    """
    _refuse_attributes(cls)
    if not isinstance(given.after_commit, bool | None):
        message = f"{cls.__qualname__}: after_commit is True or False for a class, got {given.after_commit!r:.100}"
        raise JobDefinitionError(message)
    remade = cls.__dict__.get("__job__")
    if remade is not None and given == UNSET and name is None and encrypted is None and words == UNSAID:
        # @dataclass(slots=True) and attrs make the class a second time, without its keywords.
        definition: Definition = remade
    else:
        base = cls.__job__
        name = f"{cls.__module__}:{cls.__qualname__}" if name is None else checked_name(name, "job")
        definition = Definition(
            name,
            tuple(checked_name(alias, "job") for alias in aliases),
            given.over(base.options) if base.options is not UNSET else given,
            given,
            words.rule(base.unique, cls.__qualname__),
            _seal_of(cls, encrypted),
        )
    cls.__job__ = definition
    registry.register(cls, (definition.name, *definition.aliases))


def _seal_of(cls: type[Job], encrypted: object) -> Seal | None:
    if encrypted is None:
        return cls.__job__.seal
    if not isinstance(encrypted, bool):
        message = f"{cls.__qualname__}: encrypted is True or False, got {encrypted!r}"
        raise JobDefinitionError(message)
    return Seal.ENCRYPTED if encrypted else None


def _refuse_attributes(cls: type[Job]) -> None:
    """Refuse options written as Laravel writes them: they would be silently without effect."""
    declared = vars(cls).get("__annotations__", {})
    if isinstance(vars(cls).get("middleware"), list | tuple):
        raise middleware_is_a_method(cls)
    for option in SAID_OF_A_CLASS:
        value = vars(cls).get(option)
        if isinstance(value, str | int | float | list | tuple) and option not in declared:
            message = f"{cls.__qualname__}: options are class keywords: class {cls.__name__}(Job, {option}={value!r})"
            raise JobDefinitionError(message)


def middleware_is_a_method(cls: type[Job]) -> JobDefinitionError:
    """Make the error about middleware that was said as an option of a class."""
    return JobDefinitionError(
        f"{cls.__qualname__}: middleware is a method of a job class: write def middleware(self): return [...]; "
        "for one dispatch alone, and for functions, say with_options(middleware=[...])"
    )
