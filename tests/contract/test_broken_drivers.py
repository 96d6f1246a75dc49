"""The contract catches what it is for: each broken driver fails the test that is named beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qtest.contract import DriverContract
from tests.contract import broken, broken_losses
from tests.contract.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable

Caught = tuple[type[broken.Broken], "Callable[..., None]", dict[str, Any]]

CAUGHT: list[Caught] = [
    (broken.LosesOnCrash, DriverContract.test_a_lost_reservation_comes_back, {}),
    (broken.LosesOnCrash, DriverContract.test_a_payload_is_in_exactly_one_place_after_every_move, {}),
    (broken.LosesOnCrash, DriverContract.test_a_released_payload_comes_back, {}),
    (broken.LosesOnCrash, DriverContract.test_what_was_deleted_is_gone, {"call": "success"}),
    (broken.DeliversTwice, DriverContract.test_a_reserved_payload_is_hidden, {}),
    (broken.HandsOutAgain, DriverContract.test_a_pushed_payload_is_reserved_and_after_its_delete_it_is_gone, {}),
    (broken.HandsOutAgain, DriverContract.test_every_payload_goes_to_exactly_one_of_many_threads, {}),
    (broken.TakesNoQueueForAll, DriverContract.test_an_empty_or_unknown_queue_gives_nothing, {}),
    (broken.DeliversTwice, DriverContract.test_a_lease_is_kept_until_its_end, {}),
    (broken.IgnoresDelay, DriverContract.test_a_delayed_payload_comes_when_it_is_due_and_never_early, {"delay": 0.001}),
    (broken.IgnoresDelay, DriverContract.test_a_delay_that_cannot_be_kept_is_refused, {"delay": float("inf")}),
    (
        broken.IgnoresDelay,
        DriverContract.test_what_is_due_first_comes_first_and_ties_come_in_the_order_of_their_pushes,
        {},
    ),
    (broken.IgnoresDelayOfRelease, DriverContract.test_a_released_payload_is_never_early, {}),
    (broken.IgnoresDelayInBulk, DriverContract.test_bulk_keeps_queues_and_delays, {}),
    (broken.ReversesBulk, DriverContract.test_bulk_pushes_all_in_order, {}),
    (
        broken.RoundsTimeDown,
        DriverContract.test_a_fraction_of_a_millisecond_is_never_early,
        {"start": 0.0005, "delay": 1.0002},
    ),
    (
        broken.AcceptsStaleRelease,
        DriverContract.test_an_old_token_can_neither_release_nor_fail_nor_extend,
        {"place": "reserved", "call": "release"},
    ),
    (
        broken.AcceptsStaleExtend,
        DriverContract.test_an_old_token_can_neither_release_nor_fail_nor_extend,
        {"place": "reserved", "call": "extend"},
    ),
    (
        broken.AcceptsStaleFailure,
        DriverContract.test_an_old_token_can_neither_release_nor_fail_nor_extend,
        {"place": "delayed", "call": "fail"},
    ),
    (broken.AcceptsStaleFailure, DriverContract.test_a_reservation_that_was_given_back_rules_no_more, {"call": "fail"}),
    (broken.AcceptsStaleFailure, DriverContract.test_a_stale_failure_has_no_effects, {}),
    (broken.AcceptsStaleFailure, DriverContract.test_a_stale_failure_leaves_no_record, {}),
    (broken.DeletesById, DriverContract.test_a_token_of_an_earlier_life_is_refused, {"call": "success"}),
    (broken.DeletesById, DriverContract.test_a_cleared_id_can_be_pushed_again, {}),
    (broken.RefusesLateSuccess, DriverContract.test_a_late_success_wins_wherever_the_copy_is, {"place": "ready"}),
    (broken.RefusesLateSuccess, DriverContract.test_effects_come_with_a_late_success, {}),
    (broken.RestartsTokens, DriverContract.test_tokens_never_restart_for_an_id, {"ending": "failure"}),
    (broken.ReusesTokens, DriverContract.test_tokens_grow_with_every_reservation, {}),
    (broken.ChangesBytes, DriverContract.test_bytes_come_back_as_they_were_pushed, {"body": b"\xff"}),
    (broken.StarvesLowQueues, DriverContract.test_a_queue_without_due_payloads_does_not_hold_up_those_after_it, {}),
    (broken.IgnoresPriority, DriverContract.test_queues_are_served_by_strict_priority, {}),
    (broken.ServesTheLastFirst, DriverContract.test_first_pushed_is_first_reserved, {}),
    (broken.FoldsQueueNames, DriverContract.test_queue_names_never_mix, {}),
    (
        broken.FoldsQueueNames,
        DriverContract.test_a_queue_of_any_name_holds_its_own_payloads_or_is_refused,
        {"name": "X"},
    ),
    (broken.FoldsQueueNames, DriverContract.test_a_queue_of_any_name_is_shown_under_its_name, {"name": "X"}),
    (broken.TakesNamesForPatterns, DriverContract.test_clearing_a_queue_of_any_name_clears_no_other, {"name": "*"}),
    (broken.MixesQueueParts, DriverContract.test_no_queue_is_a_part_of_another, {"part": "delayed"}),
    (broken.CutsIds, DriverContract.test_an_id_of_any_text_is_the_id_of_one_payload_or_is_refused, {"name": "n" * 201}),
    (broken.CountsReleases, DriverContract.test_a_lost_reservation_comes_back, {}),
    (broken.KeepsTheAttempt, DriverContract.test_a_release_may_give_the_attempt_back, {}),
    (broken.ForgetsTheLease, DriverContract.test_a_lost_reservation_comes_back, {}),
    (broken.ForgetsTheLease, DriverContract.test_it_wakes_when_a_lease_ends, {}),
    (broken.CannotExtend, DriverContract.test_an_extended_lease_ends_when_it_was_said_to, {"seconds": 600}),
    (broken.CannotExtend, DriverContract.test_an_extension_can_be_repeated, {}),
    (broken.ForgetsTheVerdict, DriverContract.test_a_verdict_is_handed_out_until_the_next_release, {}),
    (broken.OverwritesLivePayloads, DriverContract.test_a_second_push_of_a_live_id_changes_nothing, {"place": "ready"}),
    (broken.OverwritesLiveEffects, DriverContract.test_an_effect_whose_id_is_live_changes_nothing, {}),
    (broken.PushesEffectsAlways, DriverContract.test_the_same_delete_again_has_no_effects, {}),
    (broken.PushesEffectsAlways, DriverContract.test_a_stale_failure_has_no_effects, {}),
    (broken.PushesEffectsAlways, DriverContract.test_a_job_may_be_pushed_anew_in_the_step_that_deletes_it, {}),
    (broken.PushesEffectsAlways, DriverContract.test_a_stale_failure_leaves_no_record, {}),
    (broken.LosesEffects, DriverContract.test_effects_come_with_a_delete, {}),
    (broken.LosesEffects, DriverContract.test_a_failed_job_moves_to_the_failed_store_in_one_step, {}),
    (broken.DeletesBeforeItKnows, DriverContract.test_effects_that_cannot_be_stored_leave_the_job, {}),
    (broken.Oversleeps, DriverContract.test_it_wakes_when_a_delayed_payload_becomes_due, {"delay": 2}),
    (broken.Oversleeps, DriverContract.test_it_wakes_for_the_earliest_of_all_queues, {}),
    (broken.NeverWaits, DriverContract.test_it_gives_up_when_the_wait_is_over, {"wait": 3}),
    (broken.NeverWaits, DriverContract.test_it_wakes_when_a_delayed_payload_becomes_due, {"delay": 2}),
    (broken.ClearsOnlyWhatWaits, DriverContract.test_clear_empties_one_queue_wholly, {}),
    (
        broken.CountsOnlyWhatWaits,
        DriverContract.test_size_counts_ready_delayed_and_reserved_payloads_of_one_queue,
        {},
    ),
    (broken.TakesLostForReserved, DriverContract.test_a_lease_that_ran_out_counts_as_ready, {}),
    (broken.ShowsEmptyQueues, DriverContract.test_an_empty_queue_is_not_counted, {}),
    (broken.ForgetsLeasesInNextDue, DriverContract.test_next_due_tells_when_to_look_again, {"place": "reserved"}),
    (broken.MisstatesItsLease, DriverContract.test_it_says_when_a_reserved_payload_comes_back, {}),
    (
        broken_losses.OneReleasePerInstant,
        DriverContract.test_all_that_are_released_to_one_instant_come_back,
        {"delay": 5},
    ),
    (broken_losses.OneEffectPerInstant, DriverContract.test_all_effects_come_however_many_they_are, {"delay": 30}),
    (broken_losses.TwoEffectsAtMost, DriverContract.test_all_effects_come_however_many_they_are, {"delay": 0}),
    (broken_losses.OneOfABulkPerInstant, DriverContract.test_bulk_keeps_all_that_are_due_at_one_instant, {}),
    (broken_losses.StripsBodies, DriverContract.test_bytes_come_back_as_they_were_pushed, {"body": b"body\n"}),
    (broken_losses.StripsBodies, DriverContract.test_bytes_come_back_as_they_were_pushed, {"body": b" \n "}),
    (
        broken_losses.StripsBodiesInBulk,
        DriverContract.test_bytes_of_many_pushes_at_once_come_back_as_they_were,
        {"way": "bulk", "body": b" body "},
    ),
    (broken_losses.GivesUpWhatRanOut, DriverContract.test_a_reservation_that_ran_out_can_still_be_released, {}),
    (broken_losses.GivesUpWhatRanOut, DriverContract.test_a_reservation_that_ran_out_can_still_be_extended, {}),
    (
        broken_losses.ServesTheLostFirst,
        DriverContract.test_a_lost_payload_of_a_low_queue_does_not_come_before_a_high_one,
        {},
    ),
    (broken.HasNotWhatItClaims, DriverContract.test_the_driver_offers_what_it_claims, {}),
]


@pytest.mark.parametrize(
    ("kind", "test", "arguments"), CAUGHT, ids=[f"{kind.__name__}-{test.__name__}" for kind, test, _ in CAUGHT]
)
def test_a_broken_driver_is_caught(
    kind: type[broken.Broken], test: Callable[..., None], arguments: dict[str, Any]
) -> None:
    Suite().run(test, arguments)  # the same test passes on a sound driver

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        Suite(kind).run(test, arguments)


@pytest.mark.parametrize(
    ("test", "arguments"),
    [
        (DriverContract.test_it_wakes_for_a_push_to_any_of_its_queues, {"queue": "low"}),
        (DriverContract.test_it_wakes_for_a_release, {}),
        (DriverContract.test_it_wakes_for_a_lease_that_is_cut_short, {}),
        (DriverContract.test_it_wakes_for_a_push_that_is_due_before_what_it_waits_for, {}),
    ],
)
def test_a_driver_that_sleeps_through_a_change_is_caught(
    monkeypatch: pytest.MonkeyPatch, test: Callable[..., None], arguments: dict[str, Any]
) -> None:
    monkeypatch.setattr("qtest.contract_waiting.PATIENCE", 1)

    with pytest.raises(AssertionError, match="the wait does not end"):
        Suite(broken.SleepsThroughChanges).run(test, arguments)
