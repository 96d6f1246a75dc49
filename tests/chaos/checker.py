"""The invariants. What a run promised, what its history tells, and what was left: they have to agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tests.chaos.deliveries import Delivery, deliveries_in, excuse
from tests.chaos.scenario import End

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from qcore import Batch
    from tests.chaos.faults import Hit
    from tests.chaos.history import Line
    from tests.chaos.scenario import Promise


class Violation(NamedTuple):
    """An invariant that does not hold."""

    rule: str
    what: str
    job: str = ""
    """The name of the job, if it is one's."""


@dataclass
class Evidence:
    """Everything that is known about a run."""

    promises: dict[str, Promise]
    """Of the jobs whose dispatch has returned."""
    doubtful: dict[str, Promise]
    """Of those whose dispatch raised: nobody knows whether they are there."""
    lines: Sequence[Line]
    hits: Sequence[Hit]
    lease: float
    failed: Sequence[str] = ()
    """The ids of all records of failed jobs."""
    batches: Sequence[Batch] = ()
    left: Sequence[str] = ()
    """What is still in the backend although all is over."""
    trouble: Sequence[str] = ()
    """What processes said that ended as they should not."""
    drained: bool = True
    refused: frozenset[str] = frozenset()
    """Names of unique jobs that were not pushed."""
    lowest: int = 0
    """The lowest number of pending members that any batch ever showed."""
    most: int | None = None
    """How many runs all faults together may cost; None: as many as deliveries were hit."""
    keeps_tries: bool = False
    """True when no worker died: a job that did not start has lost no try."""

    @cached_property
    def deliveries(self) -> list[Delivery]:
        found = deliveries_in(self.lines)
        excuse(found, self.hits, self.lease)
        return found

    @cached_property
    def by_id(self) -> dict[str, list[Delivery]]:
        grouped: dict[str, list[Delivery]] = defaultdict(list)
        for each in self.deliveries:
            grouped[each.id].append(each)
        return grouped

    @cached_property
    def ids(self) -> dict[str, list[str]]:
        """The ids of the jobs that started, by name."""
        grouped: dict[str, dict[str, None]] = defaultdict(dict)
        for line in self.lines:
            if line.what in {"start", "failed()"}:
                grouped[line.name][line.id] = None
        return {name: list(ids) for name, ids in grouped.items()}

    @cached_property
    def dispatched(self) -> dict[str, float]:
        """When the dispatch began under a name."""
        return {line.name: line.at for line in self.lines if line.what == "dispatching"}

    @cached_property
    def more(self) -> int:
        """How many runs the faults have cost."""
        promises = {**self.doubtful, **self.promises}
        runs = Counter(each.id for each in self.deliveries if each.started is not None)
        return sum(max(runs[each] - promises[name].runs, 0) for name, ids in self.ids.items() for each in ids)

    def all_of(self, name: str) -> list[Delivery]:
        """Give every delivery of the jobs of that name in which something was started."""
        return [each for job_id in self.ids.get(name, ()) for each in self.by_id.get(job_id, ())]

    def history_of(self, name: str) -> str:
        ids = self.ids.get(name, ())
        told = [f"    {each}" for each in self.all_of(name)] or ["    it never started"]
        return "\n".join([f"  {name} ({', '.join(ids) or 'no id'})", *told])


def violations(evidence: Evidence) -> list[Violation]:
    """Check everything."""
    return [Violation(rule, what, job) for rule, check in RULES.items() for job, what in check(evidence)]


def _drained(run: Evidence) -> Iterator[tuple[str, str]]:
    if not run.drained:
        yield "", "jobs still wait, although every fault is over"


def _nothing_lost(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in run.promises.items():
        done = any(each.finished is not None for each in run.all_of(name))
        failed = any(job_id in run.failed for job_id in run.ids.get(name, ()))
        if promise.end is End.DONE and not done:
            yield name, "it never finished"
        if promise.end is End.FAILED and not failed:
            yield name, "there is no record of its failure"
        if promise.end is End.EITHER and not (done or failed):
            yield name, "it neither finished nor failed"


def _done_xor_failed(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in {**run.doubtful, **run.promises}.items():
        for job_id in run.ids.get(name, ()):
            records = run.failed.count(job_id)
            if records > 1:
                yield name, f"{records} records of one failure"
            if promise.end is End.DONE and records:
                yield name, "a job that cannot fail has failed"
            if promise.end is End.EITHER and records and not _was_hit(run, job_id):
                yield name, "it failed, and no fault had hit it"


def _was_hit(run: Evidence, job_id: str) -> bool:
    """Tell whether a fault may have cost a job its try, also between its reservation and the first line about it."""
    deliveries = run.by_id[job_id]
    unseen = max(each.attempts for each in deliveries) > len(deliveries) and not run.keeps_tries
    hit = [each for each in deliveries if each.excuse and (each.started is not None or not run.keeps_tries)]
    return bool(hit) or (unseen and bool(run.hits))


def _ended_once(run: Evidence) -> Iterator[tuple[str, str]]:
    names = {job_id: name for name, ids in run.ids.items() for job_id in ids}
    for job_id, deliveries in run.by_id.items():
        ends = [each for each in deliveries if each.accepted]
        if len(ends) > 1:
            yield names.get(job_id, job_id), f"it ended {len(ends)} times: {', '.join(each.ending for each in ends)}"
        for end in ends[:1]:
            if end.ending == "JobProcessed" and job_id in run.failed:
                yield names.get(job_id, job_id), "it is done, and there is a record of its failure"
            if any(each.since > end.until for each in deliveries):
                yield names.get(job_id, job_id), "it was delivered again after its end"


def _not_too_often(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in {**run.doubtful, **run.promises}.items():
        ids = run.ids.get(name, [])
        if len(ids) > 1:
            yield name, f"one dispatch made {len(ids)} jobs"
        for job_id in ids:
            runs = sum(each.started is not None for each in run.by_id[job_id])
            excuses = sum(bool(each.excuse) for each in run.by_id[job_id])
            if runs > promise.runs + excuses:
                yield name, f"it ran {runs} times, with {excuses} faults that hit it, instead of {promise.runs}"
    if run.most is not None and run.more > run.most:
        yield "", f"jobs ran {run.more} times more than without a fault"


def _never(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in {**run.doubtful, **run.promises}.items():
        if run.ids.get(name) and (promise.end is End.NEVER or name in run.refused):
            yield name, "it must not run, and did"


def _in_order(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in {**run.doubtful, **run.promises}.items():
        first = min((each.started for each in run.all_of(name) if each.started is not None), default=None)
        if first is None:
            continue
        for before in promise.after:
            ends = [at for each in run.all_of(before) for at in (each.finished, each.failed) if at is not None]
            if not ends or min(ends) > first:
                yield name, f"it started before {before} had ended"


def _never_early(run: Evidence) -> Iterator[tuple[str, str]]:
    for name, promise in {**run.doubtful, **run.promises}.items():
        for each in run.all_of(name):
            if promise.delay and each.started is not None and each.started < run.dispatched[name] + promise.delay:
                yield name, f"it started {run.dispatched[name] + promise.delay - each.started:.3f} s early"


def _alone(run: Evidence) -> Iterator[tuple[str, str]]:
    spans: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for name, promise in {**run.doubtful, **run.promises}.items():
        for each in run.all_of(name) if promise.alone else ():
            # A worker that has lost its lease has lost the lock as well, and cannot know it.
            if each.started is not None and each.finished is not None and not each.excuse:
                spans[promise.alone].append((each.started, each.finished, name))
    for key, found in spans.items():
        for (_, end, first), (start, _, second) in pairwise(sorted(found)):
            if start < end:
                yield second, f"it ran at the same time as {first}, under {key}"


def _only(run: Evidence) -> Iterator[tuple[str, str]]:
    """A unique job is dispatched when the one before it has ended."""
    by_key: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for name, promise in run.promises.items():
        if promise.only and name not in run.refused:
            by_key[promise.only].append((run.dispatched[name], name))
    accepted = {line.name: line.at for line in run.lines if line.what == "dispatched"}
    for key, found in by_key.items():
        for (_, first), (_, second) in pairwise(sorted(found)):
            ends = [each.finished for each in run.all_of(first) if each.finished is not None]
            if ends and min(ends) > accepted[second]:
                yield second, f"it was dispatched before {first} had ended, under {key}"


def _batches(run: Evidence) -> Iterator[tuple[str, str]]:
    if run.lowest < 0:
        yield "", f"a batch had {run.lowest} pending members"
    for each in run.batches:
        if each.name not in {promise.member for promise in run.promises.values()}:
            continue  # its dispatch raised: nobody knows how many members it got
        if each.pending or not each.finished:
            yield each.name, f"the batch has {each.pending} pending members, and is {each.state}"
        ends = Counter(promise.end for promise in run.promises.values() if promise.member == each.name)
        expected = (ends[End.DONE], ends[End.FAILED], ends[End.NEVER])
        if expected != (counts := (each.done, each.failed, each.dropped)):
            yield each.name, f"its done, failed and dropped members are {counts} instead of {expected}"


def _nothing_left(run: Evidence) -> Iterator[tuple[str, str]]:
    yield from (("", each) for each in run.left)


def _clean_ends(run: Evidence) -> Iterator[tuple[str, str]]:
    yield from (("", each) for each in run.trouble)


RULES: dict[str, Callable[[Evidence], Iterator[tuple[str, str]]]] = {
    "it drains": _drained,
    "nothing is lost": _nothing_lost,
    "done or failed, not both": _done_xor_failed,
    "one end": _ended_once,
    "one more run for a fault at most": _not_too_often,
    "what must not run does not": _never,
    "in order": _in_order,
    "never early": _never_early,
    "one at a time": _alone,
    "one of a kind": _only,
    "batches": _batches,
    "nothing is left": _nothing_left,
    "processes end well": _clean_ends,
}
