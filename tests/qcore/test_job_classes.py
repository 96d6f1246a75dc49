"""How job classes are declared, what is refused, and when two jobs are equal."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic
import pytest

import qcore
from qcore import Job, JobDefinitionError, NotRunningError, PayloadError

if TYPE_CHECKING:
    from qcore.app import App


class Plain(Job):
    def __init__(self, path: object) -> None:
        self.path = path
        self._opened = object()

    def handle(self) -> None: ...


class Sub(Plain): ...


@dataclass(frozen=True, slots=True)
class Frozen(Job):
    path: str
    size: int = 0

    def handle(self) -> None: ...


def test_options_are_inherited_and_overridden() -> None:
    class Base(Job, queue="imports", tries=3, backoff=(1, 5), fail_on_timeout=True): ...

    class Sub(Base, tries=5, fail_on_timeout=False, timeout=0): ...

    options = Sub.__job__.options
    assert ("imports", 5, (1, 5), False, 0) == (
        options.queue,
        options.tries,
        options.backoff,
        options.fail_on_timeout,
        options.timeout,
    )
    assert Base.__job__.options.tries == 3


@pytest.mark.parametrize("base", [(Job,), (pydantic.BaseModel, Job)], ids=["plain", "pydantic"])
def test_an_unknown_option_is_refused_by_its_name(base: tuple[type, ...]) -> None:
    with pytest.raises(JobDefinitionError, match=r"Bad: prio, trys is no option of a job; there are name, aliases"):
        type(base[0])("Bad", base, {"__module__": __name__, "__qualname__": "Bad"}, trys=3, prio=1)


@pytest.mark.parametrize(
    "option",
    [{"tries": "3"}, {"queue": "a,b"}, {"timeout": -1}, {"delay": "x"}, {"delay": datetime(2030, 1, 1)}],  # noqa: DTZ001
    ids=str,
)
def test_a_value_that_means_nothing_is_refused_when_the_class_is_made(option: dict[str, Any]) -> None:
    with pytest.raises(JobDefinitionError, match=next(iter(option))):
        type("Bad", (Job,), {}, **option)


def test_jobs_are_equal_when_class_and_state_are() -> None:
    assert Plain("a") == Plain("a")
    assert hash(Plain("a")) == hash(Plain("a"))
    assert Plain("a") != Plain("b")
    assert Plain("a") != Sub("a")
    assert Plain("a") != "a"
    assert {Plain("a")} == {Plain("a"), Plain("a")}
    assert Frozen(path="a") == Frozen(path="a")
    assert hash(Frozen(path="a")) == hash(Frozen(path="a"))


def test_one_and_true_are_not_equal_and_sets_are_whatever_their_order() -> None:
    assert Plain(1) != Plain(True)  # noqa: FBT003 - a value
    assert Plain({"a", "b", "c"}) == Plain({"c", "b", "a"})
    assert Plain({"a": 1, "b": 2}) == Plain({"b": 2, "a": 1})


def test_a_job_that_cannot_be_stored_equals_only_itself() -> None:
    one, other = Plain(object), Plain(object)

    assert one == one  # noqa: PLR0124 - that is the point
    assert one != other
    assert len({one, other}) == 2


def test_a_job_shows_its_class_and_state() -> None:
    assert "Plain(path='a')" == repr(Plain("a"))
    assert "Frozen(path='a', size=0)" == repr(Frozen(path="a"))


def test_a_job_without_handle_is_refused_at_dispatch(app: App) -> None:
    class Handleless(Job): ...

    with pytest.raises(JobDefinitionError, match=r"Handleless has no handle\(\)"):
        Handleless().dispatch()


@pytest.mark.parametrize("name", ["failed", "tags", "backoff_for", "retry_until", "display_name"])
def test_a_field_that_hides_a_method_of_job_is_refused(name: str, app: App) -> None:
    hiding = type("Hiding", (Plain,), {"__init__": lambda self: setattr(self, name, [])})

    with pytest.raises(JobDefinitionError, match=rf"the field '{name}' of Hiding hides the method {name}\(\)"):
        hiding().dispatch()


@pytest.mark.parametrize("name", ["release", "fail", "delete"])
def test_deciding_about_a_job_that_is_not_run_is_refused(name: str) -> None:
    with pytest.raises(NotRunningError, match=rf"Plain\.{name}\(\) was called"):
        getattr(Plain("a"), name)()
    assert Plain("a").attempts() == 1


def test_a_row_of_sqlalchemy_is_refused_for_its_key(app: App) -> None:
    orm = pytest.importorskip("sqlalchemy.orm")
    sqlalchemy = pytest.importorskip("sqlalchemy")
    base: Any = orm.declarative_base()
    user = type(
        "User", (base,), {"__tablename__": "users", "id": sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)}
    )

    with pytest.raises(PayloadError, match=r"Plain\.path: .*User .*pass its key instead \(Plain\.path\.id\)"):
        Plain(user(id=1)).dispatch()
    with pytest.raises(PayloadError, match=r"Plain\.path\.users\[1\]: .*\(Plain\.path\.users\[1\]\.id\)"):
        Plain({"users": [1, user(id=1)]}).dispatch()
    assert 0 == app.connection().size()


def test_a_model_of_django_is_refused_for_its_key(app: App) -> None:
    model = type("Model", (), {"__module__": "django.db.models.base"})
    user = type("User", (model,), {"pk": 3})

    with pytest.raises(PayloadError, match=r"Plain\.path: .*User .*pass its key .*Plain\.path\.pk"):
        Plain(user()).dispatch()


@pytest.mark.parametrize(
    ("bad", "path"),
    [({"items": [1, 2, object()]}, r"Plain\.path\.items\[2\]: object "), ((1, timedelta, 2), r"Plain\.path\[1\]: ")],
)
def test_what_cannot_be_stored_is_named_by_its_path(bad: Any, path: str, app: App) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(PayloadError, match=path):
        Plain(bad).dispatch()


def test_a_job_of_the_script_itself_is_refused_where_another_process_would_run_it(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(
        "from qcore import Job, PayloadError, dispatch_sync\n"
        "class Mine(Job):\n"
        "    def handle(self): print('ran')\n"
        "Mine().dispatch(connection='sync')\n"
        "dispatch_sync(Mine())\n"
        "print(Mine().dispatch(connection='memory') is not None)\n"
        "try:\n"
        "    Mine().dispatch()\n"
        "except PayloadError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(qcore.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "" == done.stderr
    *ran_here, refused = done.stdout.splitlines()
    assert ["ran", "ran", "True"] == ran_here
    assert refused.startswith("__main__:Mine is defined in the script that is being run")


@pytest.mark.parametrize(("option", "value"), [("tries", 3), ("timeout", 0.5), ("backoff", [1, 5]), ("queue", "mail")])
def test_options_written_as_attributes_are_refused(option: str, value: object) -> None:
    """They would be without effect, and nobody would hear of it."""
    with pytest.raises(JobDefinitionError, match=rf"Wrong: options are class keywords: class Wrong\(Job, {option}="):
        type("Wrong", (Job,), {option: value, "handle": print})


def test_a_field_may_bear_the_name_of_an_option(app: App) -> None:
    @dataclass
    class Fetch(Job):
        url: str
        timeout: float = 5

        def handle(self) -> None: ...

    assert Fetch("x").timeout == 5
    Fetch("x", timeout=7).dispatch()
    assert app.connection().size() == 1


def test_dispatch_on_the_class_says_to_make_an_instance(app: App) -> None:
    class Add(Job):
        def handle(self) -> None: ...

    with pytest.raises(JobDefinitionError, match=r"make an instance: .*Add\(1\)\.dispatch\(\)"):
        Add.dispatch(1)  # type: ignore[arg-type]
