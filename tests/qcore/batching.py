"""Callbacks of batches that write down what they are told, and short words for what became of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore import Batch, Job, job
from tests.qcore.chaining import Step, acts, bodies, forget, log, raising, steps

if TYPE_CHECKING:
    from qcore import PendingBatch

__all__ = [
    "Step",
    "acts",
    "all_callbacks",
    "batch_of",
    "bodies",
    "counts",
    "forget",
    "fresh",
    "log",
    "raising",
    "steps",
]


@job
def then(batch: Batch) -> None:
    log.append(f"then {batch.done}/{batch.total}")


@job
def catch(batch: Batch, error: BaseException, failed: Step) -> None:
    log.append(f"catch {failed.name}: {error}")


@job
def finally_(batch: Batch) -> None:
    log.append(f"finally {batch.done}/{batch.total}")


@job
def progress(batch: Batch) -> None:
    log.append(f"progress {batch.progress}%")


@job
def failure(batch: Batch, error: BaseException, failed: Job) -> None:
    log.append(f"failure {error}")


def all_callbacks(pending: PendingBatch) -> PendingBatch:
    """Let a batch write down its end and its first failure."""
    return pending.then(then).catch(catch).finally_(finally_)


def batch_of(step: Step) -> Batch:
    """Give the batch that a running step is a member of."""
    found = step.batch()
    assert found is not None
    return found


def fresh(batch: Batch) -> Batch:
    found = batch.fresh()
    assert found is not None
    return found


def counts(batch: Batch) -> tuple[int, int, int, int, int]:
    """Total, pending, done, failed and dropped members by now."""
    now = fresh(batch)
    return now.total, now.pending, now.done, now.failed, now.dropped
