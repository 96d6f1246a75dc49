"""``qcore dispatch``: a job from the shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

TYPED = """
    from __future__ import annotations

    from dataclasses import dataclass, field
    from enum import Enum
    from typing import TYPE_CHECKING, Literal, NewType

    from qcore import Job, job

    if TYPE_CHECKING:
        from collections.abc import Sequence
        from datetime import date, datetime
        from decimal import Decimal
        from pathlib import Path
        from uuid import UUID
        from somewhere.else_ import Foreign

    UserId = NewType("UserId", int)


    class Size(Enum):
        SMALL = "s"
        LARGE = 2


    @job
    def typed(
        number: int = 0, real: float = 0, yes: bool = False, text: str = "", path: Path | None = None,
        amount: Decimal | None = None, ref: UUID | None = None, day: date | None = None, at: datetime | None = None,
        size: Size | None = None, mode: Literal["a", 1] = "a", user: UserId = UserId(0),
        numbers: list[int] = [], paths: Sequence[Path] = (), pair: tuple[int, str] = (0, ""),
        either: str | int = 0, table: dict[str, int] = {}, foreign: Foreign = None, anything=None,
    ) -> None: ...


    @dataclass
    class Order(Job):
        item: str
        count: int = 1
        words: list[str] = field(default_factory=list)

        def handle(self) -> None: ...


    class Picky(Job):
        def __init__(self, count: int) -> None:
            if count > 3:
                raise ValueError("too many")
            self.count = count

        def handle(self) -> None: ...


    class Loose(Job):
        def __init__(self, first: int = 1, *rest: int, **more: float) -> None:
            self.all = [first, rest, more]

        def handle(self) -> None: ...
"""


@pytest.fixture(autouse=True)
def typed(project: Project) -> None:
    project.write("jobs/typed.py", TYPED)


def pushed(project: Project) -> dict[str, Any]:
    [listed] = project.listed()
    body: dict[str, Any] = json.loads(listed.payload.body)
    return body


def arguments_of(project: Project) -> Any:  # noqa: ANN401 - encoded arguments
    return pushed(project)["data"]["command"]["arguments"]


def test_dispatch_pushes_a_job_and_prints_its_id(project: Project) -> None:
    finished = project.run("dispatch", "jobs.examples:Greet", "name=bob")

    body = pushed(project)
    assert (0, f"{body['id']}\n", "") == finished
    assert {"commandName": "jobs.examples:Greet", "command": {"name": "bob"}} == body["data"]


def test_json_gives_the_id_too(project: Project, cli: Cli) -> None:
    result = cli("dispatch", "add", "a=1", "--json")

    assert {"id": pushed(project)["id"], "job": "jobs.examples:add"} == json.loads(result.output)


@pytest.mark.parametrize(
    ("word", "encoded"),
    [
        ("number=-42", -42),
        ("real=1e3", 1000.0),
        ("yes=on", True),
        ("yes=FALSE", False),
        ("text=a=b, c", "a=b, c"),
        ("text=", ""),
        ("path=/tmp/a b", {"$path": "/tmp/a b"}),
        ("path=none", None),
        ("amount=1.50", {"$decimal": "1.50"}),
        ("ref=12345678-1234-5678-1234-567812345678", {"$uuid": "12345678-1234-5678-1234-567812345678"}),
        ("day=2026-11-21", {"$date": "2026-11-21"}),
        ("at=2026-11-21T10:00:00+00:00", {"$datetime": "2026-11-21T10:00:00+00:00"}),
        ("size=SMALL", {"$enum": ["jobs.typed:Size", "SMALL"]}),
        ("size=2", {"$enum": ["jobs.typed:Size", "LARGE"]}),
        ("mode=1", 1),
        ("user=7", 7),
        ("numbers=1,2,3", [1, 2, 3]),
        ("numbers=", []),
        ("numbers:=[4, 5]", [4, 5]),
        ("paths=a,b", [{"$path": "a"}, {"$path": "b"}]),
        ('paths:=["a,b"]', [{"$path": "a,b"}]),
        ("pair=1,x", {"$tuple": [1, "x"]}),
        ("either=5", 5),
        ("either=five", "five"),
        ('either:="5"', "5"),
        ('table:={"a": 1}', {"a": 1}),
        ("foreign:=[1]", [1]),
        ('day:="2026-11-21"', {"$date": "2026-11-21"}),
        ("day:=null", None),
        ("anything=5", "5"),
        ("anything:=5", 5),
    ],
)
def test_values_get_the_types_that_are_asked_for(project: Project, cli: Cli, word: str, encoded: object) -> None:
    result = cli("dispatch", "typed", word)

    assert "" == result.stderr
    assert {word.partition("=")[0].removesuffix(":"): encoded} == arguments_of(project)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("number=x", "number: 'x' is not int"),
        ("yes=perhaps", "yes: 'perhaps' is not bool"),
        ("day=21.11.", "day: '21.11.' is not datetime.date | None"),
        ("amount=much", "amount: 'much' is not decimal.Decimal | None"),
        ("size=medium", "size: 'medium' is not"),
        ("mode=b", "mode: 'b' is not one of a, 1"),
        ("numbers=1,x", "numbers: 'x' is not int"),
        ("pair=1", "pair: 1 values, and 2 are wanted"),
        ("table=1", "table: dict[str, int] cannot be written as text: pass JSON, with key:=json"),
        ("foreign=1", "foreign: Foreign cannot be written as text: pass JSON, with key:=json"),
        ("number:=x", "number: 'x' is no JSON"),
        ("5", "'5' is no argument: write key=value, or key:=json"),
        ("=5", "'=5' is no argument"),
    ],
)
def test_a_value_of_another_type_is_refused(project: Project, cli: Cli, word: str, reason: str) -> None:
    result = cli("dispatch", "typed", word)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith("error: ")
    assert reason in result.stderr
    assert not (project.root / ".qcore").exists()


def test_a_list_is_also_given_by_saying_the_key_again(project: Project, cli: Cli) -> None:
    result = cli("dispatch", "Order", "item=pen", "words=a,b", "words=c")

    assert "" == result.stderr
    assert {"item": "pen", "count": 1, "words": ["a,b", "c"]} == pushed(project)["data"]["command"]


def test_one_value_is_not_given_twice(cli: Cli) -> None:
    result = cli("dispatch", "Order", "item=pen", "item=ink")

    assert (2, True) == (result.exit_code, "item is given 2 times, and takes one value" in result.stderr)


def test_unknown_and_missing_parameters_are_named_with_those_that_exist(cli: Cli) -> None:
    result = cli("dispatch", "Order", "itme=pen")

    takes = "item: str, count: int = 1, words: list[str] = "
    assert f"error: Order has no parameter itme and needs item; it takes: {takes}" in result.stderr
    assert 2 == result.exit_code


def test_more_arguments_are_taken_where_any_are(project: Project, cli: Cli) -> None:
    cli("dispatch", "Loose", "rest=2,3", "speed=1.5")

    assert {"all": [1, {"$tuple": [2, 3]}, {"speed": 1.5}]} == pushed(project)["data"]["command"]


def test_what_the_constructor_says_is_one_line(cli: Cli) -> None:
    result = cli("dispatch", "Picky", "count=4")

    assert "error: Picky cannot be made of these arguments: ValueError: too many\n" == result.stderr
    assert 2 == result.exit_code


def test_queue_connection_and_delay_are_those_that_are_said(project: Project, cli: Cli) -> None:
    project.write("qcore.toml", "[connections.other]\ndriver = 'database'\nurl = 'sqlite:///other.sqlite3'")

    cli("dispatch", "add", "a=1", "--queue", "slow", "--connection", "other", "--delay", "1000")

    [listed] = project.listed("other", "slow")
    assert "delayed" == listed.state


def test_a_short_name_that_two_jobs_have_is_refused(project: Project, cli: Cli) -> None:
    project.write("jobs/others.py", "from qcore import job\n\n@job\ndef add() -> None: ...\n")

    result = cli("dispatch", "add", "a=1")

    assert "error: 'add' could be jobs.examples:add or jobs.others:add: write the whole name\n" == result.stderr


def test_a_connection_that_ends_with_the_command_takes_no_job(cli: Cli) -> None:
    result = cli("dispatch", "add", "a=1", "--connection", "memory")

    assert (2, "") == (result.exit_code, result.stdout)
    assert "error: the connection 'memory' ends with this command: no worker would see the job\n" == result.stderr


def test_a_sync_connection_runs_the_job(cli: Cli) -> None:
    assert "sum 3" in cli("dispatch", "add", "a=1", "--connection", "sync").stdout


def test_a_job_that_raises_on_a_sync_connection_is_one_line_and_exit_1(cli: Cli) -> None:
    result = cli("dispatch", "Fails", "--connection", "sync")

    assert (1, "error: Fails raised ValueError: no such thing\n") == (result.exit_code, result.stderr)


def test_a_job_that_drops_itself_is_no_error(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/shy.py",
        """
        from qcore import Job

        class Shy(Job):
            def prepare_for_dispatch(self) -> bool:
                return False

            def handle(self) -> None: ...
        """,
    )

    result = cli("dispatch", "Shy")

    assert (0, "Nothing was pushed: the job itself or a hook dropped it.\n") == (result.exit_code, result.stderr)
    assert "" == result.stdout
    assert (0, 0, 0) == project.counts()


def test_the_end_of_a_name_is_enough_to_be_told_what_is_near(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/a_folder/with_a_long_name/pictures.py",
        "from qcore import Job\n\nclass ResizePicture(Job):\n    def handle(self) -> None: ...\n",
    )
    project.write("jobs/a_folder/__init__.py", "")
    project.write("jobs/a_folder/with_a_long_name/__init__.py", "")
    result = cli("dispatch", "ResizePictur")

    assert "did you mean jobs.a_folder.with_a_long_name.pictures:ResizePicture?" in result.stderr


def test_what_the_app_provides_is_left_open(project: Project) -> None:
    project.write(
        "jobs/remind.py",
        """
        from qcore import App, Config, job

        class Mailer: ...

        @job
        def remind(mailer: Mailer, to: str) -> None:
            print(type(mailer).__name__, to, flush=True)
        """,
    )
    project.write(
        "main.py",
        """
        from qcore import App, Config
        from jobs.remind import Mailer

        app = App(Config.load())
        app.provide(Mailer, Mailer)
        """,
    )
    refused = project.run("dispatch", "remind", "to=bob")
    dispatched = project.run("--app", "main:app", "dispatch", "remind", "to=bob")
    lacking = project.run("--app", "main:app", "dispatch", "remind")

    assert "needs mailer;" in refused.err
    assert (0, "") == (dispatched.code, dispatched.err)
    assert "needs to; it takes:" in lacking.err
    assert "Mailer bob" in project.run("--app", "main:app", "work", "--once").out


def test_a_handler_is_no_job(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/raw.py",
        """
        from qcore import handler

        @handler
        class Import:
            def fire(self, job, data) -> None: ...
        """,
    )
    result = cli("dispatch", "jobs.raw.Import", "path=a.csv")

    assert 2 == result.exit_code
    assert "jobs.raw.Import is a handler, and no job: push to it from Python" in result.stderr
    assert "qcore.push('jobs.raw.Import', data)" in result.stderr
