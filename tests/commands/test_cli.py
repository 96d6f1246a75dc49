"""The command line as a whole: global options, laziness, and how errors end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import qcore
from qcore.cli import COMMANDS
from tests.commands.conftest import PATIENCE

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


def test_help_lists_every_command(project: Project) -> None:
    finished = project.run("--help")

    listed = re.findall(r"^  ([a-z-]+)  +\w", finished.out.partition("Commands:")[2], re.MULTILINE)
    assert (0, list(COMMANDS)) == (finished.code, listed)


def test_without_a_command_there_is_the_help(cli: Cli) -> None:
    assert cli("--help").output == cli().output


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_of_a_command_what_it_says_itself(name: str) -> None:
    command = import_module(f"qcore.commands.{name.replace('-', '_')}").command

    assert (name, COMMANDS[name]) == (command.name, command.short_help)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli: Cli, name: str) -> None:
    result = cli(name, "--help")

    assert (0, f"Usage: qcore {name}") == (result.exit_code, result.output[: len(f"Usage: qcore {name}")])


def test_the_version_is_that_of_the_package(cli: Cli) -> None:
    assert f"qcore, version {qcore.__version__}\n" == cli("--version").output


LOADED = """
import json, sys
from qcore.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    print(json.dumps([end.code, sorted(sys.modules)]), file=sys.stderr)
"""


def loaded_by(project: Project, *arguments: str) -> set[str]:
    command = [sys.executable, "-c", LOADED, *arguments]
    finished = subprocess.run(command, cwd=project.root, capture_output=True, text=True, check=True)
    code, modules = json.loads(finished.stderr.splitlines()[-1])
    assert code == 0
    return set(modules)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_help_loads_no_command_no_app_and_no_jobs(project: Project, arguments: tuple[str]) -> None:
    loaded = loaded_by(project, *arguments)

    commands = {f"qcore.commands.{name.replace('-', '_')}" for name in COMMANDS}
    assert set() == loaded & {*commands, "qcore.app", "jobs", "sqlalchemy", "asyncio"}


def test_work_loads_no_other_command_and_no_library_it_does_not_need(project: Project) -> None:
    loaded = loaded_by(project, "work", "null", "--once")

    commands = {f"qcore.commands.{name.replace('-', '_')}" for name in COMMANDS} - {"qcore.commands.work"}
    heavy = {"asyncio", "sqlalchemy", "redis", "rich", "importlib.metadata"}
    assert set() == loaded & {*commands, *heavy}
    assert {"qcore.commands.work", "jobs.examples"} <= loaded


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nope"], "there is no command 'nope'; there are work, dispatch,"),
        (["batchs"], "there is no command 'batchs' (did you mean batches or batch?); there are"),
        (["work", "--nope"], "No such option '--nope'"),
        (["work", "--tries", "x"], "Invalid value for '--tries'"),
        (["work", "--tries", "-1"], "Invalid value for '--tries'"),
        (["work", "--sleep", "nan"], "Invalid value for '--sleep': 'nan' is not a number, 0 or more"),
        (["work", "--backoff", "1,x"], "Invalid value for '--backoff': 'x' is not a number, 0 or more"),
        (["work", "--queue", "--once"], "Invalid value for '--queue': '--once' is an option, and no queue"),
        (["work", "--queue", "a,--once"], "Invalid value for '--queue': '--once' is an option, and no queue"),
        (["work", "--queue", ","], "Invalid value for '--queue': ',' names no queue"),
        (["work", "--queue", "a\nb"], r"'a\nb' cannot be a queue name"),
        (
            ["work", "nowhere"],
            "there is no connection 'nowhere' (the defaults); there are database, memory, null, sync",
        ),
        (["show", "--connection", "nowhere"], "there is no connection 'nowhere'"),
        (["show", "--connection", "redis"], '; to have it, write driver = "redis" below [connections.redis]'),
        (["show", "--connection", "postgres"], '; to have it, write driver = "database" and the url of the database'),
        (["dispatch", "Nobody"], "no job named 'Nobody' is known here"),
        (["dispatch"], "Missing argument 'NAME'"),
        (["db"], "Missing command"),
        (["--config", "nowhere.toml", "show"], "nowhere.toml cannot be read"),
        (["--app", "jobs", "show"], "--app 'jobs' names no app: write --app pkg.module:attr"),
        (["--app", "jobs.examples:Greet", "show"], "--app jobs.examples:Greet: expected a qcore.App"),
    ],
)
def test_an_error_of_the_user_is_one_line_and_exit_2(cli: Cli, arguments: list[str], line: str) -> None:
    result = cli(*arguments)

    assert (2, "") == (result.exit_code, result.stdout)
    assert 1 == len(result.stderr.splitlines())
    assert result.stderr.startswith("error: ")
    assert line in result.stderr


def test_an_unknown_setting_is_one_line_and_exit_2_in_a_process(project: Project) -> None:
    project.write("qcore.toml", "defualt = 'memory'")

    finished = project.run("work", "--once")

    assert (2, "") == (finished.code, finished.out)
    assert "error: qcore.toml: defualt is no setting; there are default, failed, store, imports" in finished.err
    assert 1 == len(finished.err.splitlines())


@pytest.mark.parametrize(
    "arguments", [["-vv", "work", "nowhere"], ["work", "nowhere", "-vv"], ["-v", "work", "-v", "no"]]
)
def test_vv_shows_the_traceback_before_the_line(project: Project, arguments: list[str]) -> None:
    finished = project.run(*arguments)

    first, *_, error, last = finished.err.splitlines()
    assert (2, "Traceback (most recent call last):") == (finished.code, first)
    assert error.startswith("qcore.errors.UnknownConnectionError: ")
    assert last.startswith("error: there is no connection ")


def test_what_a_name_holds_cannot_move_the_cursor(cli: Cli) -> None:
    result = cli("work", "a\x1b[2J\r\nerror: b")

    assert 1 == len(result.stderr.splitlines())
    assert r"'a\x1b[2J\r\nerror: b'" in result.stderr


def test_config_is_read_from_the_file_that_is_named(project: Project) -> None:
    project.write("elsewhere/mine.toml", "default = 'null'")

    by_option = project.run("--config", "elsewhere/mine.toml", "show", "--json")
    by_environment = project.run("work", "--once", QCORE_CONFIG="elsewhere/mine.toml")

    assert "error: the driver of the connection 'null' cannot show what it holds\n" == by_option.err
    assert "'null' lives in one process" in by_environment.err


def test_an_app_made_in_code_is_used(project: Project) -> None:
    project.write(
        "shop/queues.py",
        """
        from pathlib import Path
        from qcore import App, Config, Job

        app = App(Config(connections={"mine": {"driver": "database", "url": "sqlite:///mine.sqlite3"}}, default="mine"))


        class Sell(Job):
            def handle(self) -> None:
                print("sold")
        """,
    )

    dispatched = project.run("--app", "shop.queues:app", "dispatch", "Sell")
    worked = project.run("work", "--once", QCORE_APP="shop.queues:app")

    assert (0, 0) == (dispatched.code, worked.code)
    assert "sold" in worked.out
    assert (project.root / "mine.sqlite3").is_file()


def test_jobs_that_dispatch_and_route_reach_the_app_of_the_command(project: Project) -> None:
    project.write("there/qcore.toml", "default = 'database'")
    project.write("there/jobs/__init__.py", "")
    project.write(
        "there/jobs/family.py",
        """
        from qcore import Job, route

        class Child(Job):
            def handle(self) -> None: ...

        class Parent(Job):
            def handle(self) -> None:
                Child().dispatch()

        route(Child, queue="mail")
        """,
    )
    configured = ["--config", "there/qcore.toml"]
    project.run(*configured, "dispatch", "Parent")

    worked = project.run(*configured, "work", "--once")
    shown = project.run(*configured, "show", "--json")

    assert (0, ["mail"]) == (worked.code, [entry["queue"] for entry in shown.entries])
    assert not (project.root / ".qcore").exists()


def test_ctrl_c_ends_quietly_with_130(project: Project) -> None:
    # Not in a call of the system: a signal that comes just before one would be heard after it.
    project.write("jobs/thinks.py", "print('thinking', flush=True)\nwhile True:\n    pass\n")

    with project.start("dispatch", "Greet", "name=bob") as running:
        running.wait_for("thinking\n")
        running.process.send_signal(signal.SIGINT)
        finished = running.finish()

    assert (130, "") == (finished.code, finished.err.strip())


def test_a_list_that_nobody_reads_to_the_end_ends_quietly(project: Project) -> None:
    project.write("jobs/slow_start.py", "print('starting', flush=True)\nopen('never').read()\n")
    os.mkfifo(project.root / "never")

    with project.start("dispatch", "Greet", "name=bob") as running:
        running.wait_for("starting\n")  # all of it: an unbuffered print is two writes
        assert running.process.stdout is not None
        running.process.stdout.close()
        project.open_gate("never")
        assert 1 == running.process.wait(PATIENCE)
        assert running.process.stderr is not None
        assert "" == running.process.stderr.read()


def test_a_name_that_the_terminal_cannot_show_is_escaped(project: Project) -> None:
    finished = project.run("work", "漢", PYTHONIOENCODING="latin-1")

    assert r"error: there is no connection '\u6f22'" in finished.err


@pytest.mark.parametrize(
    ("words", "completed"), [("qcore prune-f", "plain,prune-failed"), ("qcore work --dr", "plain,--drain")]
)
def test_the_shell_completes_commands_and_options(project: Project, words: str, completed: str) -> None:
    place = str(len(words.split()) - 1)

    finished = project.run(_QCORE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=place)

    assert (0, completed, "") == (finished.code, finished.out.strip(), finished.err)
