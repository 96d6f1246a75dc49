"""``RateLimited``: so many jobs in so much time, as a named limiter says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from qcore.delivery import current_delivery
from qcore.layers import checked_seconds, store_key
from qcore.options import checked_name
from qcore.rate_limits import AsksLimiter, limits_of
from qcore.windows import MARGIN, Window

if TYPE_CHECKING:
    from qcore.delivery import Tools
    from qcore.layers import Next
    from qcore.rate_limits import Limit

    Counted: TypeAlias = list[tuple[Limit, Window]]


@dataclass(frozen=True)
class RateLimited(AsksLimiter):
    """Run the job when the limiter of that name has room, else give it back until it has.

    A limiter is made by ``qcore.limiter(name, rule)`` or ``app.limiter(name, rule)``. With several limits, all are
    looked at before any counts the job. A job counts when it begins, whatever becomes of it.
    """

    name: str
    """The name of the limiter; it is looked up when the job runs."""
    release_after: float | None = None
    """Seconds until a blocked job is due again; None: when there is room, and three seconds."""
    releases: bool = True
    """False: a blocked job ends without running, as if it had succeeded."""

    def __post_init__(self) -> None:
        """Check both.

        :raises JobDefinitionError: when the name is none, or ``release_after`` is no number of seconds.
        """
        object.__setattr__(self, "name", checked_name(self.name, "limiter"))
        if self.release_after is not None:
            checked_seconds(self.release_after, "release_after")

    def dont_release(self) -> RateLimited:
        """Skip a blocked job instead of giving it back."""
        return replace(self, releases=False)

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Run the job, or block it.

        :raises ConfigError: when there is no limiter of that name.
        """
        delivery = current_delivery()
        counted = [
            (limit, self._window(limit, delivery.tools)) for limit in limits_of(self.name, job, delivery.tools.limiters)
        ]
        wait = _count(counted)
        if wait is None:
            try:
                return call_next(job)
            finally:
                if not delivery.has_begun:  # something behind this has blocked it
                    _take_back(counted)
        after = wait + MARGIN if self.release_after is None else self.release_after
        delivery.block(self, after if self.releases else None)
        return None

    def _window(self, limit: Limit, tools: Tools) -> Window:
        # The numbers are part of the key: ten a minute and a hundred an hour are two windows.
        key = store_key("limit", self.name, f"{limit.max}/{limit.seconds:g}", limit.key)
        return Window(tools.store(), tools.clock, key, limit.seconds)


def _count(limits: Counted) -> float | None:
    """Count the job in all windows; with one of them full in none, and give the seconds until there is room."""
    waits = [wait for limit, window in limits if (wait := window.full_for(limit.max)) is not None]
    if waits:
        return max(waits)
    for index, (limit, window) in enumerate(limits):
        if window.hit() > limit.max:  # others took what was left between the look and the hit
            _take_back(limits[: index + 1])
            return window.left()
    return None


def _take_back(limits: Counted) -> None:
    for _, window in limits:
        window.take_back()
