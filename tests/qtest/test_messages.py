"""What a failed assertion says: one golden file for every kind of difference.

``QTEST_GOLDEN=write pytest tests/qtest/test_messages.py`` writes them anew; read the diff.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import batch, chain
from qtest import QueueFake, like
from qtest.writing import verbosity
from tests.qtest.scenarios import SCENARIOS, scenario
from tests.qtest.signup import Audit, Broken, Flaky, Login, Only, SendMail, Welcome, import_all, notify, sign_up

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parent / "golden"


@scenario
def never_pushed(queue: QueueFake) -> None:
    queue.assert_pushed(Welcome(7))


@scenario
def others_were_pushed(queue: QueueFake) -> None:
    Audit("login").dispatch()
    queue.assert_pushed(Welcome)


@scenario
def type_changed(queue: QueueFake) -> None:
    SendMail("7").dispatch()
    queue.assert_pushed(SendMail(7))


@scenario
def wrong_queue_and_delay(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    SendMail("7").dispatch(delay=60, queue="default")
    with queue.transaction():
        Audit("x" * 100).dispatch(after_commit=True)
        queue.assert_pushed(like(SendMail, user_id=7), queue="mail", delay=30)


@scenario
def routed_elsewhere(queue: QueueFake) -> None:
    queue.app.route(Welcome, queue="slow")
    Welcome(7).dispatch()
    queue.assert_pushed(Welcome, queue="default")


@scenario
def another_connection(queue: QueueFake) -> None:
    Welcome(7).dispatch(connection="sync")
    queue.assert_pushed(Welcome(7), connection="database")


@scenario
def due_at_another_time(queue: QueueFake) -> None:
    Welcome(7).dispatch(delay=60)
    queue.assert_delayed(Welcome, until=queue.clock.now() + 61)


@scenario
def not_delayed(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_delayed(Welcome)


@scenario
def too_often(queue: QueueFake) -> None:
    sign_up(7)
    sign_up(8)
    queue.assert_pushed_once(Welcome)


@scenario
def too_seldom(queue: QueueFake) -> None:
    sign_up(7)
    sign_up(8)
    queue.assert_pushed(Welcome(7), times=qtest.at_least(2))


@scenario
def pushed_against_expectation(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_not_pushed(like(Welcome, user_id=7))


@scenario
def something_was_pushed(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_nothing_pushed()


@scenario
def another_order(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_pushed_in_order(SendMail, Welcome)


@scenario
def something_in_between(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    Audit("login").dispatch()
    Welcome(2).dispatch()
    queue.assert_pushed_in_order(Welcome(1), Welcome(2), strict=True)


@scenario
def more_than_expected(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_pushed_exactly(Welcome(7))


@scenario
def held_until_commit(queue: QueueFake) -> None:
    with queue.transaction():
        Welcome(7).dispatch(after_commit=True)
        queue.assert_pushed(Welcome(7))


@scenario
def rolled_back(queue: QueueFake) -> None:
    with queue.transaction(commit=False):
        Welcome(7).dispatch(after_commit=True)
    queue.assert_pushed(Welcome(7))


@scenario
def unique_lock_held(queue: QueueFake) -> None:
    Only("a.csv").dispatch()
    Only("a.csv").dispatch(queue="slow")
    queue.assert_pushed(Only, queue="slow")


@scenario
def callback_said_no(queue: QueueFake) -> None:
    Welcome(7).dispatch()
    queue.assert_pushed(Welcome, lambda job: job.user_id > 7)


@scenario
def long_values_are_cut(queue: QueueFake) -> None:
    Audit("a" * 200 + "b" + "c" * 200).dispatch()
    queue.assert_pushed(Audit("a" * 200 + "B" + "c" * 200))


@scenario
def many_jobs_are_cut(queue: QueueFake) -> None:
    for number in range(30):
        Welcome(number).dispatch()
    queue.assert_pushed(Audit)


@scenario
def secrets_are_hidden(queue: QueueFake) -> None:
    Audit("password=hunter2, the rest").dispatch()
    queue.assert_pushed(Audit("password=hunter3, the rest"))


@scenario
def secret_fields_are_hidden(queue: QueueFake) -> None:
    Login("ann", "hunter2").dispatch()
    queue.assert_pushed(Login("bob", "hunter3"))


@scenario
def chain_differs(queue: QueueFake) -> None:
    chain(Welcome(1), SendMail(1), notify.job(1)).dispatch()
    queue.assert_chained([Welcome, like(SendMail, user_id=2), notify])


@scenario
def chain_is_longer(queue: QueueFake) -> None:
    chain(Welcome(1), SendMail(1), notify.job(1)).dispatch()
    queue.assert_chained([Welcome, SendMail])


@scenario
def chain_that_begins_otherwise(queue: QueueFake) -> None:
    chain(Welcome(1), SendMail(1)).dispatch()
    chain(SendMail(2), Welcome(2)).dispatch()
    queue.assert_chained([notify, Welcome])


@scenario
def chain_with_another_batch(queue: QueueFake) -> None:
    chain(Welcome(1), batch([SendMail(1), SendMail(2)])).dispatch()
    queue.assert_chained([Welcome, [SendMail(1), SendMail(3)]])


@scenario
def without_a_chain(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    queue.assert_pushed_with_chain(Welcome, [SendMail])


@scenario
def chained_against_expectation(queue: QueueFake) -> None:
    chain(Welcome(1), SendMail(1)).dispatch()
    queue.assert_not_chained(SendMail)


@scenario
def batch_differs(queue: QueueFake) -> None:
    import_all(["a.csv", "b.csv"])
    queue.assert_batched([Audit("a.csv"), Audit("c.csv"), Audit], name="export")


@scenario
def no_batch(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    queue.assert_batched([Welcome])


@scenario
def failed_job(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_due(raises=False)
    queue.assert_processed(Broken)


@scenario
def failed_with_another_error(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_due(raises=False)
    queue.assert_failed(Broken, error=KeyError)


@scenario
def failed_with_another_message(queue: QueueFake) -> None:
    Broken().dispatch()
    queue.run_due(raises=False)
    queue.assert_failed(Broken, error=ValueError, match="cannot write")


@scenario
def did_not_fail(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    queue.run_due()
    queue.assert_failed(Welcome)


@scenario
def other_delays(queue: QueueFake) -> None:
    Flaky().dispatch()
    queue.run_until_idle()
    queue.assert_retried(Flaky, delays=[1, 5, 20])


@scenario
def other_attempts(queue: QueueFake) -> None:
    Flaky(fails=1).dispatch()
    queue.run_until_idle()
    queue.assert_attempts(Flaky, 3)


@scenario
def not_empty(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_empty()


@scenario
def lock_left(queue: QueueFake) -> None:
    Only("a.csv").dispatch()
    queue.assert_no_locks()


@scenario
def other_events(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    queue.run_due()
    queue.assert_events("pushed", "reserved", "released")


@scenario
def nothing_failed_in_block(queue: QueueFake) -> None:
    Welcome(1).dispatch()
    with queue.job_fails(ValueError, match="boom"):
        queue.run_due()


@scenario
def pushed_in_block(queue: QueueFake) -> None:
    Audit("before").dispatch()
    with queue.no_pushes():
        sign_up(7)


@pytest.mark.queue(clock="2030-01-01T00:00Z")
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_message_is_the_golden_one(name: str, queue_fake: QueueFake) -> None:
    with pytest.raises(AssertionError) as caught:
        SCENARIOS[name](queue_fake)

    told = re.sub(r"\.py:\d+", ".py:LINE", str(caught.value)) + "\n"
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("QTEST_GOLDEN") == "write":
        path.write_text(told)
    assert path.read_text() == told
    assert max(map(len, str(caught.value).splitlines())) <= 80


def test_every_golden_file_has_a_scenario() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(SCENARIOS)


@pytest.fixture
def verbose() -> Iterator[None]:
    verbosity.is_on = True
    yield
    verbosity.is_on = False


def test_verbose_shows_long_values_whole(queue_fake: QueueFake, verbose: None) -> None:
    Audit("a" * 300).dispatch()

    with pytest.raises(AssertionError, match=r"a{300}") as caught:
        queue_fake.assert_pushed(Audit("b" * 300))

    assert "..." not in str(caught.value)


def test_an_address_of_an_object_does_not_reach_a_message(queue_fake: QueueFake) -> None:
    with pytest.raises(AssertionError) as caught:
        queue_fake.assert_pushed(like(Audit, what=object()))

    assert "0x" not in str(caught.value)
