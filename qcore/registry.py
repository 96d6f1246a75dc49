"""Which job class a name in a payload stands for.

Names resolve only here, never through an import of what a payload says: a payload can ask
for a job that this process chose to load, and for nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.errors import DuplicateJobError, UnknownJobError

if TYPE_CHECKING:
    from collections.abc import Collection

    from qcore.jobs import Job

_classes: dict[str, type[Job]] = {}

_OWN = {
    "qcore:batch": ("qcore.batch_link", "BatchLink"),
    "qcore:rest-dropped": ("qcore.batch_link", "RestDropped"),
}
"""Jobs of qcore itself that a worker loads when it meets one: few workers do."""

_NO_JOB = "qcore:handler"
"""What a push to a handler class is called. No payload may ask for it: it names the handler as its ``job``."""


def register(job_class: type[Job], names: Collection[str]) -> None:
    """Let every name stand for the class.

    The same definition seen again (a reloaded module, a class that ``@dataclass(slots=True)`` made
    anew) takes the place of the old one.

    :raises DuplicateJobError: when a name stands for another job already.
    """
    for name in names:
        other = _classes.get(name)
        if other is not None and not _same(other, job_class):
            message = (
                f"the job name {name!r} is taken by {_origin(other)}, and {_origin(job_class)} wants it too: "
                "give one of them another name="
            )
            raise DuplicateJobError(message)
    _classes.update({name: job_class for name in names if name != _NO_JOB})


def _same(one: type[Job], other: type[Job]) -> bool:
    # While @dataclass(slots=True) makes a class anew, it lacks its qualified name, but has its definition.
    return one.__job__ is other.__job__ or _origin(one) == _origin(other)


def _origin(job_class: type[Job]) -> str:
    return f"{job_class.__module__}:{job_class.__qualname__}"


def resolve(name: str) -> type[Job]:
    """Find the class that a name in a payload stands for.

    :raises UnknownJobError: when no job of that name was loaded.
    """
    try:
        return _classes[name]
    except KeyError:
        if name in _OWN:
            return _own(name)
        message = (
            f"no job named {name!r} is known here{_nearest(name)}: add its module to imports; restart workers that are "
            "older than the job; keep the old name of a renamed one in its aliases=; give projects that share a server "
            "a prefix or a database each"
        )
        raise UnknownJobError(message) from None


def _own(name: str) -> type[Job]:
    from importlib import import_module

    module, class_name = _OWN[name]
    job_class: type[Job] = getattr(import_module(module), class_name)
    return job_class


def _nearest(name: str) -> str:
    import difflib  # only a failing look-up needs it

    close = difflib.get_close_matches(name, _classes, n=3)
    if not close and ":" not in name:
        # What is typed is often the last part alone.
        short = {full.rpartition(":")[2]: full for full in _classes if not full.startswith("qcore:")}
        close = [short[each] for each in difflib.get_close_matches(name, short, n=3)]
    return f" (did you mean {' or '.join(close)}?)" if close else ""


def find(name: str) -> type[Job]:
    """Find a job by its name, or by the last part of it when that is unique: ``ImportCsv``.

    :raises UnknownJobError: when no job, or more than one, answers to it.
    """
    if name in _classes:
        return _classes[name]
    found = {
        job_class.__job__.name: job_class
        for full, job_class in _classes.items()
        if name in (full.partition(":")[2], full.rpartition(".")[2])
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        message = f"{name!r} could be {' or '.join(sorted(found))}: write the whole name"
        raise UnknownJobError(message)
    return resolve(name)


def names() -> list[str]:
    """All names that a payload may use here."""
    return sorted(_classes)
