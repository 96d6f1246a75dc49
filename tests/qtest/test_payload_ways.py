"""Payload checks: whatever way a job goes into a fake, it is checked, and a refused one leaves nothing behind."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

import qtest
from qcore import App, Config, Job, PayloadError, batch, bulk, chain, closure, dispatch, dispatch_sync, push
from tests.qtest.losing import Grows, Hides
from tests.qtest.signup import Welcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qtest import QueueFake

KEYS = ["base64:" + "A" * 43 + "="]


WAYS: dict[str, Callable[[Job], object]] = {
    "dispatch": lambda job: job.dispatch(),
    "later": lambda job: job.dispatch(delay=60),
    "sync": dispatch_sync,
    "after_response": lambda job: job.dispatch_after_response(),
    "with_options": lambda job: job.with_options(tries=3).dispatch(),
    "bulk": lambda job: bulk([Welcome(1), job]),
    "first link": lambda job: chain(job, Welcome(1)).dispatch(),
    "link": lambda job: chain(Welcome(1), job).dispatch(),
    "catch of a chain": lambda job: chain(Welcome(1)).catch(job).dispatch(),
    "member": lambda job: batch([Welcome(1), job]).dispatch(),
    "member of a chain in a batch": lambda job: batch([Welcome(1), [Welcome(2), job]]).dispatch(),
    "batch in a chain": lambda job: chain(Welcome(1), batch([job])).dispatch(),
    "then": lambda job: batch([Welcome(1)]).then(job).dispatch(),
    "finally": lambda job: batch([Welcome(1)]).finally_(job).dispatch(),
    "sync connection": lambda job: job.dispatch(connection="sync"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_push_is_checked_and_pushes_nothing(way: str, queue_fake: QueueFake) -> None:
    with pytest.raises(PayloadError, match=r"Hides\._user_id would be lost"):
        WAYS[way](Hides(7))

    queue_fake.assert_nothing_pushed()
    queue_fake.assert_nothing_batched()


def test_a_job_that_waits_for_a_commit_is_checked_when_it_is_dispatched(queue_fake: QueueFake) -> None:
    with queue_fake.transaction(), pytest.raises(PayloadError, match="would be lost"):
        Hides(7).dispatch(after_commit=True)


def test_a_job_that_is_performed_is_checked(queue_fake: QueueFake) -> None:
    with pytest.raises(PayloadError, match="would be lost"):
        queue_fake.perform(Hides(7))


@pytest.mark.parametrize("how", ["chain", "batch"])
def test_what_a_running_job_adds_is_checked(how: str, queue_fake: QueueFake) -> None:
    batch([Grows(how)]).dispatch()

    with queue_fake.job_fails(PayloadError, match="would be lost"):
        queue_fake.run_due()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"to": ("a", "b")}, r"data\.to is \('a', 'b'\) \(tuple\): raw data holds"),
        ({"count": {1: "a"}}, r"data\.count has the key 1: raw data has text as keys"),
        ([datetime(2030, 1, 1)], r"data\[0\] is datetime"),  # noqa: DTZ001
        ({"rate": math.nan}, r"data\.rate is nan, which is no number of JSON"),
    ],
)
def test_raw_data_for_a_handler_loses_nothing(data: object, says: str, queue_fake: QueueFake) -> None:
    with pytest.raises(PayloadError, match=says):
        push("checked-mailer", data)

    queue_fake.assert_nothing_pushed()


def test_the_method_of_a_handler_takes_what_a_worker_gives_it(queue_fake: QueueFake) -> None:
    push("checked-mailer", {"to": "ann"})
    with pytest.raises(PayloadError, match=r"Mailer\.send\(self, job, data\) is how a worker calls it"):
        push("checked-mailer@send", {"to": "ann"})

    queue_fake.assert_count(1)


def _made_in_a_function(greeting: str) -> type[Job]:
    class Local(Job):
        def handle(self) -> None:
            Welcome(len(greeting)).dispatch()

    return Local


def test_a_class_of_a_test_function_can_be_pushed(queue_fake: QueueFake) -> None:
    local = _made_in_a_function("hello")
    local().dispatch()
    queue_fake.run_due()

    queue_fake.assert_pushed(Welcome(5))


def test_a_class_that_was_defined_again_gives_no_jobs_of_the_newer_one(queue_fake: QueueFake) -> None:
    earlier, newer = _made_in_a_function("hello"), _made_in_a_function("good morning")

    newer().dispatch()
    with pytest.raises(PayloadError, match="was defined again after this job's"):
        earlier().dispatch()


def test_a_closure_that_no_worker_could_unpickle_is_refused() -> None:
    class Unreadable:
        def __reduce__(self) -> tuple[Any, ...]:
            return _raises, ()

    held = Unreadable()
    with qtest.fake(App(Config(keys=KEYS))) as queue:
        dispatch(lambda: None)
        with pytest.raises(PayloadError, match=r"no worker could read it: .*cannot be unpickled"):
            closure(lambda: held).dispatch()
        queue.assert_count(1)


def _raises() -> None:
    message = "not here"
    raise RuntimeError(message)


def test_an_encrypted_job_is_checked_and_its_values_are_not_shown() -> None:
    class Sealed(Job, encrypted=True):
        def __init__(self, pin: int) -> None:
            self._pin = pin

        def handle(self) -> None:
            pass

    with qtest.fake(App(Config(keys=KEYS))), pytest.raises(PayloadError, match="would be lost") as caught:
        Sealed(4711).dispatch()
    assert "4711" not in str(caught.value)


@pytest.fixture
def unchecked() -> Iterator[QueueFake]:
    with qtest.fake(payload_checks=False) as queue:
        yield queue


def test_checks_can_be_turned_off(unchecked: QueueFake) -> None:
    Hides(7).dispatch()

    unchecked.assert_pushed(Hides)


def test_checks_are_an_ini_setting(outer: pytest.Pytester) -> None:
    outer.makepyfile(
        """
        from qcore import Job

        class Hides(Job):
            def __init__(self, user):
                self._user = user
            def handle(self):
                pass

        def test_it(queue_fake):
            Hides(1).dispatch()
        """
    )

    on = outer.runpytest()
    off = outer.runpytest("-o", "qtest_payload_checks=off")
    wrong = outer.runpytest("-o", "qtest_payload_checks=maybe")

    on.assert_outcomes(failed=1)
    on.stdout.fnmatch_lines(["*Hides._user would be lost*"])
    off.assert_outcomes(passed=1)
    wrong.stdout.fnmatch_lines(["*qtest_payload_checks is one of on, off, got 'maybe'*"])


def test_production_pushes_what_only_tests_compare(tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path))

    assert app.dispatch(Hides(7)) is not None
