"""Every delivery has one line for its begin and one for its end, in every style."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, Job, WorkerOptions
from qcore.commands.work_calm import Restless
from qcore.commands.work_lines import Json, Plain, Style, Terminal
from qcore.commands.work_output import Printer, listen
from qcore.errors import DriverError
from qcore.events import (
    JobFailing,
    JobProcessing,
    WorkerPausing,
    WorkerQueuePaused,
    WorkerQueueResumed,
    WorkerResuming,
    WorkerStopping,
)
from qcore.middleware import Release, Skip
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.events import Event

FORTY_TWO_MILLISECONDS = 0.042


class Acts(Job):
    """Does what its name says, in 42 ms."""

    def __init__(self, what: str) -> None:
        self.what = what

    def handle(self) -> None:
        acting.clock.advance(FORTY_TWO_MILLISECONDS)
        acting.do(self)


class Hostile(Exception):  # noqa: N818 - as users do
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Stage:
    """An app whose deliveries are written down."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.app = App(Config(default="memory"), clock=self.clock)
        self.lines: list[str] = []

    def do(self, job: Acts) -> None:
        match job.what:
            case "raise":
                raise ValueError("password=hunter2")
            case "raise much":
                raise ValueError("x" * 1_000_000)
            case "raise hostile":
                raise Hostile
            case "release":
                job.release(5)
            case "fail":
                job.fail("on purpose")
            case "lose":
                self.clock.advance(1000)
                assert self.app.connection().driver.reserve(["default"])
                raise ValueError("late")

    def run(self, what: str, style: Style, **options: Any) -> list[str]:
        listen(self.app, style, self.lines.append, calm=Restless())
        self.app.dispatch(Acts(what))
        self.app.worker(options=WorkerOptions(timeout=0, **options)).run_next_job()
        return self.lines


acting: Stage


@pytest.fixture(autouse=True)
def stage() -> Stage:
    global acting  # noqa: PLW0603 - jobs hold data only, so what they act on is here
    acting = Stage()
    return acting


def last(lines: list[str]) -> dict[str, Any]:
    assert 2 == len(lines)
    found: dict[str, Any] = json.loads(lines[-1])
    return found


CASES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("nothing", {}, {"level": "info", "status": "success"}, "Processed: Acts"),
    ("release", {}, {"level": "info", "status": "released", "delay": 5}, "Released: Acts"),
    (
        "raise",
        {"tries": 2, "backoff": 7},
        {"level": "warning", "status": "released", "delay": 7, "exception": "ValueError"},
        "Released: Acts (ValueError: password=[redacted])",
    ),
    (
        "raise",
        {},
        {"level": "warning", "status": "failed", "message": "password=[redacted]"},
        "Failed: Acts (ValueError: password=[redacted])",
    ),
    (
        "fail",
        {},
        {"status": "failed", "exception": "qcore.errors.ManuallyFailedError", "message": "on purpose"},
        "Failed: Acts (ManuallyFailedError: on purpose)",
    ),
    ("lose", {}, {"level": "warning", "status": "lost", "message": "late"}, "Lost: Acts (ValueError: late)"),
    (
        "raise hostile",
        {},
        {"status": "failed", "message": "(this exception has no readable text)"},
        "Failed: Acts (Hostile: (this exception has no readable text))",
    ),
]


@pytest.mark.parametrize(("what", "options", "expected"), [case[:3] for case in CASES])
def test_every_end_has_its_object(stage: Stage, what: str, options: dict[str, Any], expected: dict[str, Any]) -> None:
    ending = last(stage.run(what, Json(stage.app.redactor), **options))

    assert expected.items() <= ending.items()


@pytest.mark.parametrize(("what", "options", "expected"), [(case[0], case[1], case[3]) for case in CASES])
def test_every_end_has_its_line(stage: Stage, what: str, options: dict[str, Any], expected: str) -> None:
    lines = stage.run(what, Plain(stage.app.redactor, 0), **options)

    assert ["Processing: Acts", expected] == [re.sub(r"^\[.*?\]\[.*?\] ", "", line) for line in lines]


AGAIN = "runs again when its lease is over"


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        (lambda app: Plain(app.redactor, 0), f"Lost: Acts (DriverError: gone away): {AGAIN}"),
        (lambda app: Terminal(app.redactor, 0, colour=False), f"    DriverError: gone away: {AGAIN}"),
        (lambda app: Json(app.redactor), '"message": "gone away", "reason": "not_told", '),
    ],
)
def test_a_job_whose_end_could_not_be_told_is_said_to_run_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, style: Callable[[App], Style], expected: str
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise DriverError("gone away")

    monkeypatch.setattr(stage.app.connection().driver, "delete", gone)
    with pytest.raises(DriverError, match="gone away"):
        stage.run("nothing", style(stage.app))

    assert expected in stage.lines[-1]


def test_a_job_that_is_in_other_hands_is_not_said_to_run_again(stage: Stage) -> None:
    assert AGAIN not in stage.run("lose", Plain(stage.app.redactor, 0))[-1]


def test_a_job_that_is_not_run_is_skipped(stage: Stage) -> None:
    stage.app.listen(JobProcessing, lambda event: event.delivery.delete())

    assert "skipped" == last(stage.run("raise", Json(stage.app.redactor)))["status"]


def test_a_line_names_the_middleware_that_put_a_job_off(stage: Stage) -> None:
    stage.app.middleware.append(Release.when(True, after=65))  # noqa: FBT003 - a condition that holds

    lines = stage.run("nothing", Plain(stage.app.redactor, 0))

    assert lines[-1].endswith("Released: Acts (Release, again in 1m 5s)")


def test_an_object_names_the_middleware_that_skipped_a_job(stage: Stage) -> None:
    stage.app.middleware.append(Skip.when(True))  # noqa: FBT003 - a condition that holds

    ending = last(stage.run("nothing", Json(stage.app.redactor)))

    assert ("skipped", "Skip") == (ending["status"], ending["blocked_by"])


def test_a_job_that_was_kept_from_failing_is_released(stage: Stage) -> None:
    stage.app.listen(JobFailing, lambda _: False)

    ending = last(stage.run("raise", Json(stage.app.redactor)))

    assert ("released", 1) == (ending["status"], ending["delay"])


def test_json_says_when_and_how_long(stage: Stage) -> None:
    ending = last(stage.run("nothing", Json(stage.app.redactor)))

    assert FORTY_TWO_MILLISECONDS == ending["duration"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}[+-]\d\d:\d\d", ending["timestamp"])
    assert not {None, ""} & set(ending.values())


def test_a_terminal_line_fits_even_when_the_name_does_not(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    running, ended = stage.run("nothing", Terminal(stage.app.redactor, 0, colour=False))

    assert running.endswith(" Acts ... RUNNING")
    assert ended.endswith(" Acts ... 42.00ms DONE")


def test_a_long_message_is_cut_in_a_line(stage: Stage) -> None:
    _, line = stage.run("raise much", Plain(stage.app.redactor, 0))

    assert len(line) < 700


def test_a_printer_is_silent_after_nobody_reads() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    heard: list[str] = []

    with os.fdopen(writer, "w") as stream:
        write = Printer(stream, lambda: heard.append("broken"))
        write("one")
        write("two")

    assert ["broken"] == heard


WHO = ("w1", "memory", ("mail",))
TOLD = [
    (WorkerPausing(*WHO, reason="signal"), {"status": "paused", "reason": "signal"}, "Paused: by a signal"),
    (WorkerResuming(*WHO, reason="signal"), {"status": "resumed", "reason": "signal"}, "Resumed: by a signal"),
    (WorkerPausing(*WHO, reason="maintenance"), {"status": "paused", "reason": "maintenance"}, "Paused: maintenance"),
    (WorkerQueuePaused(*WHO, queue="a\nb"), {"status": "paused", "queue": "a\nb"}, r"Paused: queue a\nb"),
    (WorkerQueueResumed(*WHO, queue="mail"), {"status": "resumed", "queue": "mail"}, "Resumed: queue mail"),
    (
        WorkerStopping(*WHO, reason="restart_signal", jobs_processed=7),
        {"status": "stopping", "reason": "restart_signal"},
        "Stopping: told to restart",
    ),
]


@pytest.mark.parametrize(("event", "expected", "line"), TOLD)
def test_what_a_worker_is_told_has_its_line(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, event: Event, expected: dict[str, str], line: str
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    for style in (
        Json(stage.app.redactor),
        Plain(stage.app.redactor, 0),
        Terminal(stage.app.redactor, 0, colour=False),
    ):
        listen(stage.app, style, stage.lines.append, calm=Restless())

    stage.app.events.emit(event)

    as_json, plain, terminal = stage.lines
    known = {"level": "info", "worker": "w1", "connection": "memory", **expected}
    assert known.keys() | {"timestamp"} == json.loads(as_json).keys()
    assert known.items() <= json.loads(as_json).items()
    assert plain.endswith(f"] {line}")
    verb, _, what = line.partition(": ")
    assert f" {what} ..." in terminal
    assert terminal.endswith(f".. {verb.upper()}")
    assert len(terminal) == 70


def test_other_ends_of_a_worker_have_no_line(stage: Stage) -> None:
    listen(stage.app, Plain(stage.app.redactor, 0), stage.lines.append, calm=Restless())

    stage.app.events.emit(WorkerStopping(*WHO, reason="max_jobs", jobs_processed=7))

    assert [] == stage.lines
