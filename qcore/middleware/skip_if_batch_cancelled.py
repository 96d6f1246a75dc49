"""``SkipIfBatchCancelled``: members of a cancelled batch do not run any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qcore.delivery import current_delivery
from qcore.layers import Middleware

if TYPE_CHECKING:
    from qcore.delivery import Delivery
    from qcore.layers import Next


@dataclass(frozen=True)
class SkipIfBatchCancelled(Middleware):
    """End the job without running it, as if it had succeeded, when the batch that it is a member of was cancelled.

    A job without a batch runs, and so does a callback: the batch that is cancelled may be what it is about.
    """

    def __call__(self, job: Any, call_next: Next) -> object:  # noqa: ANN401 - the job's own class
        """Look, then skip or run."""
        delivery = current_delivery()
        if _is_cancelled(delivery):
            delivery.block(self, None)
            return None
        return call_next(job)


def _is_cancelled(delivery: Delivery) -> bool:
    if delivery.job is None or delivery.body is None or "batchId" not in delivery.body.raw:
        return False
    batch = delivery.job.batch()
    return batch is not None and batch.cancelled
