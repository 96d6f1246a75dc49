"""What an ended member changes in a batch: pure functions, and their tables of cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from qcore import links
from qcore.batches import BatchRecord, BatchStep, Counted, State, after_adding, after_closing, after_retry, after_step
from qcore.driver import Lock, LockRule, Push
from qtest.contract_records import BATCH, FAILURE, NOW, callback, chain, new_batch, options

P, D, F, X = State.PENDING, State.DONE, State.FAILED, State.DROPPED
EVENTS = ("progress", "failure", "catch", "then", "finally")


def closed(states: dict[str, State], text: str = options(*EVENTS), **fields: Any) -> BatchRecord:
    """A batch with members in these states, and nothing told so far."""
    values = list(states.values())
    counts = {"pending": values.count(P), "failed": values.count(F), "dropped": values.count(X)}
    return new_batch(text)._replace(**({"total": len(values), "adding": False} | counts | fields))


def ended(member: str, state: State, *dropped: str, at: float = NOW) -> BatchStep:
    return BatchStep(BATCH, member, state, at, dropped, FAILURE if state is F else "")


def counts(record: BatchRecord) -> tuple[int, int, int, int]:
    return record.pending, record.done, record.failed, record.dropped


def told(counted: Counted | None) -> list[str]:
    """The callbacks that are due, by event; links and callbacks of the chain by their words."""
    assert counted is not None
    return [_word(json.loads(push.payload.body)) for push in counted.pushes]


def _word(body: dict[str, Any]) -> str:
    callback = body.get("callback", {})
    return f"{'' if 'batch' in callback else 'chain: '}{callback.get('event', body['id'])}"


@pytest.mark.parametrize(
    ("before", "step", "changes", "after"),
    [
        # One member ended.
        ({"a": P}, ended("a", D), {"a": D}, (0, 1, 0, 0)),
        ({"a": P}, ended("a", F), {"a": F}, (0, 0, 1, 0)),
        ({"a": P, "b": P}, ended("b", D), {"b": D}, (1, 1, 0, 0)),
        # The rest of its chain will not run.
        ({"a": P, "a2": P, "a3": P, "b": P}, ended("a", F, "a2", "a3"), {"a": F, "a2": X, "a3": X}, (1, 0, 1, 2)),
        ({"a": P, "a2": P}, ended("a", F, "a2", "a2", "a"), {"a": F, "a2": X}, (0, 0, 1, 1)),
        # Dropped is only who still waits, and who is a member.
        ({"a": P, "a2": D, "a3": F, "a4": X}, ended("a", F, "a2", "a3", "a4", "who"), {"a": F}, (0, 1, 2, 1)),
        # A failed one is retried and succeeds, and so does what was dropped behind it.
        ({"a": F, "a2": X}, ended("a", D), {"a": D}, (0, 1, 0, 1)),
        ({"a": D, "a2": X}, ended("a2", D), {"a2": D}, (0, 2, 0, 0)),
        ({"a": D, "a2": X, "a3": X}, ended("a2", F, "a3"), {"a2": F}, (0, 1, 1, 1)),
    ],
)
def test_an_ended_member_is_counted(
    before: dict[str, State], step: BatchStep, changes: dict[str, State], after: tuple[int, int, int, int]
) -> None:
    """BAT-10, BAT-19."""
    counted = after_step(closed(before), before, step)

    assert counted is not None
    assert (changes, after) == (counted.changes, counts(counted.record))
    assert len(before) == counted.record.total


@pytest.mark.parametrize("text", [options(*EVENTS), options(*EVENTS, allow_failures=True)])
@pytest.mark.parametrize(
    ("before", "step"),
    [
        ({"a": D, "b": P}, ended("a", D)),
        ({"a": D, "b": P}, ended("a", F, "b")),
        ({"a": F, "b": P}, ended("a", F, "b")),
        ({"a": P}, ended("b", D)),
        ({"a": P}, ended("b", F, "a")),
        ({}, ended("a", D)),
    ],
)
def test_who_was_counted_or_is_no_member_changes_nothing(before: dict[str, State], step: BatchStep, text: str) -> None:
    """BAT-18."""
    cancelled = closed(before, text, cancelled_at=NOW, cancelled_by="failure")

    assert after_step(cancelled, before, step) is None


@pytest.mark.parametrize(
    ("before", "step", "strict", "lenient"),
    [
        ({"a": P, "b": P}, ended("a", D), ["progress"], ["progress"]),
        ({"a": P, "b": P}, ended("a", F), ["catch"], ["progress", "failure", "catch"]),
        ({"a": P, "b": F}, ended("a", F), ["finally"], ["progress", "failure", "finally"]),
        ({"a": P, "b": F}, ended("a", D), ["progress", "finally"], ["progress", "finally"]),
        ({"a": P, "b": D}, ended("a", D), ["progress", "then", "finally"], ["progress", "then", "finally"]),
        ({"a": P, "b": X}, ended("a", D), ["progress", "finally"], ["progress", "finally"]),
        ({"a": P}, ended("a", F), ["catch", "finally"], ["progress", "failure", "catch", "finally"]),
    ],
)
def test_callbacks_are_due_in_the_order_of_what_happened(
    before: dict[str, State], step: BatchStep, strict: list[str], lenient: list[str]
) -> None:
    """BAT-11, BAT-12, BAT-13, BAT-14."""
    said = {"fired": "c"} if F in before.values() else {}
    found = [
        told(after_step(closed(before, options(*EVENTS, allow_failures=allowed), **said), before, step))
        for allowed in (False, True)
    ]

    assert [strict, lenient] == found


def test_then_and_finally_are_never_due_twice() -> None:
    """BAT-15, BAT-20."""
    retried = after_step(closed({"a": F, "b": D}, fired="cf"), {"a": F}, ended("a", D))
    grown = after_step(closed({"a": D, "b": P}, fired="tf"), {"b": P}, ended("b", D))

    assert [["progress", "then"], ["progress"]] == [told(retried), told(grown)]
    assert ["cft", "tf"] == [each.record.fired for each in (retried, grown) if each]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["progress", "then", "finally"]),
        ({"cancelled_at": NOW, "cancelled_by": "request"}, ["progress", "finally"]),
        ({"adding": True}, ["progress"]),
    ],
)
def test_a_batch_that_is_cancelled_or_still_being_filled_is_not_done(
    fields: dict[str, Any], expected: list[str]
) -> None:
    counted = after_step(closed({"a": P}, **fields), {"a": P}, ended("a", D, at=NOW + 5))

    assert counted is not None
    assert expected == told(counted)
    assert (None if "adding" in fields else NOW + 5) == counted.record.finished_at


@pytest.mark.parametrize("allowed", [False, True])
def test_the_first_failure_cancels_unless_failures_are_allowed(*, allowed: bool) -> None:
    """BAT-12."""
    before = {"a": P, "b": P}
    text = options(*EVENTS, allow_failures=allowed)
    counted = after_step(closed(before, text), before, ended("a", F, at=NOW + 5))

    assert counted is not None
    expected = (None, "") if allowed else (NOW + 5, "failure")
    assert (*expected, FAILURE) == (counted.record.cancelled_at, counted.record.cancelled_by, counted.record.failure)


def test_a_request_to_cancel_outlives_a_failure() -> None:
    asked = closed({"a": P, "b": P}, cancelled_at=NOW - 9, cancelled_by="request")
    counted = after_step(asked, {"a": P}, ended("a", F))

    assert counted is not None
    assert (NOW - 9, "request") == (counted.record.cancelled_at, counted.record.cancelled_by)


def test_the_first_failure_is_the_one_that_is_kept() -> None:
    before = {"a": F, "b": P}
    counted = after_step(closed(before, fired="c", failure="the first"), before, ended("b", F))

    assert counted is not None
    assert "the first" == counted.record.failure


def test_a_revived_batch_is_cancelled_again_by_the_next_failure() -> None:
    revived = closed({"a": P, "b": P}, fired="c", failure=FAILURE)
    counted = after_step(revived, {"a": P}, ended("a", F, at=NOW + 5))

    expected = revived._replace(cancelled_at=NOW + 5, cancelled_by="failure", pending=1, failed=1)
    assert Counted(expected, {"a": F}, ()) == counted


@pytest.mark.parametrize(
    ("before", "members", "changes", "after"),
    [
        ({"a": F, "b": D}, ["a"], {"a": P}, (1, 1, 0, 0)),
        ({"a": F, "a2": X, "b": X}, ["a", "a2"], {"a": P, "a2": P}, (2, 0, 0, 1)),
        ({"a": D, "a2": F, "a3": P}, ["a", "a2", "a3", "who"], {"a2": P}, (2, 1, 0, 0)),
    ],
)
def test_members_that_are_retried_wait_again(
    before: dict[str, State], members: list[str], changes: dict[str, State], after: tuple[int, int, int, int]
) -> None:
    """BAT-15: the batch is not finished while one of them may run."""
    fields: dict[str, Any] = {"cancelled_at": NOW, "cancelled_by": "failure", "finished_at": NOW, "fired": "cfab"}
    counted = after_retry(closed(before, **fields), before, members)

    assert counted is not None
    record = counted.record
    assert (changes, after) == (counted.changes, counts(record))
    assert (None, "", None, "cfa") == (record.cancelled_at, record.cancelled_by, record.finished_at, record.fired)


@pytest.mark.parametrize("before", [{}, {"a": P}, {"a": D}])
def test_a_retry_of_who_has_not_failed_changes_nothing(before: dict[str, State]) -> None:
    assert after_retry(closed({"b": F}, cancelled_by="failure"), before, ["a"]) is None


@pytest.mark.parametrize(
    ("before", "fields", "step", "expected"),
    [
        ({"a": P}, {}, ended("a", D), ["chain: next"]),
        ({"a": P}, {}, ended("a", F), ["chain: catch"]),
        ({"a": P}, {"cancelled_at": NOW, "cancelled_by": "request"}, ended("a", D), []),
        ({"a": P, "b": F}, {"failure": FAILURE, "cancelled_at": NOW}, ended("a", D), ["chain: catch"]),
        # The failed ones are being retried, and the batch was revived for that.
        ({"a": F, "b": F}, {"failure": FAILURE, "fired": "cfa"}, ended("a", D), []),
        ({"a": F, "b": D}, {"failure": FAILURE, "fired": "cfa"}, ended("a", D), ["chain: next"]),
        # It grew after it was finished.
        ({"a": P, "b": D}, {"fired": "tfn"}, ended("a", D), []),
        ({"a": P, "b": D}, {"fired": "tfn"}, ended("a", F), ["chain: catch"]),
    ],
)
def test_the_chain_that_a_batch_is_a_link_of_goes_on_or_hears_of_the_failure(
    before: dict[str, State], fields: dict[str, Any], step: BatchStep, expected: list[str]
) -> None:
    """CHN-13, CHN-14."""
    linked = closed(before, options(chain=chain("next", "last")), **fields)

    assert expected == told(after_step(linked, before, step))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, ["chain: next"]), ({"cancelled_at": NOW, "cancelled_by": "request", "failure": FAILURE}, [])],
)
def test_the_chain_never_hears_of_failures_that_are_allowed(fields: dict[str, Any], expected: list[str]) -> None:
    """CHN-15."""
    before = {"a": P, "b": P}
    linked = closed({"a": P}, options(chain=chain("next"), allow_failures=True), **fields)

    assert expected == told(after_step(linked, before, ended("a", F)))


def test_the_next_link_carries_what_follows_it() -> None:
    counted = after_step(closed({"a": P}, options(chain=chain("next", "last"))), {"a": P}, ended("a", D))

    assert counted is not None
    [push] = counted.pushes
    assert callback("last") == json.loads(push.payload.body)["chain"]["links"]


def test_a_callback_knows_its_batch_and_the_failure() -> None:
    counted = after_step(closed({"a": P, "b": P}), {"a": P}, ended("a", F))

    assert counted is not None
    [push] = counted.pushes
    expected = {"event": "catch", "batch": BATCH, "failure": json.loads(FAILURE)}
    assert ("callbacks", expected) == (push.queue, json.loads(push.payload.body)["callback"])


def test_ids_of_callbacks_follow_from_batch_event_and_member() -> None:
    """Who counts the same step again, because the reply was lost, would push the same ids."""

    def ids(member: str, state: State, batch: str = BATCH) -> list[str]:
        record = closed({"a": P, "b": P}, options(*EVENTS, allow_failures=True))._replace(id=batch)
        counted = after_step(record, {member: P}, ended(member, state))
        return [] if counted is None else [push.payload.id for push in counted.pushes]

    assert ids("a", F) == ids("a", F)
    every = [*ids("a", F), *ids("a", D), *ids("b", F), *ids("b", D), *ids("a", F, "other")]
    # The catch of this batch comes twice: it is about the batch, not about a member.
    assert len(every) - 1 == len(set(every))


def test_a_unique_callback_takes_its_lock_if_that_is_free() -> None:
    link = links.written(
        "connection", "q", 5, {"id": "x", "uuid": "x", "createdAt": NOW, "unique": {"key": "k", "ttl": 9}}
    )
    counted = after_step(
        closed({"a": P}, json.dumps(json.loads(options()) | {"then": [link]})), {"a": P}, ended("a", D)
    )

    assert counted is not None
    [push] = counted.pushes
    assert Push("q", push.payload, 5, Lock("k", push.payload.id, 14, LockRule.SHARE)) == push


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({}, ["then", "finally"]),
        ({"a": D}, ["then", "finally"]),
        ({"a": F}, ["finally"]),
        ({"a": P}, []),
    ],
)
def test_a_batch_without_pending_members_is_finished_when_it_is_closed(
    states: dict[str, State], expected: list[str]
) -> None:
    """BAT-07, CHN-16."""
    counted = after_closing(closed(states, adding=True, failure=FAILURE), NOW + 5)

    assert counted is not None
    assert (expected, {}, False) == (told(counted), counted.changes, counted.record.adding)
    assert (NOW + 5 if expected else None) == counted.record.finished_at
    assert after_closing(counted.record, NOW + 9) is None


@pytest.mark.parametrize(
    ("members", "fresh"),
    [([], []), (["a"], []), (["b", "c"], ["b", "c"]), (["c", "a", "b", "c"], ["c", "b"])],
)
def test_only_members_that_are_new_are_counted(members: list[str], fresh: list[str]) -> None:
    """BAT-32. A batch that was finished is not any more, if there are some."""
    before = closed({"a": D}, finished_at=NOW)
    record, found = after_adding(before, members, {"a": D})

    assert fresh == found
    assert (1 + len(fresh), len(fresh)) == (record.total, record.pending)
    assert (None if fresh else NOW) == record.finished_at
