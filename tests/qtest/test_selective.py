"""Fakes that hold only some jobs: every way of a job goes by the one rule, and nothing gets away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Config, Job, QcoreError, batch, bulk, chain, dispatch, dispatch_sync, find_batch, push
from qcore.closures import Closure
from qcore.errors import PayloadError
from qcore.handlers import handler
from qcore.response import after_response
from qtest import ExpectationError, FrozenClock, like
from tests.qtest.losing import Holds
from tests.qtest.signup import Audit, Broken, Only, SendMail, Welcome, notify, plain, ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qtest import QueueFake

KEYS = ["base64:" + "A" * 43 + "="]


class Starts(Job):
    """Dispatches others while it runs."""

    def handle(self) -> None:
        Welcome(5).dispatch()
        SendMail(5).dispatch()


class Adds(Job):
    """Adds to its batch, and to what follows it."""

    def handle(self) -> None:
        found = self.batch()
        if found is not None:
            found.add([Audit("added")])
        self.append_to_chain(Audit("appended"))


@handler(name="selective-mailer")
class Mailer:
    def fire(self, job: object, data: object) -> None:
        ran.append(data)


@handler(name="selective-printer")
class Printer:
    def fire(self, job: object, data: object) -> None:
        ran.append(data)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[App]:
    """An App on a database, whose pushes other processes can read."""
    app = App(Config(root=tmp_path, keys=KEYS), clock=FrozenClock())
    yield app
    app.close()


@pytest.fixture
def only_mail(real: App) -> Iterator[QueueFake]:
    with qtest.fake(real, fake=[SendMail, notify]) as queue:
        yield queue


def _size(app: App) -> int:
    return sum(each.ready + each.delayed + each.reserved for each in app.connection().counts())


@pytest.mark.parametrize(
    ("dispatch_it", "held", "passed"),
    [
        (lambda: batch([Welcome(1)]).then(notify.job(1)).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).then(notify).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).catch(SendMail(1)).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).finally_(SendMail(1)).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).progress(SendMail(1)).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).allow_failures(SendMail(1)).dispatch(), 1, 0),
        (lambda: batch([Welcome(1)]).then(plain.job("x")).dispatch(), 0, 1),
        (lambda: chain(Welcome(1)).catch(SendMail(1)).dispatch(), 1, 0),
        (lambda: chain(Welcome(1)).catch(plain.job("x")).dispatch(), 0, 1),
        (lambda: chain(Welcome(1), batch([Audit("a")]).then(notify)).dispatch(), 1, 0),
        (lambda: batch([chain(Welcome(1)).catch(SendMail(1))]).dispatch(), 1, 0),
        (lambda: batch(each for each in [Welcome(1)]).dispatch(), 1, 0),
        (lambda: batch([Welcome(1), chain(Audit("a"), SendMail(1))]).dispatch(), 2, 0),
    ],
)
def test_a_chain_or_a_batch_is_held_when_a_job_or_a_callback_of_it_is(
    dispatch_it: Callable[[], object], held: int, passed: int, real: App, only_mail: QueueFake
) -> None:
    dispatch_it()

    assert (held, passed) == (len(only_mail.pushed()), _size(real))


def test_a_held_batch_runs_in_the_fake_and_then_its_callbacks(real: App, only_mail: QueueFake) -> None:
    batch([Welcome(1), [Audit("a"), SendMail(1)]], name="import").then(notify.job(1)).finally_(
        plain.job("end")
    ).dispatch()

    only_mail.assert_batched([Welcome(1), [Audit("a"), SendMail(1)]], name="import")
    only_mail.run_due()

    expected = [("welcome", 1), ("audit", "a"), ("mail", 1), ("notify", 1, "en"), "end"]
    assert (expected, 0) == (ran, _size(real))
    only_mail.assert_processed(notify.job(1))
    only_mail.assert_processed(plain)


def test_the_links_of_a_held_chain_run_in_the_fake(real: App, only_mail: QueueFake) -> None:
    chain(Welcome(1), SendMail(1), Audit("a")).dispatch()
    only_mail.run_due()

    assert ([("welcome", 1), ("mail", 1), ("audit", "a")], 0) == (ran, _size(real))


def test_what_a_job_in_the_fake_dispatches_goes_by_the_same_rule(real: App) -> None:
    with qtest.fake(real, fake=[SendMail, Starts]) as queue:
        Starts().dispatch()
        queue.run_due()

        queue.assert_pushed(SendMail(5))
    assert _size(real) == 1


def test_what_is_added_to_a_held_batch_or_chain_stays_with_it(real: App) -> None:
    with qtest.fake(real, fake=[Adds]) as queue:
        batch([Adds()]).dispatch()
        queue.run_due()

        queue.assert_processed(Audit("added"))
        queue.assert_processed(Audit("appended"))
    assert _size(real) == 0


def test_what_is_added_to_a_batch_that_was_let_through_follows_it(real: App, only_mail: QueueFake) -> None:
    started = batch([Welcome(1)]).dispatch()
    started.add([Welcome(2)])
    found = find_batch(started.id)
    assert found is not None
    found.add([Audit("a")])

    assert (3, 3) == (found.total, _size(real))
    only_mail.assert_nothing_pushed()


def test_members_of_a_batch_that_was_let_through_can_be_retried(tmp_path: Path) -> None:
    app = App(Config(default="sync", connections={"sync": {"driver": "memory"}}, root=tmp_path), clock=FrozenClock())
    with qtest.fake(app, fake=[SendMail]):
        started = batch([Broken()]).dispatch()
        app.worker().run_next_job()
        found = find_batch(started.id)
        assert found is not None
        assert found.failed == 1
        found.retry()
    assert app.connection().size() == 1


def test_many_jobs_go_where_each_belongs_in_their_order(real: App, only_mail: QueueFake) -> None:
    ids = bulk([Welcome(1), SendMail(1), SendMail(2), Welcome(2), notify.job(1), plain.job("x")])

    assert [ids[1], ids[2], ids[4]] == [each.id for each in only_mail.pushed()]
    assert [ids[0], ids[3], ids[5]] == [each.payload.id for each in real.connection().listed()]


def test_of_many_jobs_one_that_cannot_be_written_leaves_nothing_anywhere(real: App, only_mail: QueueFake) -> None:
    with pytest.raises(PayloadError, match=r"Holds\.value"):
        bulk([SendMail(1), Welcome(1), Holds(object())])

    only_mail.assert_nothing_pushed()
    assert _size(real) == 0


def test_of_many_jobs_one_that_is_too_large_leaves_nothing_anywhere(real: App, only_mail: QueueFake) -> None:
    with pytest.raises(PayloadError, match="the limit is"):
        bulk([SendMail(1), Welcome(1), Holds("x" * (1 << 20))])

    only_mail.assert_nothing_pushed()
    assert _size(real) == 0


def test_a_job_that_is_let_through_runs_in_place_on_the_real_app(real: App, only_mail: QueueFake) -> None:
    dispatch_sync(Starts())
    with after_response():
        Welcome(1).dispatch_after_response()
        SendMail(1).dispatch_after_response()
        only_mail.assert_held(SendMail)

    assert ran == [("welcome", 1), ("mail", 1)]
    only_mail.assert_pushed_exactly(SendMail(5))
    assert _size(real) == 1


def test_what_is_let_through_waits_for_the_transaction_of_the_test(real: App, only_mail: QueueFake) -> None:
    with only_mail.transaction():
        Welcome(1).dispatch(after_commit=True)
        SendMail(1).dispatch(after_commit=True)
        assert _size(real) == 0
    with only_mail.transaction(commit=False):
        Welcome(2).dispatch(after_commit=True)
        batch([Welcome(3)]).dispatch(after_commit=True)

    assert _size(real) == 1
    only_mail.assert_dispatched_after_commit(SendMail)


def test_the_real_app_finds_its_own_transactions_again(real: App) -> None:
    before = real._transactions
    with qtest.fake(real, fake=[SendMail]) as queue:
        queue.reset()
        assert real._transactions is not before
    assert real._transactions is before


def test_the_lock_of_a_unique_job_is_where_the_job_is(real: App) -> None:
    with qtest.fake(real, passthrough=[like(Only, path="a")]) as queue:
        taken = [Only("a").dispatch(), Only("a").dispatch(), Only("b").dispatch(), Only("b").dispatch()]

        assert [False, True, False, True] == [each is None for each in taken]
        queue.assert_discarded(Only("b"), reason="unique")
        queue.reset()
        assert Only("b").dispatch() is not None
        assert Only("a").dispatch() is None
    assert _size(real) == 1


def test_raw_data_for_a_handler_is_told_apart_by_its_name(real: App) -> None:
    with qtest.fake(real, fake=["selective-mailer"]) as queue:
        push("selective-mailer", {"to": "ann"})
        push("selective-printer", {"page": 1})

        queue.assert_pushed_exactly("selective-mailer")
        with pytest.raises(ExpectationError, match="selective-printer is not held by this fake"):
            queue.assert_not_pushed("selective-printer")
    assert _size(real) == 1
    with qtest.fake(real, passthrough=["selective-mailer"]) as queue:
        queue.assert_not_pushed("selective-printer")
        with pytest.raises(ExpectationError, match="selective-mailer is not held by this fake"):
            queue.assert_not_pushed("selective-mailer")


def test_closures_are_told_apart_as_a_whole(real: App) -> None:
    with qtest.fake(real, passthrough=[Closure]) as queue:
        dispatch(lambda: None)
        Welcome(1).dispatch()

        queue.assert_pushed_exactly(Welcome(1))
        with pytest.raises(ExpectationError, match="Closure is not held"):
            queue.assert_closure_not_pushed()
    assert _size(real) == 1


def test_nothing_is_said_of_what_was_let_through_by_its_fields(real: App) -> None:
    with qtest.fake(real, passthrough=[like(SendMail, user_id=2)]) as queue:
        SendMail(1).dispatch()

        queue.assert_not_pushed(SendMail(3))
        for unknown in (SendMail(2), like(SendMail, user_id=2, subject="hello")):
            with pytest.raises(ExpectationError, match="is not held by this fake"):
                queue.assert_not_pushed(unknown)


@pytest.mark.parametrize("connection", ["database", "memory", "sync", "null"])
@pytest.mark.parametrize(
    "reach",
    [
        lambda app, _: app.dispatch(Welcome(1)),
        lambda app, _: app.bulk([Welcome(1)]),
        lambda app, _: app.chain(Welcome(1)).dispatch(),
        lambda app, _: app.push_data("selective-mailer"),
        lambda app, connection: app.dispatch(Welcome(1), connection=connection),
        lambda app, connection: app.dispatch(Welcome(1), connection=connection, delay=60),
    ],
)
def test_a_push_that_reaches_another_app_is_refused(
    reach: Callable[[App, str], object], connection: str, tmp_path: Path, queue_fake: QueueFake
) -> None:
    app = App(Config(default=connection, root=tmp_path))

    with pytest.raises(QcoreError, match="would reach a real connection"):
        reach(app, connection)
    with app.activate(), pytest.raises(QcoreError, match="would reach a real connection"):
        Welcome(1).dispatch()

    assert ran == []
    assert not (tmp_path / ".qcore").exists()


def test_a_batch_of_another_app_gets_no_members_while_a_fake_holds_everything(tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path))
    started = app.batch([Welcome(1)]).dispatch()

    with qtest.fake(app):
        with pytest.raises(QcoreError, match="would reach a real connection"):
            started.add([Welcome(2)])
        with pytest.raises(QcoreError, match="would reach a real connection"):
            app.batch([Welcome(2)]).dispatch()
    assert app.connection().size() == 1


def test_what_a_test_lets_through_does_not_reach_the_queue_of_the_project(outer: pytest.Pytester) -> None:
    outer.makepyprojecttoml('[tool.qcore.connections.slow]\ndriver = "database"\nqueue = "later"\n')
    outer.makepyfile(
        """
        import pytest
        from pathlib import Path
        from shop import Ship
        import qtest

        @pytest.mark.queue(passthrough=[Ship])
        def test_a_fixture(queue_fake, queue_app):
            Ship().dispatch()
            Ship().dispatch(connection="slow")
            Ship().dispatch_sync()
            assert queue_app.connection().size() == 1
            assert queue_app.connection("slow").size("later") == 1
            assert not Path(".qcore").exists()

        def test_a_block():
            with qtest.fake(passthrough=[Ship]) as queue:
                Ship().dispatch()
                queue.assert_nothing_pushed()
            assert not Path(".qcore").exists()
        """
    )

    outer.runpytest().assert_outcomes(passed=2)
