"""Names that a fake queue does not have, and which of its own may be meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS = {
    "pushed": ("dispatched", "enqueued", "queued", "sent", "scheduled"),
    "processed": ("executed", "handled", "ran", "succeeded"),
    "failed": ("raised", "errored"),
    "batched": ("grouped",),
}
_OUR_WORD = {other: ours for ours, others in _OURS.items() for other in others}
_RUNS = {"burst", "drain", "flush", "join", "process", "run", "run_all", "run_jobs", "work"}
_PUSHES = {"apply_async", "delay", "dispatch", "enqueue", "push", "put", "send"}
_OF_AN_ACTIVE_ONE = {"app", "recorder", "reporter", "stepper"}


def hint(name: str, known: Iterable[str]) -> str:
    """Say what to write instead, with a colon before it; empty when nobody can tell."""
    if name in _OF_AN_ACTIVE_ONE:
        return ": it is not active, enter it first, as `with qtest.fake() as queue:` does"
    if name in _PUSHES:
        return ": what is dispatched lands in it, write job.dispatch()"
    if name in _RUNS:
        return ": did you mean run_due() or run_until_idle()?"
    meant = "_".join(_OUR_WORD.get(word, word) for word in name.split("_"))
    from difflib import get_close_matches  # only where something is wrong already

    close = get_close_matches(meant, known, n=1, cutoff=0.7)
    return f": did you mean {close[0]}?" if close else ""
