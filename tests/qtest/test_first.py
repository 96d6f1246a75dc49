"""A thin slice from end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.qtest.signup import SendMail, Welcome, ran, sign_up

if TYPE_CHECKING:
    from qtest import FrozenClock, QueueFake


def test_a_push_is_seen_and_nothing_runs_until_asked(queue_fake: QueueFake) -> None:
    sign_up(7)

    queue_fake.assert_pushed(Welcome(7))
    assert ran == []


def test_what_is_due_runs(queue_fake: QueueFake) -> None:
    sign_up(7)

    drained = queue_fake.run_due()

    assert (drained.processed, drained.left) == (1, 1)
    assert ran == [("welcome", 7)]


def test_a_delayed_job_runs_when_its_time_has_come(queue_fake: QueueFake, queue_clock: FrozenClock) -> None:
    sign_up(7)

    queue_fake.run_due()
    queue_clock.advance(60)
    queue_fake.run_due()

    assert ran == [("welcome", 7), ("mail", 7)]
    queue_fake.assert_delayed(SendMail, by=60)
