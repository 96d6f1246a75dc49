"""What Laravel's fakes promise, and what they get wrong: here it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Config, Job, batch, chain, closure, find_batch, push
from qcore.driver import Payload
from qtest import like
from tests.qtest.signup import Audit, Only, Reminder, SendMail, Welcome, notify, ran, sign_up

if TYPE_CHECKING:
    from pathlib import Path

    from qtest import QueueFake


def test_the_fake_of_a_block_is_gone_after_it() -> None:
    """TST-02."""
    app = App(Config(default="memory"))
    with qtest.fake(app):
        Welcome(1).dispatch()
    with app.activate():
        Welcome(2).dispatch()

    assert app.connection().size() == 1


def test_faking_anew_begins_with_an_empty_recorder_and_free_locks() -> None:
    """TST-03."""
    for _ in range(2):
        with qtest.fake() as queue:
            Only("a").dispatch()
            queue.assert_count(1)


def test_the_recorded_job_went_through_its_payload(queue_fake: QueueFake) -> None:
    """TST-04."""
    given = Welcome(1)
    given.dispatch(delay=5)

    assert queue_fake.pushed(Welcome)[0].job == given
    assert queue_fake.pushed(Welcome)[0].job is not given


def test_the_connection_is_recorded(queue_fake: QueueFake) -> None:
    """TST-06."""
    Welcome(1).dispatch(connection="memory")

    queue_fake.assert_pushed(Welcome, connection="memory")
    queue_fake.assert_not_pushed(Welcome, connection="database")


def test_a_raw_push_is_a_push(queue_fake: QueueFake) -> None:
    """TST-07."""
    Welcome(1).dispatch()
    payload = queue_fake.app.connection().listed()[0].payload
    queue_fake.app.connection().push_raw(Payload("other", payload.body))

    queue_fake.assert_pushed(Welcome(1), times=2)
    queue_fake.assert_count(2)


def test_a_delayed_push_is_a_push_with_a_delay(queue_fake: QueueFake) -> None:
    """TST-08."""
    sign_up(1)

    queue_fake.assert_pushed(SendMail, delay=60)
    queue_fake.assert_immediate(Welcome)


def test_sizes_are_those_of_the_driver(queue_fake: QueueFake) -> None:
    """TST-09: of a named queue and of the default one, delayed jobs apart."""
    Welcome(1).dispatch()
    Welcome(2).dispatch(queue="default", delay=60)
    SendMail(1).dispatch()

    queue = queue_fake.app.connection()
    assert (queue.size(), queue.size("mail")) == (2, 1)
    assert [(each.queue, each.ready, each.delayed) for each in queue.counts()] == [("default", 1, 1), ("mail", 1, 0)]


def test_what_holds_a_subclass_also_matches_it(queue_fake: QueueFake) -> None:
    """TST-10."""
    Reminder(1).dispatch()

    queue_fake.assert_pushed(SendMail)
    queue_fake.assert_pushed(like(SendMail, user_id=1))
    queue_fake.assert_not_pushed(SendMail, exact=True)
    queue_fake.assert_not_pushed(SendMail(1))


def test_the_message_of_a_wrong_queue_names_it(queue_fake: QueueFake) -> None:
    """TST-10: assertPushedOn does not name the queue."""
    SendMail(1).dispatch()

    with pytest.raises(AssertionError, match=r'on queue "default"(.|\n)*queue +expected "default" +got "mail"'):
        queue_fake.assert_pushed_on("default", SendMail)


def test_a_mixed_chain_matches(queue_fake: QueueFake) -> None:
    """TST-10: classes and objects in one expected chain never match."""
    chain(Welcome(1), SendMail(1), Audit("x")).dispatch()

    queue_fake.assert_pushed_with_chain(Welcome, [SendMail(1), Audit])
    queue_fake.assert_chained([Welcome, SendMail(1), "Audit"])
    for wrong in ([Audit, SendMail(1)], [SendMail(1)], [SendMail, Audit, Audit]):
        with pytest.raises(AssertionError):
            queue_fake.assert_pushed_with_chain(Welcome, wrong)


def test_jobs_with_and_without_a_chain(queue_fake: QueueFake) -> None:
    """TST-32."""
    chain(Welcome(1), SendMail(1)).dispatch()
    Audit("x").dispatch()
    chain(notify.job(1)).dispatch()

    queue_fake.assert_pushed_without_chain(Audit)
    queue_fake.assert_chained([notify])
    queue_fake.assert_not_chained(Audit)
    for job in (Welcome, SendMail):
        with pytest.raises(AssertionError):
            queue_fake.assert_not_chained(job)
    with pytest.raises(AssertionError):
        queue_fake.assert_pushed_without_chain(Welcome)


def test_a_batch_of_other_jobs_is_not_faked(tmp_path: Path) -> None:
    """TST-22: batches are faked whatever was named."""
    app = App(Config(root=tmp_path))
    with qtest.fake(app, fake=[SendMail]) as queue:
        done = batch([Welcome(1)]).dispatch()
        queue.assert_nothing_batched()

    assert app.find_batch(done.id) is not None
    app.close()


def test_callbacks_and_members_of_a_batch_run(queue_fake: QueueFake) -> None:
    """TST-22, TST-24."""
    told: list[str] = []
    started = batch([Audit("a")], name="b").before(lambda each: told.append(each.name)).then(notify.job(1)).dispatch()
    queue_fake.run_due()

    assert (told, ran) == (["b"], [("audit", "a"), ("notify", 1, "en")])
    found = find_batch(started.id)
    assert found is not None
    assert found.finished
    assert [each.name for each in queue_fake.batches()] == ["b"]
    queue_fake.assert_batch_count(1)
    queue_fake.assert_batched(lambda each: each.jobs == [Audit("a")])


def test_callbacks_of_a_batch_are_noted_when_they_are_pushed(queue_fake: QueueFake) -> None:
    """TST-22."""
    batch([Audit("a"), Audit("b")]).progress(notify.job(1)).dispatch()

    queue_fake.run_next_job()

    queue_fake.assert_pushed_once(notify)
    assert queue_fake.clock.next_due() == queue_fake.clock.now()


def test_the_first_job_of_a_chain_keeps_its_own_place(queue_fake: QueueFake) -> None:
    """TST-23."""
    chain(SendMail(1).with_options(delay=7), Welcome(1)).dispatch()

    queue_fake.assert_pushed(SendMail, queue="mail", delay=7)


def test_nothing_chained_means_chains(queue_fake: QueueFake) -> None:
    """TST-22: assertNothingChained is another name for assertNothingDispatched."""
    Welcome(1).dispatch()

    queue_fake.assert_not_chained(Welcome)


def test_a_unique_job_can_be_dispatched_again_when_it_has_run(queue_fake: QueueFake) -> None:
    """TST-25."""
    Only("a").dispatch()
    queue_fake.run_due()

    assert Only("a").dispatch() is not None


def test_closures_are_found_by_their_name() -> None:
    """TST-10: assertClosurePushed."""
    app = App(Config(keys=["base64:" + "A" * 43 + "="]))
    with qtest.fake(app) as queue:
        queue.assert_closure_not_pushed()
        closure(lambda: None, name="sync").dispatch()
        queue.assert_closure_pushed(lambda job: job.name == "sync")
        queue.assert_closure_not_pushed(lambda job: job.name == "other")


class Splits(Job):
    """Makes more of its batch, or ends it."""

    def __init__(self, parts: int) -> None:
        self.parts = parts

    def handle(self) -> None:
        found = self.batch()
        assert found is not None
        if self.parts:
            found.add([Audit(str(number)) for number in range(self.parts)])
        else:
            found.cancel()


@pytest.mark.parametrize(("parts", "total", "is_cancelled"), [(2, 3, False), (0, 1, True)])
def test_a_job_on_its_own_can_be_a_member_of_a_batch(
    queue_fake: QueueFake, parts: int, total: int, *, is_cancelled: bool
) -> None:
    """TST-33: withFakeBatch()."""
    with qtest.interactions(Splits(parts), batch=batch([Splits(parts)], name="split")) as it:
        it.job.handle()
        found = it.job.batch()

    assert found is not None
    assert (found.name, found.total, found.cancelled) == ("split", total, is_cancelled)
    assert len(queue_fake.pushed(Audit)) == parts


def test_a_handler_that_does_not_exist_is_refused_at_once(queue_fake: QueueFake) -> None:
    """TST-07."""
    with pytest.raises(Exception, match="no handler named"):
        push("nowhere", {})
    queue_fake.assert_nothing_pushed()
