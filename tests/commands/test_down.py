"""``qcore down`` and ``qcore up``: maintenance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


def test_maintenance_begins_and_ends(cli: Cli) -> None:
    assert "Maintenance until `qcore up`: workers take no jobs.\n" == cli("down").stdout
    assert "Maintenance is over.\n" == cli("up").stdout
    assert "There was no maintenance.\n" == cli("up").stdout


def test_json_is_one_object(cli: Cli) -> None:
    down, limited, up, again = [
        json.loads(cli(*words, "--json").stdout) for words in (["down"], ["down", "--for", "60"], ["up"], ["up"])
    ]

    assert {"signal": "down", "until": None} == down
    assert limited["until"] is not None
    assert [{"signal": "up", "was_down": True}, {"signal": "up", "was_down": False}] == [up, again]


def test_maintenance_with_a_time_says_when_it_ends(cli: Cli) -> None:
    assert cli("down", "--for", "60").stdout.startswith("Maintenance until 2")


@pytest.mark.parametrize("how", ["--once", "--stop-when-empty", "--drain"])
def test_during_maintenance_a_finite_run_runs_nothing_and_says_why(project: Project, cli: Cli, how: str) -> None:
    """WRK-09."""
    cli("dispatch", "Greet", "name=bob")
    cli("down")

    finished = project.run("work", how)

    assert 0 == finished.code
    assert finished.out.endswith("] Paused: maintenance\n")
    assert 1 == len(finished.err.splitlines())
    assert finished.err.endswith("the worker ends although jobs may wait: there is maintenance (qcore up ends it)\n")
    assert (1, 0, 0) == project.counts()


@pytest.mark.parametrize("how", ["--once", "--stop-when-empty"])
def test_force_works_during_maintenance(project: Project, cli: Cli, how: str) -> None:
    """WRK-09."""
    cli("dispatch", "Greet", "name=bob")
    cli("down")

    finished = project.run("work", how, "--force")

    assert (0, "") == (finished.code, finished.err)
    assert "hello bob" in finished.out
    assert "Paused" not in finished.out


def test_a_worker_waits_for_the_end_of_maintenance(project: Project, cli: Cli) -> None:
    cli("down")
    cli("dispatch", "Greet", "name=bob")
    with project.start("work") as worker:
        worker.wait_for("] Paused: maintenance\n")
        cli("up")
        worker.wait_for("Processed: Greet\n")
        worker.process.terminate()
        finished = worker.finish()

    assert 0 == finished.code
    assert finished.out.index("Resumed: maintenance") < finished.out.index("hello bob")
