"""The contract catches drivers whose locks are broken: each fails the test that is named beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from qcore.driver import LockRule, pending
from qtest.contract import DriverContract
from tests.contract import broken_locks as broken
from tests.contract.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.broken import Broken

Caught = tuple[type["Broken"], "Callable[..., None]", dict[str, Any]]

CAUGHT: list[Caught] = [
    (
        broken.TakesTheLockFirst,
        DriverContract.test_a_push_that_cannot_be_stored_takes_no_lock,
        {"bad": {"ttl": math.inf}},
    ),
    (
        broken.TakesTheLockFirst,
        DriverContract.test_a_push_that_cannot_be_stored_takes_no_lock,
        {"bad": {"delay": math.nan}},
    ),
    (broken.StoresWhatIsRefused, DriverContract.test_a_lock_of_a_live_payload_refuses_others, {"place": "ready"}),
    (broken.StoresWhatIsRefused, DriverContract.test_of_pushes_at_the_same_instant_one_gets_the_lock, {}),
    (broken.RemembersWhatIsRefused, DriverContract.test_a_refused_payload_can_be_pushed_later, {}),
    (broken.RefusesNobody, DriverContract.test_a_lock_of_a_live_payload_refuses_others, {"place": "reserved"}),
    (broken.RefusesNobody, DriverContract.test_of_pushes_at_the_same_instant_one_gets_the_lock, {}),
    (broken.NeverStealsLocks, DriverContract.test_a_lock_of_a_payload_that_is_gone_is_free, {}),
    (broken.NeverStealsLocks, DriverContract.test_what_follows_a_job_may_take_the_lock_of_that_job, {}),
    (broken.StealsFromThoseWhoWait, DriverContract.test_a_lock_of_a_payload_that_waits_for_a_commit_is_held, {}),
    (
        broken.TakesNothingOver,
        DriverContract.test_a_payload_takes_over_the_lock_that_was_kept_for_it,
        {"owner": pending("job"), "rule": LockRule.REFUSE},
    ),
    (broken.LocksForEver, DriverContract.test_a_lock_lives_as_long_as_it_was_given, {"rule": LockRule.SHARE}),
    (broken.KeepsTheOldTimeToLive, DriverContract.test_a_replaced_lock_lives_as_long_as_the_new_one, {}),
    (
        broken.TouchesLocksOfLivePayloads,
        DriverContract.test_a_second_push_of_a_live_id_does_not_touch_the_lock,
        {"rule": LockRule.REFUSE},
    ),
    (broken.RefusesInsteadOfSharing, DriverContract.test_a_shared_push_comes_without_the_lock, {}),
    (broken.SharesInsteadOfReplacing, DriverContract.test_a_replacing_push_takes_the_lock_over, {"owner": "first"}),
    (broken.IgnoresLocksInBulk, DriverContract.test_bulk_leaves_out_what_its_lock_refuses, {}),
    (broken.IgnoresLocksOfEffects, DriverContract.test_what_follows_a_job_takes_its_lock, {"rule": LockRule.REFUSE}),
    (broken.IgnoresLocksOfEffects, DriverContract.test_what_follows_a_job_takes_its_lock, {"rule": LockRule.REPLACE}),
    (broken.UnlocksWhateverIsThere, DriverContract.test_a_lock_in_other_hands_is_not_freed, {"owner": "JOB"}),
    (
        broken.TakesLocksForTheWaiting,
        DriverContract.test_a_lock_can_be_taken_apart_from_its_payload,
        {"owner": "job"},
    ),
    (
        broken.HoldsItAgainstItsOwner,
        DriverContract.test_a_lock_can_be_taken_apart_from_its_payload,
        {"owner": pending("job")},
    ),
    (broken.HoldsItAgainstItsOwner, DriverContract.test_a_lock_that_is_taken_apart_lives_as_long_as_it_was_given, {}),
    (broken.ForgetsUnlocks, DriverContract.test_a_lock_is_freed_with_the_delete, {"owner": "job"}),
    (broken.UnlocksOnlyWhatIsStored, DriverContract.test_a_lock_is_freed_with_the_delete, {"owner": pending("job")}),
    (broken.UnlocksAlways, DriverContract.test_a_stale_failure_frees_no_lock, {}),
    (broken.UnlocksAlways, DriverContract.test_the_same_delete_again_frees_no_lock, {}),
    (broken.UnlocksAlways, DriverContract.test_effects_that_cannot_be_stored_free_no_lock, {}),
    (broken.UnlocksLast, DriverContract.test_what_follows_a_job_may_take_the_lock_of_that_job, {}),
]


@pytest.mark.parametrize(
    ("kind", "test", "arguments"), CAUGHT, ids=[f"{kind.__name__}-{test.__name__}" for kind, test, _ in CAUGHT]
)
def test_a_driver_with_broken_locks_is_caught(
    kind: type[Broken], test: Callable[..., None], arguments: dict[str, Any]
) -> None:
    Suite().run(test, arguments)  # the same test passes on a sound driver

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        Suite(kind).run(test, arguments)
