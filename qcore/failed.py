"""The port of the failed store, and the record it keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from qcore.driver import Payload


class FailedJob(NamedTuple):
    """A job that will not be tried again, with its payload byte for byte as it was pushed."""

    payload: Payload
    connection: str
    queue: str
    exception: str
    """The exception with its traceback, as text: it is never rebuilt from here."""
    failed_at: float
    """Seconds since 1970."""
    number: int = 0
    """Counts up with every failure of the store; what ``retry --range`` speaks of."""

    @property
    def id(self) -> str:
        """The id of the job, the same before and after a retry."""
        return self.payload.id


class FailedStore(Protocol):
    """Keeps failed jobs, one record for an id."""

    @property
    def home(self) -> object:
        """The backend it lives in; see ``Driver.home``."""

    def add(self, record: FailedJob) -> None:
        """Keep the record under a new number; an older one with the same id is replaced."""

    def find(self, job_id: str) -> FailedJob | None:
        """Look one up."""

    def listed(self, *, queue: str | None = None) -> list[FailedJob]:
        """All records, of one queue if given; the newest failure first."""

    def forget(self, job_id: str, *, number: int | None = None) -> bool:
        """Remove one, with ``number`` only that failure of it; False when there was none."""

    def flush(self, *, before: float | None = None) -> int:
        """Remove all, or those that failed at or before that instant; say how many."""
