"""What a batch calls back, as it is said and as it is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qcore.batch_members import listed
from qcore.callbacks import Callback, callback_link
from qcore.errors import JobDefinitionError
from qcore.options import UNSET, JobOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qcore.dispatcher import Dispatcher
    from qcore.links import Link

_TAKES = {"then": 1, "finally": 1, "progress": 1, "catch": 3, "failure": 3}
"""Kinds of callbacks, and how many arguments there are for each: the batch, the error, the failed job."""


class BatchCallbacks:
    """The callbacks of a batch, and whether its members may fail."""

    def __init__(self) -> None:
        """Begin with none, and the first failure as the end."""
        self._given: dict[str, list[Callback]] = {event: [] for event in _TAKES}
        self._allows_failures = False

    def add(self, event: str, callback: Callback) -> None:
        """Add one."""
        self._given[event].append(callback)

    def allow_failures(self, given: bool | Callback | Iterable[Callback]) -> None:  # noqa: FBT001 - as users say it
        """Say whether members may fail, or who is called when one does.

        :raises JobDefinitionError: for what is neither.
        """
        said: object = given
        if said is None or (isinstance(said, int | float | str | bytes) and not isinstance(said, bool)):
            raise JobDefinitionError(f"allow_failures is True, False, a callback or several, got {said!r:.200}")
        self._allows_failures = given is not False
        if given is False:
            self._given["failure"] = []
        elif given is not True:
            self._given["failure"] += listed(given)

    @property
    def all(self) -> tuple[Callback, ...]:
        """Give them, whatever they are called for."""
        return tuple(each for given in self._given.values() for each in given)

    def written(self, app: Dispatcher, place: JobOptions) -> str:
        """Write all for the connection of the batch, and for its queue if they name none.

        :raises JobDefinitionError: when one cannot be stored, or asks for more than there is.
        :raises PayloadError: when the state of one cannot be written.
        """
        linking = _Here(app, place)
        links = {event: [_link(linking, each, place, event) for each in given] for event, given in self._given.items()}
        kept = {event: [link for link in each if link is not None] for event, each in links.items()}
        return json.dumps({"allowFailures": self._allows_failures, "chain": None, **kept})


class _Here:
    """Writes links for the connection of the batch, whatever they say: they are pushed with its last step."""

    def __init__(self, app: Dispatcher, place: JobOptions) -> None:
        self.provider = app.provider
        self._app = app
        self._forced = JobOptions(connection=place.connection)

    def link(self, job: Any, wide: JobOptions = UNSET, *, job_id: str | None = None) -> Link | None:  # noqa: ANN401
        """Write a job as a link."""
        return self._app.link(job, wide, forced=self._forced, job_id=job_id)


def _link(linking: _Here, callback: Callback, place: JobOptions, event: str) -> Link | None:
    return callback_link(linking, callback, place, takes=_TAKES[event])
