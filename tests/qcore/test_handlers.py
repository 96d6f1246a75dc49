"""Handler classes: raw data for `fire(job, data)`, ended by the handler itself (behaviour TPQ-01 to TPQ-11)."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from qcore import push
from qcore.app import App
from qcore.config import Config
from qcore.driver import Payload
from qcore.errors import DuplicateJobError, JobDefinitionError, JobError, PayloadError
from qcore.events import Event, JobFailed, JobFailing, JobReleased
from qcore.handlers import HandlerCall, handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.delivery import Delivery
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

heard: list[object] = []
script: dict[str, Callable[[Delivery], object]] = {}


@pytest.fixture(autouse=True)
def _silence() -> None:
    heard.clear()
    script.clear()


def end(job: Delivery) -> None:
    job.delete()


@handler
class Import:
    def fire(self, job: Delivery, data: object) -> None:
        heard.append(data)
        script.get("fire", end)(job)

    def again(self, job: Delivery, data: object) -> None:
        heard.append(("again", data))
        job.delete()

    def failed(self, data: object, error: BaseException) -> None:
        heard.append(("failed", data, str(error)))

    class Nested: ...

    @staticmethod
    def loose(*_: object) -> None:
        raise AssertionError

    def _hidden(self, job: Delivery, data: object) -> None:
        raise AssertionError


IMPORT = f"{__name__}.Import"


@handler(name="old.Import", queue="importQueue", tries=2)
class OldImport:
    def fire(self, job: Delivery, data: object) -> None:
        heard.append((job.get_name(), job.get_queue(), job.attempts(), json.loads(job.get_raw_body())["data"]))
        job.delete()
        heard.append(job.is_deleted())

    def failed(self, data: object) -> None:
        heard.append(("failed", data))


DATA: dict[str, Any] = {"path": "a.csv", "rows": [1, 2.5, None, True], "deep": {"ü": "☃"}}


def test_raw_data_reaches_fire_as_it_was_pushed(app: App, work: Callable[..., Stopped]) -> None:
    """TPQ-02, TPQ-03."""
    job_id = push(IMPORT, DATA)
    body = json.loads(app.connection().listed()[0].payload.body)
    assert (job_id, IMPORT, IMPORT, DATA) == (body["id"], body["job"], body["displayName"], body["data"])

    work()

    assert [DATA] == heard
    assert app.connection().size() == 0


def test_a_name_may_say_the_method(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-13."""
    push(f"{IMPORT}@again", 5, queue="mail")
    assert app.connection().size("mail") == 1
    work(queues=("mail",))
    assert [("again", 5)] == heard


def test_a_handler_has_options_and_the_names_of_think_queue_for_its_job(app: App, work: Callable[..., Stopped]) -> None:
    """TPQ-06: get_raw_body() is JSON text."""
    push("old.Import", {"a": 1})
    assert json.loads(app.connection().listed("importQueue")[0].payload.body)["maxTries"] == 2
    work(queues=("importQueue",))
    assert [("old.Import", "importQueue", 1, {"a": 1}), True] == heard


def test_a_job_that_its_handler_does_not_end_comes_back_after_retry_after(
    app: App, work: Callable[..., Stopped], clock: FrozenClock, events: list[Event]
) -> None:
    """TPQ-04, TPQ-05."""
    script["fire"] = lambda job: heard.append(job.attempts())
    push(IMPORT, "x", tries=0)
    work()
    assert ["x", 1] == heard
    assert [90] == [event.delay for event in events if isinstance(event, JobReleased)]

    clock.advance(app.connection().driver.retry_after - 1)
    work()
    assert ["x", 1] == heard
    clock.advance(1)
    work()
    assert ["x", 1, "x", 2] == heard


def test_a_handler_may_release_its_job(app: App, work: Callable[..., Stopped], clock: FrozenClock) -> None:
    script["fire"] = lambda job: job.release(30)
    push(IMPORT, "x", tries=3)
    work()
    clock.advance(29)
    work()
    assert ["x"] == heard
    clock.advance(1)
    work()
    assert ["x", "x"] == heard


def test_failed_hears_the_data_and_the_error_once(app: App, work: Callable[..., Stopped]) -> None:
    """TPQ-07, TPQ-09."""
    script["fire"] = lambda _: 1 / 0
    push(IMPORT, "x", tries=2)
    work()
    assert ["x", "x", ("failed", "x", "division by zero")] == heard
    [record] = app.failed.list()
    app.failed.retry([record.id])
    script.clear()
    heard.clear()
    work()
    assert ["x"] == heard


def test_failed_of_old_handlers_hears_the_data_only(app: App, work: Callable[..., Stopped]) -> None:
    """TPQ-09."""
    HandlerCall("old.Import", 7).failed(ValueError())
    assert [("failed", 7)] == heard


def test_a_listener_that_returns_false_keeps_a_failing_job(
    app: App, work: Callable[..., Stopped], events: list[Event]
) -> None:
    """TPQ-10."""
    script["fire"] = lambda _: 1 / 0
    app.listen(JobFailing, lambda _: False)
    push(IMPORT, "x")
    work()
    assert ["x"] == heard
    assert app.connection().size() == 1
    assert [] == app.failed.list()
    assert [True] == [event.vetoed for event in events if isinstance(event, JobReleased)]


def test_on_a_sync_connection_a_job_that_is_not_ended_is_an_error(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(Config(default="sync", root=tmp_path), clock=clock)
    script["fire"] = lambda _: None
    told: list[JobFailed] = []
    app.listen(JobFailed, told.append)
    with app.activate(), pytest.raises(JobError, match=r"without job\.delete\(\)"):
        push(IMPORT, "x")
    assert len(told) == 1
    script.clear()
    with app.activate():
        push(IMPORT, "y")
    assert "y" in heard


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nowhere.Import", "no handler named 'nowhere.Import'"),
        (f"{__name__}.Imprt", "did you mean"),
        (f"{IMPORT}@nothing", "no method nothing"),
        (f"{IMPORT}@_hidden", "no method _hidden"),
        ("Import", "no handler named"),
        ("", "name"),
        ("os.path@join", "no handler named"),
        ("..", "no handler named"),
        (f"{IMPORT}@failed", "no method failed"),
        (f"{IMPORT}@mro", "no method mro"),
        (f"{IMPORT}@Nested", "no method Nested"),
        (f"{IMPORT}@loose", "no method loose"),
    ],
)
def test_a_push_to_no_handler_is_refused_at_once(app: App, name: str, reason: str) -> None:
    with pytest.raises(JobDefinitionError, match=reason):
        push(name, 1)
    assert app.connection().size() == 0


def test_a_name_in_a_payload_is_never_imported(app: App, work: Callable[..., Stopped]) -> None:
    """Design section 5."""
    sys.modules.pop("antigravity", None)
    body = {"uuid": "h-1", "displayName": "x", "job": "antigravity.Handler@fly", "data": 1, "id": "h-1"}
    app.connection().push_raw(Payload("h-1", json.dumps(body).encode()))
    work()
    assert "antigravity" not in sys.modules
    assert "no handler named" in app.failed.list()[0].exception


def test_a_module_that_the_pusher_names_is_loaded(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "late_handlers.py").write_text(
        "from qcore import handler\n\n@handler\nclass Late:\n    def fire(self, job, data):\n        job.delete()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert push("late_handlers.Late", None)
    assert app.connection().size() == 1


@pytest.mark.parametrize(
    ("data", "where"), [({"a": [1, {2}]}, r"data\.a\[1\]"), ({1: 2}, "the key 1"), ((1,), "data is"), (b"", "data is")]
)
def test_data_that_is_no_plain_json_is_refused(app: App, data: object, where: str) -> None:
    with pytest.raises(PayloadError, match=where):
        push(IMPORT, data)
    assert app.connection().size() == 0


def test_data_that_holds_itself_is_refused(app: App) -> None:
    data: list[object] = []
    data.append(data)
    with pytest.raises(PayloadError, match="holds itself"):
        push(IMPORT, data)
    assert app.connection().size() == 0


def test_what_is_no_class_cannot_be_a_handler() -> None:
    with pytest.raises(JobDefinitionError, match="over a class"):
        handler(print)  # type: ignore[call-overload]
    with pytest.raises(DuplicateJobError, match=r"taken by .*OldImport"):

        @handler(name="old.Import")
        class Other:
            pass
