"""``qcore work`` as a real process: its exit codes, and what it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

# Exit codes.


def test_once_runs_one_job_and_ends_with_0(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")
    cli("dispatch", "Greet", "name=eve")

    finished = project.run("work", "--once")

    assert (0, "") == (finished.code, finished.err)
    assert "hello bob" in finished.out
    assert (1, 0, 0) == project.counts()


def test_once_ends_with_0_when_there_is_nothing_to_do(project: Project) -> None:
    assert (0, "", "") == project.run("work", "--once")


@pytest.mark.parametrize("how", ["--once", "--stop-when-empty", "--drain"])
@pytest.mark.parametrize("job", ["Fails", "FailsOnce"])
def test_a_finite_run_in_which_a_job_raised_ends_with_1(project: Project, cli: Cli, how: str, job: str) -> None:
    cli("dispatch", job)

    assert 1 == project.run("work", how).code


def test_exit_zero_ends_with_0_though_a_job_failed(project: Project, cli: Cli) -> None:
    cli("dispatch", "Fails")

    assert 0 == project.run("work", "--once", "--exit-zero").code
    assert ["ValueError: no such thing"] == project.failures()


def test_a_run_that_is_not_finite_ends_with_0_though_a_job_failed(project: Project, cli: Cli) -> None:
    cli("dispatch", "Fails")

    assert 0 == project.run("work", "--max-jobs", "1").code


def test_too_much_memory_ends_with_12_after_the_first_job(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob")
    cli("dispatch", "Greet", "name=eve")

    finished = project.run("work", "--memory", "1")

    assert 12 == finished.code
    assert "the worker ends: it uses more than its 1 MB of memory (--memory)" in finished.err
    assert (1, 0, 0) == project.counts()


def test_a_wrong_option_ends_with_2(project: Project) -> None:
    finished = project.run("work", "--tries", "many")

    assert (2, "") == (finished.code, finished.out)
    assert (
        "error: Invalid value for '--tries': 'many' is not a valid integer range; see qcore work --help\n"
        == finished.err
    )


def test_a_module_that_does_not_import_is_one_line_and_exit_2(project: Project) -> None:
    path = project.write("jobs/broken.py", "import json\n\nrhubarb()\n")

    finished = project.run("work", "--once")

    assert (2, "") == (finished.code, finished.out)
    expected = (
        f"cannot import 'jobs.broken' (the job modules in {project.root}): NameError: name 'rhubarb' is not defined"
    )
    assert f"error: {expected} ({path}, line 3)\n" == finished.err


def test_a_database_that_cannot_be_made_is_one_line_and_exit_2(project: Project) -> None:
    project.write("file", "a file, not a folder")
    project.write("qcore.toml", "[connections.database]\nurl = 'sqlite:///file/queue.sqlite3'")

    finished = project.run("work")

    assert (2, "") == (finished.code, finished.out)
    assert f"error: cannot make the folder of {project.root}/file/queue.sqlite3: " in finished.err
    assert 1 == len(finished.err.splitlines())


# What it runs.


def test_drain_waits_for_delayed_jobs(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob", "--delay", "1")

    finished = project.run("work", "--drain")

    assert 0 == finished.code
    assert "hello bob" in finished.out


def test_stop_when_empty_leaves_delayed_jobs(project: Project, cli: Cli) -> None:
    cli("dispatch", "Greet", "name=bob", "--delay", "1000")

    assert (0, "", "") == project.run("work", "--stop-when-empty")
    assert (0, 1, 0) == project.counts()


def test_queues_are_worked_on_in_the_order_that_is_given(project: Project, cli: Cli) -> None:
    for queue in ("low", "high", "other", "low", "high"):
        cli("dispatch", "Greet", f"name={queue}", "--queue", queue)

    finished = project.run("work", "--queue", "high, low", "--stop-when-empty")

    greeted = [line for line in finished.out.splitlines() if line.startswith("hello")]
    assert ["hello high", "hello high", "hello low", "hello low"] == greeted


def test_stop_when_empty_for_and_max_time_end_an_idle_worker(project: Project) -> None:
    assert 0 == project.run("work", "--stop-when-empty-for", "0.1").code
    assert 0 == project.run("work", "--max-time", "0.1", "--daemon").code


@pytest.mark.parametrize(
    ("said", "delay"),
    [
        (("--backoff", "5,10"), 5),
        (("--delay", "7"), 7),
        (("--backoff", "5", "--delay", "7"), 7),
        (("--backoff", "5,10", "--delay", "7"), 5),
        ((), 3),
    ],
)
def test_tries_and_backoff_are_those_of_the_command_line_over_the_configuration(
    project: Project, cli: Cli, said: tuple[str, ...], delay: float
) -> None:
    project.write("qcore.toml", "[worker]\ntries = 1\nbackoff = [3, 4]")
    cli("dispatch", "Fails")

    _, ending = project.run("work", "--json", "--once", "--tries", "2", *said).entries

    assert ("released", delay) == (ending["status"], ending["delay"])


def test_an_async_job_runs(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/asynchronous.py",
        """
        import asyncio
        from qcore import job

        @job
        async def ping() -> None:
            await asyncio.sleep(0)
            print("pong")
        """,
    )
    cli("dispatch", "ping")

    assert "pong" in project.run("work", "--once").out
