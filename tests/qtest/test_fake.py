"""The fake: what it holds, what it lets through, and on which drivers it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Config, ConfigError, Job, batch, bulk, chain, dispatch_sync, push
from qcore.handlers import handler
from qcore.response import after_response
from qtest import ExpectationError, FrozenClock, like
from qtest.drivers import PLACES, MissingDriverError, Place
from tests.qtest.signup import Audit, Broken, Flaky, Only, Reminder, SendMail, Welcome, notify, ran, sign_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qtest import QueueFake


class Starts(Job):
    """Dispatches another one while it runs."""

    def handle(self) -> None:
        Welcome(5).dispatch()
        ran.append("starts")


@handler(name="mailer")
class Mailer:
    def fire(self, job: object, data: object) -> None:
        ran.append(data)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[App]:
    """An App on a database, whose pushes other processes can read."""
    app = App(Config(root=tmp_path), clock=FrozenClock())
    yield app
    app.close()


def test_all_connections_are_in_memory_and_keep_their_queues_and_leases(real: App, tmp_path: Path) -> None:
    config = Config(root=tmp_path, connections={"slow": {"driver": "database", "queue": "later", "retry_after": 7}})
    with qtest.fake(App(config)) as queue:
        Welcome(1).dispatch(connection="slow")
        Welcome(2).dispatch(connection="null")
        Welcome(3).dispatch(connection="sync")

        queue.assert_pushed(Welcome(1), connection="slow", queue="later")
        assert queue.app.connection("slow").driver.retry_after == 7
        queue.run_due()
    assert ran == [("welcome", number) for number in (1, 2, 3)]
    assert not (tmp_path / ".qcore").exists()


def test_only_named_jobs_are_held(real: App) -> None:
    with qtest.fake(real, fake=[SendMail]) as queue:
        sign_up(1)
        Reminder(1).dispatch()
        bulk([Welcome(2), SendMail(2)])

        queue.assert_pushed(SendMail, times=3)
        queue.assert_count(3)
    assert real.connection().size() == 2


def test_all_but_named_jobs_are_held(real: App) -> None:
    with qtest.fake(real, passthrough=[Welcome, like(SendMail, user_id=2)]) as queue:
        sign_up(1)
        sign_up(2)

        queue.assert_pushed_exactly(SendMail(1))
    assert (real.connection().size(), real.connection().size("mail")) == (2, 1)


def test_of_the_named_jobs_those_are_held_that_are_not_let_through(real: App) -> None:
    with qtest.fake(real, fake=[SendMail], passthrough=[Reminder]) as queue:
        sign_up(1)
        Reminder(1).dispatch()

        queue.assert_pushed_exactly(SendMail(1))
    assert (real.connection().size(), real.connection().size("mail")) == (1, 1)


def test_what_is_let_through_is_not_known_of_and_asking_is_refused(real: App) -> None:
    with qtest.fake(real, passthrough=[Welcome]) as queue:
        with pytest.raises(ExpectationError, match="Welcome is not held by this fake"):
            queue.assert_not_pushed(Welcome)
        queue.assert_not_pushed(SendMail)
    with qtest.fake(real, fake=[SendMail]) as queue:
        with pytest.raises(ExpectationError, match="Welcome is not held by this fake"):
            queue.assert_pushed(Welcome)
        queue.assert_not_pushed(Reminder)
        queue.assert_nothing_pushed()


def test_chains_and_batches_are_held_when_one_of_their_jobs_is(real: App) -> None:
    with qtest.fake(real, fake=[SendMail]) as queue:
        chain(Welcome(1), SendMail(1)).dispatch()
        batch([Welcome(2), [Audit("x"), SendMail(2)]]).dispatch()
        chain(Welcome(3), batch([SendMail(3)])).dispatch()
        queue.assert_chained([Welcome(1), SendMail(1)])
        queue.assert_batched([Welcome(2), [Audit, SendMail]])
        assert real.connection().size() == 0

        chain(Welcome(4), Audit("4")).dispatch()
        passed = batch([Welcome(5), Welcome(6)]).dispatch()
        queue.assert_batch_count(1)
    assert real.connection().size() == 3
    assert real.find_batch(passed.id) is not None


def test_jobs_of_a_job_that_was_let_through_are_held(tmp_path: Path) -> None:
    app = App(Config(default="sync", root=tmp_path))
    with qtest.fake(app, fake=[Welcome]) as queue:
        Starts().dispatch()
        assert ran == ["starts"]
        queue.assert_pushed(Welcome(5))


def test_a_job_dispatched_sync_runs_and_is_no_push(queue_fake: QueueFake) -> None:
    dispatch_sync(Welcome(1))

    assert ran == [("welcome", 1)]
    queue_fake.assert_dispatched_sync(Welcome(1))
    queue_fake.assert_not_pushed(Welcome)
    queue_fake.assert_nothing_pushed()
    with pytest.raises(AssertionError, match="run by dispatch_sync"):
        queue_fake.assert_pushed(Welcome(1))


def test_a_job_dispatched_after_the_response_is_held_until_then(queue_fake: QueueFake) -> None:
    with after_response():
        Welcome(1).dispatch_after_response()
        queue_fake.assert_held(Welcome)
        queue_fake.assert_dispatched_after_response(Welcome(1))
        assert ran == []

    assert ran == [("welcome", 1)]
    queue_fake.assert_nothing_pushed()
    queue_fake.assert_processed(Welcome)


def test_raw_data_for_a_handler_is_found_by_its_name(queue_fake: QueueFake) -> None:
    push("mailer", {"to": "ann"})

    queue_fake.assert_pushed("mailer", lambda job: job.data == {"to": "ann"})


def test_a_block_that_raises_rolls_back(queue_fake: QueueFake) -> None:
    def in_a_transaction() -> None:
        with queue_fake.transaction():
            Welcome(1).dispatch(after_commit=True)
            raise KeyError

    with pytest.raises(KeyError):
        in_a_transaction()

    queue_fake.assert_discarded(Welcome, reason="rollback")


def test_reset_begins_anew(queue_fake: QueueFake) -> None:
    Only("a").dispatch()
    queue_fake.reset()

    queue_fake.assert_nothing_pushed()
    queue_fake.assert_no_locks()
    assert Only("a").dispatch() is not None


@pytest.mark.parametrize("driver", ["memory", "sqlite"])
def test_the_same_test_runs_on_other_drivers(driver: str, tmp_path: Path) -> None:
    with qtest.fake(driver=driver) as queue:
        sign_up(1)
        Flaky().dispatch()
        Only("a").dispatch()
        batch([Audit("a"), Audit("b")]).then(notify.job(1)).dispatch()
        chain(Welcome(2), SendMail(2)).dispatch()
        with queue.job_fails(ValueError):
            Broken().dispatch()
            queue.run_until_idle()
        queue.assert_retried(Flaky, delays=[1, 5, 10])
        queue.assert_processed(notify)
        queue.assert_pushed(notify.job(1))
        queue.assert_empty()
        queue.assert_no_locks()
    assert list(tmp_path.iterdir()) == []


def test_a_driver_that_does_not_exist_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PLACES, "away", Place(None))
    with pytest.raises(ConfigError, match="there is no driver 'rabbit' for tests; there are memory, sqlite"):
        qtest.QueueFake(driver="rabbit")
    with pytest.raises(MissingDriverError, match="run the tests on memory, sqlite"):
        qtest.QueueFake(driver="away")


def test_the_origin_of_a_push_is_the_line_that_dispatched_it(queue_fake: QueueFake) -> None:
    sign_up(1)
    chain(Welcome(1), SendMail(1)).dispatch()
    queue_fake.run_due()

    origins = [each.origin.rpartition(":")[0] for each in queue_fake.pushed()]
    assert origins == ["tests/qtest/signup.py", "tests/qtest/signup.py", "tests/qtest/test_fake.py", ""]


def test_contexts_look_at_their_block_only(queue_fake: QueueFake) -> None:
    Welcome(1).dispatch()
    with queue_fake.pushes(Welcome, times=1) as found:
        Welcome(2).dispatch()
    with queue_fake.no_pushes():
        pass

    assert [each.job for each in found] == [Welcome(2)]
    with pytest.raises(AssertionError), queue_fake.pushes(Welcome(1)):
        pass


def test_job_fails_lets_other_errors_through(queue_fake: QueueFake) -> None:
    Broken().dispatch()
    with pytest.raises(KeyError), queue_fake.job_fails(ValueError):
        raise KeyError
    with pytest.raises(ValueError, match="cannot read"), queue_fake.job_fails(KeyError):
        queue_fake.run_due()
    Broken().dispatch()
    with queue_fake.job_fails(ValueError, match="cannot read") as failure:
        queue_fake.run_due()
    assert failure.job == Broken()
    assert isinstance(failure.error, ValueError)


def test_an_encrypted_job_is_not_written_into_messages(tmp_path: Path) -> None:
    class Secret(Job, encrypted=True):
        def __init__(self, number: int) -> None:
            self.number = number

        def handle(self) -> None:
            pass

    app = App(Config(root=tmp_path, keys=["0" * 64]))
    with qtest.fake(app) as queue:
        try:
            Secret(4711).dispatch()
        except ConfigError:
            pytest.skip("the key is of another kind")
        with pytest.raises(AssertionError) as caught:
            queue.assert_pushed(SendMail)
    assert "4711" not in str(caught.value)
