"""``qcore clear``: everything goes, so somebody must want it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


@pytest.fixture(autouse=True)
def jobs(cli: Cli) -> None:
    for queue in ("default", "default", "mail", "slow"):
        cli("dispatch", "Fails", "--queue", queue, "--delay", "1000" if queue == "mail" else "0")


def queues(project: Project) -> list[str]:
    app = project.app()
    found = [each.queue for each in app.connection().counts()]
    app.close()
    return found


def test_force_clears_the_default_queue(project: Project) -> None:
    finished = project.run("clear", "--force")

    place = project.root / ".qcore/queue.sqlite3"
    assert (0, f"Removed 2 jobs from [default] of database ({place}).\n", "") == finished
    assert ["mail", "slow"] == queues(project)


def test_several_queues_are_cleared(project: Project, cli: Cli) -> None:
    result = cli("clear", "database", "--queue", "mail, slow,mail", "--force")

    assert result.stdout.startswith("Removed 2 jobs from [mail, slow] of database")
    assert ["default"] == queues(project)


def test_without_a_terminal_it_wants_force(project: Project) -> None:
    finished = project.run("clear")

    assert (2, "") == (finished.code, finished.out)
    assert (
        "error: nobody can be asked whether to remove all jobs: say --force; see qcore clear --help\n" == finished.err
    )
    assert ["default", "mail", "slow"] == queues(project)


@pytest.mark.parametrize(("answer", "left"), [("y\n", ["mail", "slow"]), ("n\n", ["default", "mail", "slow"])])
def test_on_a_terminal_it_asks(project: Project, answer: str, left: list[str]) -> None:
    shown = project.run_on_a_terminal("clear", typed=answer)

    assert "Remove all jobs from [default] of database" in shown
    assert "Traceback" not in shown
    assert left == queues(project)


def test_a_driver_that_cannot_clear_says_so(cli: Cli) -> None:
    result = cli("clear", "null", "--force")

    assert (2, "error: the driver of the connection 'null' cannot clear a queue\n") == (result.exit_code, result.stderr)
