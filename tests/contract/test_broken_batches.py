"""The contracts catch broken batches: each driver and store fails the test that is named beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from qcore.batches import State
from qtest.batch_contract import BatchStoreContract
from qtest.contract import DriverContract
from tests.contract import broken_batches as broken
from tests.contract.broken import Broken
from tests.contract.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

Caught = tuple[type[Broken | broken.BrokenStore], "Callable[..., None]", dict[str, Any]]

CAUGHT: list[Caught] = [
    (
        broken.ForgetsTheBatch,
        DriverContract.test_a_member_of_a_batch_is_counted_with_its_delete,
        {"state": State.FAILED},
    ),
    (broken.ForgetsTheBatch, DriverContract.test_a_late_success_is_counted_once, {}),
    (broken.CountsAlways, DriverContract.test_a_refused_delete_counts_nothing, {}),
    (broken.CountsAlways, DriverContract.test_a_member_whose_follow_up_cannot_be_stored_is_not_counted, {}),
    (broken.DeletesThenCounts, DriverContract.test_a_member_whose_callback_cannot_be_stored_stays, {}),
    (broken.TellsTwice, DriverContract.test_a_member_of_a_batch_is_counted_with_its_delete, {"state": State.DONE}),
    (broken.TellsTwice, DriverContract.test_a_late_success_is_counted_once, {}),
    (
        broken.KeepsMembersOfNoBatch,
        DriverContract.test_a_member_of_no_batch_is_deleted_all_the_same,
        {"batch": "unknown", "member": "job"},
    ),
    (
        broken.CountsKnownMembersAgain,
        BatchStoreContract.test_a_member_that_is_known_is_neither_counted_nor_pushed_again,
        {},
    ),
    (
        broken.PushesKnownMembersAgain,
        BatchStoreContract.test_a_member_that_is_known_is_neither_counted_nor_pushed_again,
        {},
    ),
    (broken.CountsBeforeItStores, BatchStoreContract.test_a_member_that_its_lock_refuses_is_not_counted, {}),
    (
        broken.CountsBeforeItStores,
        BatchStoreContract.test_members_that_cannot_be_stored_are_not_counted,
        {"delay": math.inf},
    ),
    (broken.PushesForNobody, BatchStoreContract.test_a_batch_that_is_not_there_takes_nothing, {}),
    (
        broken.CountsDeliveries,
        BatchStoreContract.test_a_member_that_succeeded_or_failed_again_changes_nothing,
        {"first": State.DONE, "again": State.DONE},
    ),
    (broken.CountsStrangers, BatchStoreContract.test_who_is_no_member_is_not_counted, {}),
    (broken.WaitsForTheDropped, BatchStoreContract.test_members_that_will_not_run_do_not_hold_up_finally, {}),
    (broken.CancelsForEveryFailure, BatchStoreContract.test_failures_may_be_allowed, {}),
    (broken.FinishesTooEarly, BatchStoreContract.test_a_batch_that_is_still_being_filled_is_not_finished, {}),
    (
        broken.LeavesEmptyBatchesOpen,
        BatchStoreContract.test_a_batch_whose_members_have_ended_is_finished_by_closing_it,
        {},
    ),
    (
        broken.TellsEveryEnd,
        BatchStoreContract.test_a_finished_batch_that_grows_is_finished_again_without_a_word,
        {},
    ),
    (broken.TellsEveryFailure, BatchStoreContract.test_a_failure_cancels_the_batch_and_is_told_once, {}),
    (broken.IgnoresCancellation, BatchStoreContract.test_a_cancelled_batch_comes_to_its_end_but_not_to_then, {}),
    (broken.CancelsTheFinished, BatchStoreContract.test_a_finished_batch_cannot_be_cancelled, {}),
    (broken.RevivesTheCancelled, BatchStoreContract.test_only_members_that_failed_or_were_dropped_wait_again, {}),
    (
        broken.RemembersMembersOfForgottenBatches,
        BatchStoreContract.test_a_batch_that_is_forgotten_leaves_its_payloads,
        {},
    ),
    (broken.PrunesWhatIsRunning, BatchStoreContract.test_old_batches_are_pruned, {}),
    (broken.LosesUpdates, BatchStoreContract.test_members_that_end_at_the_same_instant_finish_a_batch_once, {}),
]


@pytest.mark.parametrize(
    ("kind", "test", "arguments"), CAUGHT, ids=[f"{kind.__name__}-{test.__name__}" for kind, test, _ in CAUGHT]
)
def test_a_broken_batch_is_caught(
    kind: type[Broken | broken.BrokenStore], test: Callable[..., None], arguments: dict[str, Any]
) -> None:
    Suite().run(test, arguments)  # the same test passes on a sound driver and store

    suite = Suite(kind) if issubclass(kind, Broken) else Suite(batches=kind)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        suite.run(test, arguments)
