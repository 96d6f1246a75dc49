"""``qcore monitor``: how much is on queues, how long it waits, and whether that is too much."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config
from qcore.commands.monitor import Monitor
from qcore.commands.monitored import Limits
from qcore.connections import DriverRow
from qcore.driver import Payload
from qcore.drivers.memory import MemoryDriver
from qcore.drivers.null import NullDriver
from qcore.events import Event, QueueBusy
from qcore.memory import Memory
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from click.testing import Result

    from tests.commands.conftest import Cli, Project


@pytest.fixture
def _jobs(cli: Cli) -> None:
    for words in ([], [], ["--delay", "1000"], ["--queue", "mail"]):
        cli("dispatch", "Greet", "name=bob", *words)


def seen(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.usefixtures("_jobs")
def test_every_queue_is_shown_with_what_it_holds(project: Project) -> None:
    finished = project.run("monitor")

    headings, *rows = finished.out.splitlines()
    assert (0, "") == (finished.code, finished.err)
    assert "CONNECTION QUEUE SIZE READY DELAYED RESERVED OLDEST READY STATUS" == " ".join(headings.split())
    assert [["database", "default", "3", "2", "1", "0"], ["database", "mail", "1", "1", "0", "0"]] == [
        row.split()[:6] for row in rows
    ]
    assert ["OK", "OK"] == [row.split()[-1] for row in rows]


@pytest.mark.usefixtures("_jobs")
def test_a_named_queue_that_holds_nothing_is_shown_with_0(cli: Cli) -> None:
    result = cli("monitor", "empty,mail", "default", "--json")

    assert [("empty", 0, "OK"), ("mail", 1, "OK"), ("default", 3, "OK")] == [
        (each["queue"], each["size"], each["status"]) for each in seen(result)
    ]
    assert {"oldest": None, "ready": 0, "delayed": 0, "reserved": 0, "over": []}.items() <= seen(result)[0].items()


@pytest.mark.usefixtures("_jobs")
@pytest.mark.parametrize(
    ("limit", "code", "status"), [("4", 0, "OK"), ("3", 1, "ALERT"), ("2", 1, "ALERT"), ("0", 0, "OK")]
)
def test_a_queue_that_reaches_the_limit_is_an_alert(cli: Cli, limit: str, code: int, status: str) -> None:
    result = cli("monitor", "default", "--max", limit)

    assert code == result.exit_code
    assert status == result.stdout.splitlines()[1].split()[-1]
    assert (f"default of database: it holds 3 jobs (--max {limit})\n" in result.stdout) is bool(code)


@pytest.mark.usefixtures("_jobs")
def test_a_job_that_is_ready_for_too_long_is_an_alert(project: Project, cli: Cli) -> None:
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        database.execute("UPDATE qcore_jobs SET available_at = available_at - 90000 WHERE queue = 'mail'")
    database.close()

    result = cli("monitor", "--max-wait", "80", "--json")
    told = cli("monitor", "--max-wait", "80").stdout

    assert 1 == result.exit_code
    assert [("default", []), ("mail", ["wait"])] == [(each["queue"], each["over"]) for each in seen(result)]
    assert 90 <= seen(result)[1]["oldest"] < 150
    assert "mail of database: a job is ready for 1m 30s (--max-wait 80)\n" in told
    assert 0 == cli("monitor", "--max-wait", "1000").exit_code


def test_queues_of_several_connections_are_shown(project: Project, cli: Cli) -> None:
    project.write("qcore.toml", "[connections.reports]\ndriver = 'database'\nurl = 'sqlite:///reports.sqlite3'\n")
    cli("dispatch", "Greet", "name=bob", "--connection", "reports")
    cli("dispatch", "Greet", "name=bob", "--connection", "reports", "--queue", "a:b")

    result = cli("monitor", "reports:default,mail", "reports:a:b", "--json")
    everything = cli("monitor", "reports:", "--json")
    other = cli("monitor", "default", "--connection", "reports", "--json")

    expected = [("reports", "default", 1), ("reports", "a:b", 1), ("database", "mail", 0)]
    assert expected == [(each["connection"], each["queue"], each["size"]) for each in seen(result)]
    assert ["a:b", "default"] == [each["queue"] for each in seen(everything)]
    assert [("reports", "default", 1)] == [(each["connection"], each["queue"], each["size"]) for each in seen(other)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["redsi:mail"],
            "there is no connection 'redsi' (the defaults); there are database, memory, null, sync; a queue with a",
        ),
        (["database:a\nb"], r"'a\nb' cannot be a queue name"),
        (["--max", "-1"], "Invalid value for '--max'"),
        (["--max-wait", "soon"], "Invalid value for '--max-wait'"),
        (["--watch", "5"], "--watch is for people at a terminal"),
        (["null:"], "the driver of the connection 'null' cannot count its jobs"),
        (["sync:default"], "the driver of the connection 'sync' cannot count its jobs"),
    ],
)
def test_what_cannot_be_looked_at_ends_with_2_and_one_line(cli: Cli, words: list[str], says: str) -> None:
    result = cli("monitor", *words)

    assert (2, "", 1) == (result.exit_code, result.stdout, result.stderr.count("\n"))
    assert f"error: {says}" in result.stderr


def test_a_connection_that_cannot_be_counted_hides_no_other(cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")

    result = cli("monitor", "null:,default", "--max", "1")

    assert 2 == result.exit_code
    assert "default of database: it holds 1 job (--max 1)\n" in result.stdout
    assert "error: the driver of the connection 'null' cannot count its jobs\n" == result.stderr


def test_a_connection_of_another_process_is_warned_of(cli: Cli) -> None:
    result = cli("monitor", "memory:")

    expected = (
        "warning: the connection 'memory' lives in one process: what others push there cannot be seen from here\n"
    )
    assert (0, "Nothing is on these queues.\n", expected) == (result.exit_code, result.stdout, result.stderr)


def test_listeners_of_the_project_hear_of_an_alert(project: Project, cli: Cli) -> None:
    project.write(
        "shop.py",
        """
        from qcore import App
        from qcore.events import QueueBusy

        app = App.from_configuration()
        app.listen(QueueBusy, print)
        """,
    )
    cli("dispatch", "Greet", "name=bob")

    alert = project.run("--app", "shop:app", "monitor", "default,mail", "--max", "1")

    told = "QueueBusy(connection='database', queue='default', size=1, waited="
    assert (1, 1) == (alert.code, alert.out.count(told))
    assert "over=('size',))" in alert.out
    assert told not in project.run("--app", "shop:app", "monitor", "default").out


def test_jobs_that_cannot_be_imported_hide_no_alert(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")
    project.write("jobs/broken.py", "rhubarb()")

    alert = project.run("monitor", "--max", "1")

    assert 1 == alert.code
    assert alert.err.startswith("warning: ")
    assert alert.err.endswith("; listeners there hear of no alert\n")
    assert 1 == alert.err.count("\n")


def test_an_alert_is_red_on_a_terminal_only(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")

    shown = project.run_on_a_terminal("monitor", "default,mail", "--max", "1")

    assert "\x1b[31mALERT\x1b[0m\n" in shown
    assert "\x1b[32mOK\x1b[0m\n" in shown
    assert "\x1b" not in project.run_on_a_terminal("monitor", "default", "--max", "1", NO_COLOR="1")
    assert "\x1b" not in project.run("monitor", "default", "--max", "1").out


class Sizes(NullDriver):
    """A driver that knows no more than how much it holds."""

    shared = True

    def size(self, queue: str) -> int:
        return {"default": 7}.get(queue, 0)


def app_on(clock: FrozenClock) -> App:
    memory = MemoryDriver(Memory(), clock)
    memory.shared = True
    rows = {"sizes": DriverRow((), lambda *_: Sizes()), "shared": DriverRow((), lambda *_: memory)}
    return App(
        Config(default="shared", connections={name: {"driver": name} for name in rows}), clock=clock, drivers=rows
    )


def test_a_driver_that_only_counts_shows_what_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(app_on(FrozenClock()), {"sizes": ["", "mail"]}, Limits(1000, 0), as_json=False)

    assert 0 == monitor.look()
    assert [["sizes", "mail", "0", "-", "-", "-", "-", "OK"]] == [
        line.split() for line in capsys.readouterr().out.splitlines()[1:]
    ]


def test_a_driver_that_only_counts_shows_its_default_queue(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(app_on(FrozenClock()), {"sizes": [""]}, Limits(7, 0), as_json=True)

    assert 1 == monitor.look()
    found = json.loads(capsys.readouterr().out)
    assert ("default", 7, None, "ALERT") == tuple(found[name] for name in ("queue", "size", "ready", "status"))


def test_a_driver_that_only_counts_cannot_judge_a_wait(capsys: pytest.CaptureFixture[str]) -> None:
    monitor = Monitor(app_on(FrozenClock()), {"sizes": ["mail"]}, Limits(1000, 5), as_json=False)

    assert 2 == monitor.look()
    said = "error: the driver of the connection 'sizes' cannot tell how long its jobs wait: leave --max-wait away\n"
    assert said == capsys.readouterr().err


class Watched(FrozenClock):
    """Goes on by itself, until somebody presses Ctrl-C."""

    def __init__(self, steps: list[Any]) -> None:
        super().__init__()
        self.steps = steps

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        if not self.steps:
            raise KeyboardInterrupt
        self.steps.pop(0)()


def test_a_watch_tells_of_an_alert_once_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Watched([])
    app, told = app_on(clock), list[Event]()
    app.listen(Event, told.append)
    queue = app.connection()

    def push(number: int) -> None:
        queue.driver.push("mail", Payload(str(number), b""))

    clock.steps = [lambda: push(1), lambda: push(2), lambda: queue.clear("mail"), lambda: push(3)]
    code = Monitor(app, {"shared": ["mail"]}, Limits(1, 100), as_json=False).watch(5)

    busy = [(each.size, each.waited, each.over) for each in told if isinstance(each, QueueBusy)]
    assert (1, [(1, 0, ("size",)), (1, 0, ("size",))]) == (code, busy)
    sizes = [line.split()[2] for line in capsys.readouterr().out.splitlines() if line.startswith("shared ")]
    assert ["0", "1", "2", "0", "1"] == sizes
