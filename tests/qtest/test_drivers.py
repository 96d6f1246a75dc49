"""A fake is the same on every driver: in memory, in a file, on a fake redis, and on real servers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import qtest
from qcore import App, Config
from qtest.drivers import PLACES, MissingDriverError
from tests.qtest.signup import Broken, Flaky, Only, Welcome, import_all, ran, sign_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest import QueueFake


@pytest.fixture(params=list(PLACES))
def driver(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        qtest.QueueFake(driver=name)
    except MissingDriverError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    return name


@pytest.fixture
def queue(driver: str) -> Iterator[QueueFake]:
    with qtest.fake(driver=driver) as queue:
        yield queue


def test_jobs_run_in_their_order_at_their_time(queue: QueueFake) -> None:
    sign_up(7)
    queue.assert_pushed(Welcome(7), queue="default")

    assert 1 == queue.run_due().succeeded
    assert [("welcome", 7)] == ran
    assert 60 == queue.run_until_idle().passed
    assert [("welcome", 7), ("mail", 7)] == ran
    queue.assert_empty()


def test_a_job_is_tried_again_after_its_backoff_in_virtual_time(queue: QueueFake) -> None:
    Flaky().dispatch()

    done = queue.run_until_idle()

    assert (4, 1, 16) == (done.processed, done.succeeded, done.passed)
    queue.assert_retried(Flaky, delays=[1, 5, 10])


def test_chains_batches_and_callbacks_run(queue: QueueFake) -> None:
    import_all(["a", "b"])

    queue.run_until_idle()

    expected = [("audit", "a"), ("audit", "b"), ("mail", 1), ("notify", 1, "en"), ("notify", 1, "en"), ("welcome", 1)]
    assert expected == sorted(ran, key=str)


def test_locks_and_failed_jobs_are_kept_and_looked_at(queue: QueueFake) -> None:
    Only().dispatch()
    assert Only().dispatch() is None
    Broken().dispatch()

    queue.run_until_idle(raises=False)

    queue.assert_failed(Broken, error=ValueError)
    assert ["Broken"] == [type(record.job).__name__ for record in queue.failed()]
    queue.assert_no_locks()


def test_nothing_is_left_for_the_next_fake(driver: str) -> None:
    for _ in range(2):
        with qtest.fake(driver=driver) as queue:
            assert Only().dispatch() is not None
            queue.assert_count(1)


def test_connections_of_one_fake_are_two_places(driver: str) -> None:
    app = App(Config(default="one", connections={"one": {"driver": "memory"}, "two": {"driver": "memory"}}))
    with qtest.fake(app, driver=driver) as queue:
        Welcome(1).dispatch()
        Welcome(2).dispatch(connection="two")

        queue.assert_pushed(Welcome(2), connection="two")
        assert (1, 1) == (queue.app.connection("one").size(), queue.app.connection("two").size())
        assert 2 == queue.run_due().succeeded
