"""Every way to dispatch a job, when it is due, and where it goes."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import qcore
from qcore import App, Config, Job, JobDefinitionError, PayloadError, UnknownConnectionError, current, job
from qcore.driver import Inspectable
from qcore.options import Delay, JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

ran: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


class Send(Job):
    def __init__(self, to: object) -> None:
        self.to = to

    def handle(self) -> None:
        ran.append(self.to)


class Urgent(Send, queue="urgent"): ...


@job(queue="mail")
def send_mail(to: str) -> None:
    ran.append(to)


class Names(enum.Enum):
    FAST = "fast"
    OTHER = "other"


@pytest.fixture
def routed(tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    """An App of two connections in memory, each with a queue of its own."""
    connections = {"one": {"driver": "memory", "queue": "first"}, "other": {"driver": "memory", "queue": "second"}}
    app = App(Config(default="one", connections=connections, root=tmp_path), clock=clock)
    with app.activate():
        yield app
    app.close()


def places(app: App) -> list[tuple[str, str]]:
    """Connection and queue of everything that waits."""
    found = []
    for name in app.config.connections:
        driver = app.connection(name).driver
        if isinstance(driver, Inspectable):
            found += [(name, each.queue) for each in driver.counts()]
    return found


ENTRIES: dict[str, Callable[[Job], str | None]] = {
    "job.dispatch": lambda job: job.dispatch(),
    "job.dispatch_if": lambda job: job.dispatch_if(True),  # noqa: FBT003 - a condition
    "job.dispatch_unless": lambda job: job.dispatch_unless(None),
    "job.with_options": lambda job: job.with_options(tries=2).dispatch(),
    "dispatch": qcore.dispatch,
    "dispatch(prepared)": lambda job: qcore.dispatch(job.with_options(tries=2)),
    "dispatch_if": lambda job: qcore.dispatch_if(1, job),
    "dispatch_unless": lambda job: qcore.dispatch_unless("", job),
    "bulk": lambda job: qcore.bulk([job])[0],
    "app.dispatch": lambda job: current.app().dispatch(job),
    "app.bulk": lambda job: current.app().bulk(iter([job]))[0],
    "app.push": lambda job: current.app().push(job),
    "connection.push": lambda job: current.app().connection().push(job, JobOptions()),
}


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_pushes_one_job_and_gives_its_id(entry: str, app: App, work: Callable[..., Stopped]) -> None:
    job_id = ENTRIES[entry](Send("you"))
    [waits] = app.connection().listed()

    assert job_id == waits.payload.id
    assert [] == ran
    work()
    assert ["you"] == ran


@pytest.mark.parametrize("entry", ["job.dispatch_sync", "dispatch_sync", "dispatch_sync(prepared)"])
def test_dispatch_sync_runs_the_job_here_and_now(entry: str, app: App) -> None:
    """From its payload, as a worker would, and without its connection."""
    sent = Send(("a", "tuple"))
    if entry == "job.dispatch_sync":
        sent.dispatch_sync()
    else:
        qcore.dispatch_sync(sent if entry == "dispatch_sync" else sent.with_options(tries=3))

    assert [("a", "tuple")] == ran
    assert 0 == app.connection().size()


@pytest.mark.parametrize("function", [True, False])
@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (True, True),
        (False, False),
        (0, False),
        ("yes", True),
        (lambda job: job.to == "you", True),
        (lambda _: 0, False),
    ],
)
def test_a_job_is_dispatched_if_a_condition_holds(condition: object, *, holds: bool, function: bool, app: App) -> None:
    """DSP-04. A callable is asked with the job."""
    if function:
        pushed = qcore.dispatch_if(condition, Send("you").with_options(tries=3), delay=1)
        not_pushed = qcore.dispatch_unless(condition, Send("you").with_options(tries=3), delay=1)
    else:
        pushed = Send("you").dispatch_if(condition, delay=1)
        not_pushed = Send("you").dispatch_unless(condition, delay=1)

    assert [holds, not holds] == [pushed is not None, not_pushed is not None]
    assert 1 == app.connection().size()


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (None, 0),
        (90, 90),
        (0.25, 0.25),
        (timedelta(minutes=2), 120),
        (datetime.fromtimestamp(1_900_000_000 + 60, UTC), 60),
        (datetime.fromtimestamp(1_900_000_000 - 60, UTC), 0),
        (-5, 0),
    ],
    ids=str,
)
def test_a_job_is_due_after_its_delay_and_not_before(
    delay: Delay | None, seconds: float, app: App, work: Callable[..., Stopped], clock: FrozenClock
) -> None:
    Send("you").dispatch(delay=delay)
    if seconds:
        clock.advance(seconds - 0.001)
        assert work().jobs == 0
        clock.advance(0.001)

    assert work().jobs == 1


@pytest.mark.parametrize("delay", [datetime(2031, 1, 1), "tomorrow", float("nan"), [1]], ids=str)  # noqa: DTZ001
def test_a_delay_that_is_no_moment_is_refused_and_nothing_is_pushed(delay: Any, app: App) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(JobDefinitionError, match="delay"):
        Send("you").dispatch(delay=delay)
    assert 0 == app.connection().size()


def test_the_delay_of_a_class_counts_from_the_dispatch(app: App, clock: FrozenClock) -> None:
    class Later(Send, delay=timedelta(minutes=1)): ...

    clock.advance(100)
    Later("you").dispatch()
    Later("me").dispatch(delay=0)

    assert [0, 60] == [round(each.available_at - clock.now()) for each in app.connection().listed()]


def test_the_call_beats_with_options_beats_the_class_beats_the_route_beats_the_connection(routed: App) -> None:
    class Said(Send, queue="class", connection="one"): ...

    class Silent(Send): ...

    def goes(push: Callable[[], object]) -> tuple[str, str]:
        push()
        [place] = places(routed)
        routed.connection(place[0]).clear(place[1])
        return place

    assert ("one", "first") == goes(lambda: Silent("x").dispatch())
    routed.route(Send, queue="route", connection="other")
    assert ("other", "route") == goes(lambda: Silent("x").dispatch())
    assert ("one", "class") == goes(lambda: Said("x").dispatch())
    prepared = Said("x").with_options(queue="prepared", connection="other")
    assert ("other", "prepared") == goes(prepared.dispatch)
    assert ("one", "call") == goes(lambda: prepared.dispatch(queue="call", connection="one"))
    assert ("one", "call") == goes(lambda: qcore.dispatch(prepared, queue="call", connection="one"))
    assert ("one", "call") == goes(lambda: qcore.bulk([prepared], queue="call", connection="one"))


def test_a_queue_that_is_not_named_is_the_one_of_the_connection_it_goes_to(routed: App) -> None:
    Send("x").dispatch(connection="other")
    Urgent("x").dispatch(connection="other")

    assert [("other", "second"), ("other", "urgent")] == places(routed)


def test_a_connection_without_a_queue_of_its_own_uses_default(app: App) -> None:
    Send("x").dispatch()

    assert ["default"] == [each.queue for each in app.connection().counts()]


def test_members_of_an_enum_are_names(routed: App) -> None:
    """DSP-24."""
    Send("x").dispatch(queue=Names.FAST, connection=Names.OTHER)

    assert [("other", "fast")] == places(routed)


def test_a_route_holds_for_subclasses_and_the_nearest_one_counts(routed: App) -> None:
    class Base(Send): ...

    class Near(Base): ...

    routed.route(Send, queue="sent", connection="other")
    qcore.route(Base, queue="based")
    Send("x").dispatch()
    Near("x").dispatch()

    assert [("other", "based"), ("other", "sent")] == places(routed)


def test_a_route_that_is_said_in_two_steps_is_one(routed: App) -> None:
    routed.route(Send, queue="a")
    routed.route(Send, connection="other")
    Send("x").dispatch()

    assert [("other", "a")] == places(routed)


def test_a_job_function_can_be_routed(routed: App) -> None:
    qcore.route(send_mail, connection="other", queue="ignored: the function says its queue")
    send_mail.dispatch("you")

    assert [("other", "mail")] == places(routed)


@pytest.mark.parametrize("target", [Send("x"), "Send", int, lambda: None])
def test_only_job_classes_and_functions_can_be_routed(target: object, routed: App) -> None:
    with pytest.raises(JobDefinitionError, match="takes a job class or a job function"):
        routed.route(target, queue="a")


def test_an_unknown_connection_lists_what_exists(app: App) -> None:
    with pytest.raises(
        UnknownConnectionError, match=r"no connection 'rabbit'.*there are database, memory, null,.* sync"
    ):
        Send("x").dispatch(connection="rabbit")


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (Send, r"make an instance: Send\(\.\.\.\)"),
        (send_mail, r"write send_mail\.job\("),
        ("Send", "'Send'$"),
        (None, "None$"),
    ],
)
def test_what_is_no_job_is_refused_with_a_way_out(given: Any, hint: str, app: App) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(JobDefinitionError, match=f"a job is an instance of a class derived from Job, got .*{hint}"):
        qcore.dispatch(given)
    with pytest.raises(JobDefinitionError, match=hint):
        qcore.bulk([Send("x"), given])
    assert 0 == app.connection().size()


@pytest.mark.parametrize(
    "push",
    [
        lambda: qcore.dispatch(Send("x"), retries=3),
        lambda: qcore.bulk([Send("x")], retries=3),
        lambda: Send("x").with_options(retries=3),
        lambda: Send("x").with_options(tries=3).dispatch(retries=3),
    ],
)
def test_an_option_that_does_not_exist_is_named(push: Callable[[], object], app: App) -> None:
    with pytest.raises(JobDefinitionError, match="retries is no option of a job; there are queue, connection, delay"):
        push()


def test_the_id_of_a_job_is_the_same_at_every_attempt(app: App, work: Callable[..., Stopped]) -> None:
    ids = []

    class Failing(Send):
        def handle(self) -> None:
            ids.append(qcore.current_delivery().id)
            raise ValueError

    job_id = Failing("x").dispatch()
    assert Failing("x").dispatch(queue="else") != job_id
    work(tries=3)

    assert [job_id] * 3 == ids


def test_changing_a_job_after_its_dispatch_changes_nothing(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-31."""
    to = ["you"]
    sent = Send(to)
    sent.dispatch()
    to.append("me")
    sent.to = "nobody"
    work()

    assert [["you"]] == ran


def test_nothing_is_pushed_when_the_state_cannot_be_written(app: App) -> None:
    with pytest.raises(PayloadError, match=r"Send\.to: object cannot be stored"):
        Send(object()).dispatch()
    assert 0 == app.connection().size()


def test_dispatch_on_the_class_says_to_make_an_instance(app: App) -> None:
    with pytest.raises(JobDefinitionError, match=r"on a class: make an instance: Send\('x'\)\.dispatch\(\)"):
        Send.dispatch("x")  # type: ignore[arg-type]
    assert 0 == app.connection().size()
