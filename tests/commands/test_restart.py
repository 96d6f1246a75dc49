"""``qcore restart``: every worker finishes its job and leaves."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

JOBS = """
    from qcore import Job

    class Gated(Job):
        def __init__(self, gate: str) -> None:
            self.gate = gate

        def handle(self) -> None:
            print("started", flush=True)
            with open(self.gate) as gate:
                gate.read()
            print("finished", flush=True)
"""


def test_two_workers_finish_their_jobs_and_leave(project: Project, cli: Cli) -> None:
    """WRK-08."""
    project.write("jobs/gated.py", JOBS)
    for gate in ("one", "two"):
        os.mkfifo(project.root / gate)
        cli("dispatch", "Gated", f"gate={gate}")

    with project.start("work", "--sleep", "1000") as first, project.start("work", "--json") as second:
        first.wait_for("started\n")
        second.wait_for('"status": "starting"')
        restarted = project.run("restart")
        for gate in ("one", "two"):
            project.open_gate(gate)
        ended = [first.finish(), second.finish()]

    assert (0, "All workers that run now leave after their job.\n", "") == restarted
    assert [0, 0] == [each.code for each in ended]
    assert "finished\n" in ended[0].out
    assert "Processed: Gated" in ended[0].out
    assert ended[0].out.splitlines()[-1].endswith("] Stopping: told to restart")
    assert "started\nfinished\n" == ended[1].err
    assert ["started", "starting", "success", "stopping"] == [entry["status"] for entry in ended[1].entries]
    assert "restart_signal" == ended[1].entries[-1]["reason"]
    assert (0, 0, 0) == project.counts()


def test_workers_that_wait_leave_too_and_new_ones_stay(project: Project, cli: Cli) -> None:
    with project.start("work", "--sleep", "1000") as old:
        cli("dispatch", "Greet", "name=old")
        old.wait_for("Processed: Greet")
        cli("restart")
        assert 0 == old.finish().code

    with project.start("work") as new:
        cli("dispatch", "Greet", "name=new")
        new.wait_for("Processed: Greet")
        new.process.terminate()
        assert "Stopping" not in new.finish().out


def test_a_restart_while_a_worker_imports_its_jobs_means_that_worker(project: Project, cli: Cli) -> None:
    """It may have read the old files: it leaves before it runs anything."""
    os.mkfifo(project.root / "importing")
    project.write("jobs/slow_import.py", "print('importing', flush=True)\nopen('importing').read()\n")
    with project.start("work") as worker:
        worker.wait_for("importing\n")
        project.write("jobs/slow_import.py", "")
        cli("dispatch", "Greet", "name=bob")
        cli("restart")
        project.open_gate("importing")
        finished = worker.finish()

    assert 0 == finished.code
    assert "hello" not in finished.out
    assert (1, 0, 0) == project.counts()


def test_json_is_one_object(cli: Cli) -> None:
    assert {"signal": "restart"} == json.loads(cli("restart", "--json").stdout)


def test_where_nobody_would_hear_it_there_is_an_error(project: Project) -> None:
    """WRK-08: it does not do nothing."""
    project.write("qcore.toml", "default = 'memory'")

    for words in (["restart"], ["pause"], ["pause", "--all"], ["resume", "mail"], ["down"], ["up"]):
        finished = project.run(*words)

        assert (2, "") == (finished.code, finished.out)
        assert (
            "error: no worker would hear of it: the store lives in the memory of this process; let `store` in the "
            "configuration name a connection that processes share, such as one with the driver database\n"
        ) == finished.err


def test_a_worker_on_a_shared_connection_warns_of_a_store_that_is_not(project: Project) -> None:
    project.write("qcore.toml", "store = 'memory'")

    finished = project.run("work", "--once")

    assert 0 == finished.code
    assert finished.err.startswith("warning: restart, pause, maintenance, unique jobs and limits hold in this process")
    assert 1 == len(finished.err.splitlines())
    assert "" == project.run("work", "--once", "--json").err


def test_a_worker_that_is_alone_anyway_does_not_warn_of_its_store(project: Project) -> None:
    project.write("qcore.toml", "default = 'memory'")

    assert "restart, pause" not in project.run("work", "--once").err


@pytest.mark.parametrize("command", ["restart", "pause", "down", "resume", "up"])
def test_on_a_terminal_what_is_told_names_its_store(project: Project, cli: Cli, command: str) -> None:
    """So that the wrong folder is seen; what a program reads stays one line, or JSON."""
    place = f"Store {project.root}/.qcore/queue.sqlite3\n"

    assert project.run_on_a_terminal(command).startswith(place)
    assert "Store" not in project.run_on_a_terminal(command, "--json")
    assert "Store" not in cli(command).stdout
