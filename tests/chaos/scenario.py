"""What is dispatched in a run, and what may come of it: both follow from a seed and a size."""

from __future__ import annotations

import enum
import random
from typing import TYPE_CHECKING, NamedTuple

from qcore import batch, chain
from tests.chaos.jobs import Alone, Doomed, Flaky, Once, Only, Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore import App, Job


class End(enum.Enum):
    """How a job has to end."""

    DONE = "done"
    FAILED = "failed"
    EITHER = "either"
    """It has one try: done, or failed because a fault hit it."""
    NEVER = "never"
    """It must not run: it stands behind one that failed."""


class Promise(NamedTuple):
    """What holds for one job, told by its name."""

    name: str
    end: End = End.DONE
    runs: int = 1
    """How often it starts when no fault hits it."""
    after: tuple[str, ...] = ()
    """Jobs that have ended before it starts."""
    delay: float = 0
    alone: str = ""
    """The key under which no two run at once."""
    only: str = ""
    """The key under which no two wait or run."""
    member: str = ""
    """The batch that counts it."""


class Dispatch(NamedTuple):
    """Something to dispatch in one go."""

    push: Callable[[App], object]
    """Gives None when it was refused, because another one holds the lock."""
    promises: tuple[Promise, ...]


class Unit(NamedTuple):
    """Something that is dispatched until that succeeds, each time under other names."""

    name: str
    make: Callable[[str], Dispatch]
    """Take a name, and give what to dispatch under it."""


def plain(name: str) -> Dispatch:
    return _one(Plain(name), Promise(name))


def slow(name: str) -> Dispatch:
    """Long enough for a fault to find it at work."""
    return _one(Plain(name, 0.05), Promise(name))


def once(name: str) -> Dispatch:
    return _one(Once(name), Promise(name, End.EITHER))


def flaky(name: str) -> Dispatch:
    return _one(Flaky(name, 2), Promise(name, runs=3))


def doomed(name: str) -> Dispatch:
    return _one(Doomed(name), Promise(name, End.FAILED, runs=2))


def delayed(name: str) -> Dispatch:
    return _one(Plain(name), Promise(name, delay=1.0), delay=1.0)


def alone(name: str) -> Dispatch:
    key = f"key {hash_of(name) % 3}"
    return _one(Alone(name, key), Promise(name, alone=key))


def only(name: str) -> Dispatch:
    key = f"key {hash_of(name) % 5}"
    return _one(Only(name, key), Promise(name, only=key))


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return sum(name.encode())


def _one(job: Job, promise: Promise, delay: float | None = None) -> Dispatch:
    return Dispatch(lambda app: _within(app, lambda: job.dispatch(delay=delay)), (promise,))


def _within(app: App, dispatch: Callable[[], object]) -> object:
    with app.activate():
        return dispatch()


def many(name: str, count: int = 100) -> Dispatch:
    names = [f"{name}.{number}" for number in range(count)]
    return Dispatch(lambda app: app.bulk(map(Plain, names)) or True, tuple(map(Promise, names)))


def links(name: str) -> Dispatch:
    first, second, third, caught = (f"{name}.{part}" for part in ("1", "2", "3", "catch"))
    made = chain(Plain(first), Flaky(second, 1), Plain(third)).catch(Plain(caught))
    promises = (
        Promise(first),
        Promise(second, runs=2, after=(first,)),
        Promise(third, after=(second,)),
        Promise(caught, End.NEVER),
    )
    return Dispatch(lambda app: _within(app, made.dispatch), promises)


def broken_links(name: str) -> Dispatch:
    first, second, third, caught = (f"{name}.{part}" for part in ("1", "2", "3", "catch"))
    made = chain(Plain(first), Doomed(second), Plain(third)).catch(Plain(caught))
    promises = (
        Promise(first),
        Promise(second, End.FAILED, runs=2, after=(first,)),
        Promise(third, End.NEVER),
        Promise(caught, after=(second,)),
    )
    return Dispatch(lambda app: _within(app, made.dispatch), promises)


def members(name: str) -> Dispatch:
    """A batch with a chain in it."""
    single = [f"{name}.{number}" for number in range(4)]
    inner = [f"{name}.link {number}" for number in range(2)]
    made = batch([*map(Plain, single), [Plain(each) for each in inner]], name=name)
    made.then(Plain(f"{name}.then")).catch(Plain(f"{name}.catch")).finally_(Plain(f"{name}.finally"))
    everyone = (*single, *inner)
    promises = (
        *(Promise(each, member=name) for each in (*single, inner[0])),
        Promise(inner[1], after=(inner[0],), member=name),
        Promise(f"{name}.then", after=everyone),
        Promise(f"{name}.catch", End.NEVER),
        Promise(f"{name}.finally", after=everyone),
    )
    return Dispatch(lambda app: _within(app, made.dispatch), promises)


def broken_members(name: str) -> Dispatch:
    """A batch in which one member fails, and the first link of a chain."""
    single, bad = [f"{name}.{number}" for number in range(3)], f"{name}.bad"
    inner = [f"{name}.link {number}" for number in range(2)]
    made = batch([*map(Plain, single), Doomed(bad), [Doomed(inner[0]), Plain(inner[1])]], name=name)
    made.then(Plain(f"{name}.then")).catch(Plain(f"{name}.catch")).finally_(Plain(f"{name}.finally"))
    promises = (
        *(Promise(each, member=name) for each in single),
        Promise(bad, End.FAILED, runs=2, member=name),
        Promise(inner[0], End.FAILED, runs=2, member=name),
        Promise(inner[1], End.NEVER, member=name),
        Promise(f"{name}.then", End.NEVER),
        Promise(f"{name}.catch"),
        Promise(f"{name}.finally", after=(*single, bad, inner[0])),
    )
    return Dispatch(lambda app: _within(app, made.dispatch), promises)


KINDS: dict[str, Callable[[str], Dispatch]] = {
    each.__name__: each
    for each in (
        plain, slow, once, flaky, doomed, delayed, alone, only, links, broken_links, members, broken_members
    )
}  # fmt: skip
"""Everything that can be dispatched, by name."""

_WEIGHTS = {"plain": 6, "once": 3, "flaky": 2, "delayed": 2, "alone": 3, "only": 3}


def mixed(seed: int, size: int) -> list[Unit]:
    """A scenario of all kinds, each at least once, with about so many jobs."""
    dice = random.Random(f"scenario {seed}")
    kinds = list(KINDS)
    while sum(len(KINDS[kind]("").promises) for kind in kinds) < size:
        kinds += dice.choices(list(KINDS), [_WEIGHTS.get(kind, 1) for kind in KINDS])
    dice.shuffle(kinds)
    return [Unit(f"{kind}-{number}", KINDS[kind]) for number, kind in enumerate(kinds)]


def backlog(size: int) -> list[Unit]:
    """A scenario of plain jobs, pushed by the hundred."""
    return [Unit(f"many-{number}", many) for number in range(size // 100)]
