"""The push side of a connection: hooks, events, many jobs at once, limits, and what its driver can do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore import App, Config, Job, JobDefinitionError, PayloadError, Prepared, UnsupportedError, payload
from qcore.connections import DriverRow
from qcore.driver import Payload
from qcore.drivers.memory import MemoryDriver
from qcore.events import Event, JobProcessing, JobQueued, JobQueueing
from qcore.memory import Memory
from qcore.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from qcore.driver import Push
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


@dataclass(frozen=True)
class Send(Job):
    to: object

    def handle(self) -> None: ...


class Counting(MemoryDriver):
    """Tells how it was called."""

    def __init__(self, clock: FrozenClock) -> None:
        super().__init__(Memory(), clock)
        self.calls: list[tuple[str, list[str]]] = []

    def push(self, queue: str, payload: Payload, *, delay: float = 0) -> None:
        self.calls.append(("push", [queue]))
        super().push(queue, payload, delay=delay)

    def bulk(self, pushes: Iterable[Push]) -> None:
        pushes = list(pushes)
        self.calls.append(("bulk", [push.queue for push in pushes]))
        super().bulk(pushes)


@pytest.fixture
def counted(tmp_path: Path, clock: FrozenClock) -> App:
    connections = {"one": {"driver": "counting"}, "two": {"driver": "counting"}}
    drivers = {"counting": DriverRow((), lambda *_: Counting(clock))}
    return App(Config(default="one", connections=connections, root=tmp_path), clock=clock, drivers=drivers)


def bodies(app: App) -> list[dict[str, Any]]:
    return [json.loads(each.payload.body) for each in app.connection().listed()]


# Many at once.


def test_many_jobs_are_pushed_in_one_step_for_each_connection(counted: App) -> None:
    """DSP-11."""
    jobs = [Send(n).with_options(connection="two" if n % 2 else "one", queue=f"q{n // 4}") for n in range(6)]
    counted.bulk(jobs)

    one, two = (counted.connection(name).driver for name in ("one", "two"))
    assert isinstance(one, Counting)
    assert isinstance(two, Counting)
    assert [("bulk", ["q0", "q0", "q1"])] == one.calls
    assert [("bulk", ["q0", "q0", "q1"])] == two.calls


def test_many_jobs_keep_their_order_and_so_do_their_ids(counted: App, app: App) -> None:
    ids = app.bulk([Send(n) for n in range(5)])
    assert ids == [each.payload.id for each in app.connection().listed()]
    assert [0, 1, 2, 3, 4] == [body["data"]["command"]["to"] for body in bodies(app)]

    mixed = counted.bulk([Send(n).with_options(connection="two" if n % 2 else "one") for n in range(4)])
    waiting = {
        each.payload.id: json.loads(each.payload.body)["data"]["command"]["to"]
        for name in ("one", "two")
        for each in counted.connection(name).listed()
    }
    assert [0, 1, 2, 3] == [waiting[job_id] for job_id in mixed]


def test_nothing_is_pushed_when_one_of_many_cannot_be_written(counted: App) -> None:
    """Neither to its own connection nor to another."""
    jobs: list[Job | Prepared] = [Send(1), Send(2).with_options(connection="two"), Send(object())]
    told: list[Event] = []
    counted.listen(Event, told.append)

    with pytest.raises(PayloadError, match=r"Send\.to: "):
        counted.bulk(jobs)

    assert [0, 0] == [counted.connection(name).size() for name in ("one", "two")]
    assert [] == told


def test_no_jobs_are_no_push(app: App, events: list[Event]) -> None:
    assert [] == app.bulk([])
    assert [] == events


def test_every_one_of_many_has_its_own_options(app: App, clock: FrozenClock) -> None:
    qcore.bulk([Send(1), Send(2).with_options(delay=60, tries=5)], queue="bulk")

    first, second = app.connection().listed("bulk")
    assert [0, 60] == [round(each.available_at - clock.now()) for each in (first, second)]
    assert [None, 5] == [json.loads(each.payload.body)["maxTries"] for each in (first, second)]


# Hooks.


def test_a_hook_before_the_push_can_drop_a_job(app: App, events: list[Event]) -> None:
    asked = []

    def hook(job: Job, connection: str, queue: str) -> bool | None:
        asked.append((job, connection, queue))
        return False if job == Send("spam") else None

    app.before_push(hook)

    assert Send("spam").dispatch() is None
    assert len(app.bulk([Send("spam"), Send("ham")], queue="q")) == 1
    assert [(Send("spam"), app.config.default, "default"), (Send("ham"), app.config.default, "q")] == asked[::2]
    assert [JobQueueing, JobQueued] == [type(event) for event in events]


@pytest.mark.parametrize(("answer", "pushed"), [(False, 0), (None, 1), (True, 1), (0, 1)])
def test_a_job_can_refuse_its_own_dispatch(answer: Any, pushed: int, app: App) -> None:  # noqa: ANN401 - of any type
    """DSP-14. Only False does."""

    class Choosy(Send):
        def prepare_for_dispatch(self) -> bool | None:
            return answer  # type: ignore[no-any-return]

    assert bool(pushed) == (Choosy("x").dispatch() is not None)
    assert pushed == app.connection().size()


def test_what_a_job_prepares_is_stored(app: App) -> None:
    class Preparing(Job):
        to = "nobody"

        def prepare_for_dispatch(self) -> None:
            self.to = "you"

        def handle(self) -> None: ...

    Preparing().dispatch()

    assert {"to": "you"} == bodies(app)[0]["data"]["command"]


def test_a_payload_hook_adds_fields_that_stay(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-32: merged in order, seen by events, there at every attempt and after a retry."""
    seen: list[object] = []

    class Failing(Send):
        def handle(self) -> None:
            raise ValueError

    app.payload_using(lambda connection, queue, _: {"traceId": f"{connection}/{queue}", "step": 1})
    app.payload_using(lambda _c, _q, body: {"step": body["step"] + 1})
    app.payload_using(lambda _c, _q, _body: None)
    app.listen(JobQueued, lambda event: seen.append(json.loads(event.payload.body)["traceId"]))
    app.listen(JobProcessing, lambda event: seen.append(event.delivery.body and event.delivery.body.raw["step"]))
    job_id = Failing("x").dispatch(queue="q")
    work(tries=2, queues=("q",))
    app.payload_using(lambda *_: {"traceId": "another", "step": 9})
    app.failed.retry([str(job_id)])
    work(queues=("q",))

    place = f"{app.config.default}/q"
    assert [place, 2, 2, place, 2] == seen


def test_a_payload_hook_cannot_change_who_the_job_is(app: App) -> None:
    app.payload_using(lambda *_: {"uuid": "x", "id": "x", "job": "x", "data": {}, "displayName": "Renamed"})
    job_id = Send("you").dispatch()

    [body] = bodies(app)
    assert (job_id, job_id, "qcore:call", {"to": "you"}) == (
        body["uuid"],
        body["id"],
        body["job"],
        body["data"]["command"],
    )
    assert body["displayName"] == "Renamed"


@pytest.mark.parametrize(
    "bad", [{"maxTries": "3"}, {"displayName": None}, {"timeout": -1}, {"note": object()}, {"note": float("nan")}]
)
def test_a_payload_hook_cannot_write_what_no_worker_could_read(bad: dict[str, Any], app: App) -> None:
    app.payload_using(lambda *_: bad)

    with pytest.raises(PayloadError):
        Send("you").dispatch()
    assert 0 == app.connection().size()


# Events.


def test_a_push_is_told_before_and_after(app: App, events: list[Event]) -> None:
    sizes: list[int] = []
    app.listen(JobQueueing, lambda _: sizes.append(app.connection().size()))
    app.listen(JobQueued, lambda _: sizes.append(app.connection().size()))
    sent = Send("you")
    job_id = sent.dispatch(delay=2.5)

    [waits] = app.connection().listed()
    fields = (app.config.default, "default", sent, waits.payload, 2.5)
    assert [JobQueueing(*fields), JobQueued(*fields)] == events
    assert (job_id, [0, 1]) == (waits.payload.id, sizes)


def test_a_raw_push_is_told_without_a_job(app: App, events: list[Event]) -> None:
    raw = Payload("id", b"\x00 anything")
    app.connection().push_raw(raw, "raw", delay=1)

    fields = (app.config.default, "raw", None, raw, 1)
    assert [JobQueueing(*fields), JobQueued(*fields)] == events
    assert [raw] == [each.payload for each in app.connection().listed("raw")]


def test_a_push_that_the_driver_refuses_is_not_told_as_done(app: App, events: list[Event]) -> None:
    app.connection().driver.push = None  # type: ignore[assignment, method-assign] # broken on purpose

    with pytest.raises(TypeError):
        Send("you").dispatch()
    assert [JobQueueing] == [type(event) for event in events]


# What a payload may be.


def test_the_limits_of_payloads_are_settings(tmp_path: Path) -> None:
    app = App(Config(default="memory", payload={"max_bytes": 1000, "max_depth": 3}, root=tmp_path))
    with app.activate():
        assert Send([["x" * 500]]).dispatch()
        with pytest.raises(PayloadError, match=r"Send takes \d+ bytes, the limit is 1000.*max_bytes"):
            Send("x" * 1000).dispatch()
        with pytest.raises(PayloadError, match=r"Send\.to\[0\]\[0\]: is nested too deeply"):
            Send([[[]]]).dispatch()
    assert 1 == app.connection().size()


def test_the_default_limits_are_a_mebibyte_and_64_levels(app: App) -> None:
    deep: list[Any] = []
    for _ in range(62):
        deep = [deep]

    assert Send(deep).dispatch()
    assert Send("x" * ((1 << 20) - 500)).dispatch()
    with pytest.raises(PayloadError, match="nested too deeply"):
        Send([deep]).dispatch()
    with pytest.raises(PayloadError, match="1048576"):
        Send("x" * (1 << 20)).dispatch()


@pytest.mark.parametrize(
    ("method", "answer", "rule"),
    [
        ("retry_until", lambda _: "tomorrow", "aware datetime"),
        ("retry_until", lambda _: 1.9e12, "seconds since 1970"),
        ("retry_until", lambda _: True, "aware datetime"),
        ("display_name", lambda _: "", "text"),
        ("display_name", lambda _: 3, "text"),
        ("tags", lambda _: "words", "list of words"),
        ("tags", lambda _: [1], "list of words"),
    ],
)
def test_a_method_of_a_job_that_answers_nonsense_is_named_at_dispatch(
    method: str, answer: Callable[[Job], object], rule: str, app: App
) -> None:
    confused = type("Confused", (Job,), {method: answer, "handle": lambda _: None})

    with pytest.raises(PayloadError, match=rf"Confused\.{method}\(\) is .*{rule}"):
        confused().dispatch()
    assert 0 == app.connection().size()


def test_a_naive_retry_until_is_refused(app: App) -> None:
    class Naive(Send):
        def retry_until(self) -> datetime:
            return datetime(2031, 1, 1)  # noqa: DTZ001 - that is what is refused

    with pytest.raises(PayloadError, match=r"Naive\.retry_until\(\).* has no time zone"):
        Naive("x").dispatch()


def test_retry_until_is_asked_at_dispatch(app: App) -> None:
    class Until(Send):
        def retry_until(self) -> datetime:
            return datetime(2031, 1, 1, tzinfo=UTC)

    Until("x").dispatch()
    assert datetime(2031, 1, 1, tzinfo=UTC).timestamp() == bodies(app)[0]["retryUntil"]


# What the driver can do.


def test_a_queue_can_be_counted_shown_and_cleared(app: App) -> None:
    app.bulk([Send(1), Send(2)], queue="q")

    assert (2, 0) == (app.connection().size("q"), app.connection().size())
    assert ["q"] == [each.queue for each in app.connection().counts()]
    assert 1 == len(app.connection().listed("q", limit=1))
    assert (2, 0) == (app.connection().clear("q"), app.connection().size("q"))


@pytest.mark.parametrize("ask", ["size", "clear", "counts", "listed"])
def test_what_a_driver_cannot_do_is_said(ask: str, app: App) -> None:
    with pytest.raises(UnsupportedError, match="the driver of the connection 'null' cannot"):
        getattr(app.connection("null"), ask)()


@pytest.mark.parametrize("name", ["", "a,b", " x"])
def test_a_queue_name_that_cannot_be_one_is_refused_in_a_raw_push(name: str, app: App) -> None:
    with pytest.raises(JobDefinitionError, match="cannot be a queue name"):
        app.connection().push_raw(Payload("id", b"{}"), name or "\n")


def test_a_body_is_written_for_an_id_that_exists(app: App) -> None:
    body = app.connection().body_of(Send("you"), JobOptions(tries=3), "the-id")

    assert ("the-id", 3) == (payload.decode(body, app.codec).id, json.loads(body)["maxTries"])
