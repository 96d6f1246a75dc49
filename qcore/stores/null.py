"""A failed store that keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.failed import FailedJob


class NullFailedStore:
    """Forgets every failed job at once."""

    def __init__(self) -> None:
        """Be a home of its own, which no driver shares."""
        self.home = object()

    def add(self, record: FailedJob) -> None:
        """Forget the record."""

    def find(self, job_id: str) -> FailedJob | None:  # noqa: ARG002 - none is kept
        """Find none."""
        return None

    def listed(self, *, queue: str | None = None) -> list[FailedJob]:  # noqa: ARG002 - none is kept
        """List none."""
        return []

    def forget(self, job_id: str, *, number: int | None = None) -> bool:  # noqa: ARG002 - none is kept
        """Remove none."""
        return False

    def flush(self, *, before: float | None = None) -> int:  # noqa: ARG002 - none is kept
        """Remove none."""
        return 0
