"""``qcore pause`` and ``qcore resume``, and the signals that do it to one worker."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


def entries(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def paused(project: Project) -> list[tuple[str | None, str | None]]:
    app = project.app()
    found = [(pause.connection, pause.queue) for pause in app.signals.paused()]
    app.close()
    return found


def test_a_queue_is_paused_and_resumed(project: Project, cli: Cli) -> None:
    """WRK-24."""
    said = cli("pause", "mail").stdout

    assert "Paused the queue mail of database until `qcore resume mail --connection database`.\n" == said
    assert [("database", "mail")] == paused(project)
    assert "Resumed the queue mail of database.\n" == cli("resume", "mail").stdout
    assert [] == paused(project)


def test_without_a_name_it_is_the_default_queue_of_the_connection(project: Project, cli: Cli) -> None:
    project.write("qcore.toml", "[connections.mine]\ndriver = 'null'\nqueue = 'letters'")

    cli("pause")
    cli("pause", "--connection", "mine")

    assert [("database", "default"), ("mine", "letters")] == paused(project)


def test_several_are_paused_with_one_line_each(project: Project, cli: Cli) -> None:
    result = cli("pause", "a, b", "--json")

    assert [("a", None), ("b", None)] == [(each["queue"], each["until"]) for each in entries(result.stdout)]
    assert [("database", "a"), ("database", "b")] == paused(project)


def test_all_queues_of_all_connections_are_paused(project: Project, cli: Cli) -> None:
    assert "Paused all queues of all connections until `qcore resume --all`.\n" == cli("pause", "--all").stdout
    assert [(None, None)] == paused(project)
    assert "Resumed all queues of all connections.\n" == cli("resume", "--all").stdout


def test_what_holds_besides_is_said(cli: Cli) -> None:
    """WRK-24: resuming a queue does not lift the pause of all."""
    cli("pause", "mail")
    cli("pause", "--all")

    assert "Resumed the queue mail of database; all queues are paused (qcore resume --all).\n" == (
        cli("resume", "mail").stdout
    )
    cli("pause", "mail")
    assert "Resumed all queues of all connections; 1 paused by name still (qcore show).\n" == (
        cli("resume", "--all").stdout
    )


def test_what_was_not_paused_is_no_error(cli: Cli) -> None:
    result = cli("resume", "mail")

    assert (0, "There was no pause of the queue mail of database.\n") == (result.exit_code, result.stdout)
    [entry] = entries(cli("resume", "mail", "--json").stdout)
    assert {"signal": "resume", "connection": "database", "queue": "mail", "was_paused": False} == entry


def test_a_pause_with_a_time_says_when_it_ends(project: Project, cli: Cli) -> None:
    said = cli("pause", "mail", "--for", "3600").stdout
    [entry] = entries(cli("pause", "--all", "--for", "3600", "--json").stdout)

    assert said.startswith("Paused the queue mail of database until 2")
    assert {"signal": "pause", "connection": None, "queue": None}.items() <= entry.items()
    app = project.app()
    assert all(pause.until is not None for pause in app.signals.paused())
    app.close()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["pause", "mail", "--all"], "--all means all queues of all connections: name no QUEUE and no --connection"),
        (["resume", "--all", "--connection", "database"], "--all means all queues of all connections"),
        (["pause", "mail", "--connection", "databse"], "there is no connection 'databse'"),
        (["pause", "mail", "--for", "0"], "how long it lasts is a number of seconds above 0, got 0"),
        (["pause", "mail", "--for", "soon"], "Invalid value for '--for': 'soon' is not a number, 0 or more"),
        (["pause", "a\nb"], r"'a\nb' cannot be a queue name"),
        (["down", "--for", "-1"], "Invalid value for '--for'"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_exit_2(project: Project, cli: Cli, words: list[str], line: str) -> None:
    result = cli(*words)

    assert (2, "", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines()))
    assert line in result.stderr
    assert [] == paused(project)


def test_a_command_to_copy_is_one_that_a_shell_understands(cli: Cli) -> None:
    assert "until `qcore resume 'my queue; rm' --connection database`" in cli("pause", "my queue; rm").stdout


# Workers.


@pytest.mark.parametrize("how", ["--once", "--stop-when-empty", "--drain"])
def test_a_finite_run_that_is_paused_runs_nothing_and_says_why(project: Project, cli: Cli, how: str) -> None:
    cli("dispatch", "Greet", "name=bob")
    cli("pause", "--all")

    finished = project.run("work", how, "--force")

    assert 0 == finished.code
    assert finished.out.endswith("] Paused: queue default\n")
    assert 1 == len(finished.err.splitlines())
    said = "] WARNING: the worker ends although jobs may wait: the queue default is paused (see qcore show)\n"
    assert finished.err.endswith(said)
    assert (1, 0, 0) == project.counts()


def test_a_worker_that_was_paused_goes_on(project: Project, cli: Cli) -> None:
    cli("pause")
    with project.start("work", "--json") as worker:
        worker.wait_for('"status": "paused"')
        cli("dispatch", "Greet", "name=bob")
        cli("resume")
        worker.wait_for('"status": "success"')
        worker.process.terminate()
        finished = worker.finish()

    assert ["started", "paused", "resumed", "starting", "success"] == [entry["status"] for entry in finished.entries]
    first = {"level": "info", "worker": "default", "connection": "database", "queue": "default"}
    assert first.items() <= finished.entries[1].items()
    assert "reason" not in finished.entries[1]


def test_one_signal_pauses_a_worker_and_another_lets_it_go_on(project: Project, cli: Cli) -> None:
    """WRK-81; the job in hand does not notice."""
    os.mkfifo(project.root / "go")
    cli("dispatch", "Waits")
    cli("dispatch", "Greet", "name=bob")

    with project.start("work") as worker:
        worker.wait_for("started 1\n")
        worker.process.send_signal(signal.SIGUSR2)
        project.open_gate("go")
        worker.wait_for("] Paused: by a signal\n")
        worker.process.send_signal(signal.SIGCONT)
        worker.wait_for("Processed: Greet\n")
        worker.process.send_signal(signal.SIGUSR2)
        worker.wait_for("] Paused: by a signal\n")
        worker.process.terminate()
        finished = worker.finish()

    assert (0, "") == (finished.code, finished.err)
    places = [
        finished.out.index(text) for text in ("finished\n", "Processed: Waits", "Paused:", "Resumed:", "hello bob")
    ]
    assert sorted(places) == places
