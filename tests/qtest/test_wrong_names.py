"""What a fake queue says of names that it does not have, and of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qtest import QueueFake
from tests.qtest.signup import Welcome

if TYPE_CHECKING:
    from qtest import FrozenClock


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("assert_dispatched", "did you mean assert_pushed?"),
        ("assert_not_dispatched", "did you mean assert_not_pushed?"),
        ("assert_nothing_enqueued", "did you mean assert_nothing_pushed?"),
        ("assert_dispatched_times", "did you mean assert_pushed_times?"),
        ("assert_pushd", "did you mean assert_pushed?"),
        ("assert_executed", "did you mean assert_processed?"),
        ("enqueue", "write job.dispatch()"),
        ("drain", "did you mean run_due() or run_until_idle()?"),
        ("colour", "a fake queue has no attribute 'colour'"),
    ],
)
def test_a_name_that_there_is_not_is_told_the_one_that_may_be_meant(
    name: str, says: str, queue_fake: QueueFake
) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(queue_fake, name)

    assert str(raised.value).endswith(says)


def test_a_fake_that_was_not_entered_says_so() -> None:
    with pytest.raises(AttributeError, match="it is not active, enter it first"):
        QueueFake().assert_pushed(Welcome)


@pytest.mark.queue(clock="2030-01-01T00:00Z")
def test_a_fake_tells_what_it_holds_and_what_time_it_is(queue_fake: QueueFake, queue_clock: FrozenClock) -> None:
    assert "<QueueFake: 0 jobs were pushed, the clock stands at 2030-01-01T00:00:00Z>" == repr(queue_fake)
    Welcome(1).dispatch()
    queue_clock.advance(0.5)
    assert "<QueueFake: 1 job was pushed, the clock stands at 2030-01-01T00:00:00.500000Z>" == repr(queue_fake)
    assert "<QueueFake, not active>" == repr(QueueFake())
