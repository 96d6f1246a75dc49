"""Who listens hears, in order; who does not costs nothing and disturbs nobody."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from qcore import events as module
from qcore.driver import Payload
from qcore.events import (
    Event,
    Events,
    JobEnded,
    JobFailed,
    JobFailing,
    JobLost,
    JobProcessed,
    JobQueued,
    JobQueueing,
    JobReleased,
    JobSkipped,
    Looping,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def events() -> Events:  # not those of an App
    return Events()


def queued() -> JobQueued:
    return JobQueued("memory", "default", None, Payload("id", b""), 0)


def _note(notes: list[int], number: int, _: Event) -> None:
    notes.append(number)


def _answer(answer: object, _: Event) -> object:
    return answer


def test_a_listener_hears_the_events_of_its_class_and_no_others(events: Events) -> None:
    heard: list[Event] = []
    events.listen(JobQueued, heard.append)
    event = queued()
    events.emit(event)
    events.emit(JobQueueing("memory", "default", None, Payload("id", b""), 0))
    events.emit(Looping("worker", "memory", ("default",)))

    assert [event] == heard


def test_queueing_and_queued_are_two_events(events: Events) -> None:
    """Who counts one does not count the other."""
    heard: list[Event] = []
    events.listen(JobQueueing, heard.append)
    events.emit(queued())

    assert [] == heard
    assert not events.wants(JobQueued)


def test_a_listener_to_a_base_class_hears_all_that_derives_from_it(events: Events) -> None:
    heard: list[Event] = []
    events.listen(Event, heard.append)
    events.emit(queued())
    events.emit(Looping("worker", "memory", ("default",)))

    assert [JobQueued, Looping] == [type(event) for event in heard]


def test_every_ending_is_heard_by_who_listens_to_endings() -> None:
    endings = {JobProcessed, JobSkipped, JobReleased, JobFailed, JobLost}

    assert endings == {each for each in vars(module).values() if isinstance(each, type) and JobEnded in each.__bases__}


def test_listeners_are_called_in_the_order_in_which_they_came(events: Events) -> None:
    order: list[int] = []
    for number in range(3):
        events.listen(JobQueued, partial(_note, order, number))
    events.emit(queued())

    assert [0, 1, 2] == order


def test_a_listener_that_raises_is_logged_and_changes_nothing(events: Events, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(_: Event) -> None:
        message = "listener trouble"
        raise ValueError(message)

    events.listen(JobQueued, broken)
    events.listen(JobQueued, heard.append)

    assert events.emit(queued()) is True
    assert 1 == len(heard)
    [record] = caplog.records
    assert ("qcore", logging.ERROR) == (record.name, record.levelno)
    assert "a listener of JobQueued raised; the job goes on" in caplog.text
    assert "listener trouble" in caplog.text


def test_an_interrupt_passes_through_a_listener(events: Events) -> None:
    def interrupted(_: Event) -> None:
        raise KeyboardInterrupt

    events.listen(JobQueued, interrupted)

    with pytest.raises(KeyboardInterrupt):
        events.emit(queued())


@pytest.mark.parametrize(("answers", "goes_on"), [((None, 0, ""), True), ((None, False, True), False), ((), True)])
def test_only_false_is_a_no(answers: tuple[object, ...], events: Events, *, goes_on: bool) -> None:
    for answer in answers:
        events.listen(Looping, partial(_answer, answer))

    assert goes_on is events.emit(Looping("worker", "memory", ("default",)))


def test_every_listener_is_asked_also_after_a_no(events: Events) -> None:
    heard: list[Event] = []
    events.listen(JobQueued, lambda _: False)
    events.listen(JobQueued, heard.append)
    events.emit(queued())

    assert 1 == len(heard)


def test_a_listener_can_end(events: Events) -> None:
    heard: list[str] = []

    def listener(_: Event) -> None:
        heard.append("twice")

    first, second = events.listen(JobQueued, listener), events.listen(JobQueued, listener)
    first()
    first()  # once more changes nothing
    events.emit(queued())
    assert ["twice"] == heard
    second()
    events.emit(queued())

    assert ["twice"] == heard
    assert not events.wants(JobQueued)


def test_a_listener_can_end_itself_while_it_is_called(events: Events) -> None:
    heard: list[str] = []
    ends: list[Callable[[], None]] = []

    def once(_: Event) -> None:
        ends.pop()()
        heard.append("once")

    ends.append(events.listen(JobQueued, once))
    events.listen(JobQueued, lambda _: heard.append("always"))
    events.emit(queued())
    events.emit(queued())

    assert ["once", "always", "always"] == heard


def test_nobody_listens_at_first(events: Events) -> None:
    assert not events.wants(JobQueued)
    assert not events.wants(JobFailing)
    events.listen(Event, lambda _: None)
    assert events.wants(JobQueued)


def test_events_are_equal_when_class_and_fields_are() -> None:
    assert queued() == queued()
    assert queued() != JobQueued("redis", "default", None, Payload("id", b""), 0)
    assert queued() != JobQueueing("memory", "default", None, Payload("id", b""), 0)
    assert {queued()} == {queued(), queued()}


def test_an_event_shows_its_fields() -> None:
    assert "Looping(worker='w', connection='memory', queues=('default',))" == repr(Looping("w", "memory", ("default",)))


def test_a_listener_that_exits_ends_nothing() -> None:
    events = module.Events()
    events.listen(module.JobPopping, lambda _: sys.exit(3))

    assert events.emit(module.JobPopping("memory", ("default",))) is True
