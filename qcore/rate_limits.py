"""Named limiters: how often jobs may run, said once and used by ``RateLimited(name)``."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from qcore.errors import ConfigError
from qcore.layers import Middleware
from qcore.options import checked_name
from qcore.payload import FAR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qcore.jobs import Job
    from qcore.options import Name


@dataclass(frozen=True)
class Limit:
    """So many jobs in so many seconds: a window begins with its first job.

    ``Limit.per_minute(10).by(job.user_id)``: ten a minute for each user.
    """

    max: int
    """How many jobs may begin in a window."""
    seconds: float
    """How long a window lasts."""
    key: str = ""
    """Jobs with the same key share a window."""

    def __post_init__(self) -> None:
        """Check the numbers.

        :raises ConfigError: when they allow nothing, or mean no time.
        """
        if type(self.max) is not int or self.max < 1:
            raise ConfigError(f"a Limit allows a whole number of jobs, 1 or more, got {self.max!r:.60}")
        seconds: object = self.seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < FAR:
            raise ConfigError(f"a Limit lasts a number of seconds above 0, got {seconds!r:.60}")

    @classmethod
    def per_second(cls, most: int) -> Self:
        """So many in a second."""
        return cls(most, 1)

    @classmethod
    def per_minute(cls, most: int) -> Self:
        """So many in a minute."""
        return cls(most, 60)

    @classmethod
    def per_hour(cls, most: int) -> Self:
        """So many in an hour."""
        return cls(most, 3_600)

    @classmethod
    def per_day(cls, most: int) -> Self:
        """So many in 24 hours."""
        return cls(most, 86_400)

    def by(self, key: object) -> Self:
        """Count jobs with another key on their own: an id, a text, whatever ``str()`` tells apart."""
        return replace(self, key=str(key))


class Unlimited:
    """What a limiter gives for a job that may always run; None means the same."""


class AsksLimiter(Middleware):
    """Base of middleware that asks a limiter, so that a dispatch can tell whether there is one."""

    __slots__ = ()

    name: str
    """The name of the limiter."""


Limiter: TypeAlias = Callable[[Any], "Limit | Iterable[Limit] | Unlimited | type[Unlimited] | None"]
"""Asked with the job, each time one is about to run."""

_limiters: dict[str, Limiter] = {}


def limiter(name: Name, rule: Limiter) -> None:
    """Make a limiter known by its name to every App of this process; an App's own of that name beats it.

    ::

        qcore.limiter("imports", lambda job: Limit.per_minute(10).by(job.user_id))

    The name is looked up when a job runs, so workers have to import the module that says this.

    :raises ConfigError: when the rule is no function of the job.
    """
    _limiters[checked_name(name, "limiter")] = checked_limiter(rule, name)


def checked_limiter(rule: Any, name: Name) -> Limiter:  # noqa: ANN401 - what it is is found out here
    """Give the rule of a limiter.

    :raises ConfigError: when it is no function of the job.
    """
    if not callable(rule) or inspect.iscoroutinefunction(rule) or isinstance(rule, type):
        raise ConfigError(f"the limiter {name!r} is a function of the job that gives a Limit, got {rule!r:.100}")
    return cast("Limiter", rule)


def found(name: str, of_app: Mapping[str, Callable[[Job], object]]) -> Callable[[Job], object]:
    """Give a limiter by its name.

    :raises ConfigError: lists the limiters that are known here.
    """
    rule = of_app.get(name) or _limiters.get(name)
    if rule is None:
        known = ", ".join(sorted({*of_app, *_limiters})) or "none"
        raise ConfigError(
            f"there is no limiter {name!r}; known here: {known}. "
            f"Say qcore.limiter({name!r}, lambda job: Limit.per_minute(10)) in a module that workers import"
        )
    return rule


def limits_of(name: str, job: Job, of_app: Mapping[str, Callable[[Job], object]]) -> list[Limit]:
    """Ask a limiter about a job; no limits mean that it may run.

    :raises ConfigError: when there is no such limiter, or it gave something else than limits.
    """
    given = found(name, of_app)(job)
    if given is None or given is Unlimited or isinstance(given, Limit | Unlimited):
        several: list[object] = [given]
    elif isinstance(given, Iterable) and not isinstance(given, str):
        several = list(given)
    else:
        raise _no_limit(name, given)
    limits = []
    for each in several:
        if isinstance(each, Limit):
            limits.append(each)
        elif not (each is None or each is Unlimited or isinstance(each, Unlimited)):
            raise _no_limit(name, each)
    return limits


def _no_limit(name: str, given: object) -> ConfigError:
    return ConfigError(
        f"the limiter {name!r} gives a Limit, a list of them, Unlimited or None, got {given!r:.100}: "
        "write Limit.per_minute(10), for example"
    )
