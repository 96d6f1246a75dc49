"""How the user's modules come in, and what is said when one does not."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from qcore import registry
from qcore.errors import ConfigError
from qcore.loading import load_attribute, load_jobs

if TYPE_CHECKING:
    from tests.commands.conftest import Project

pytestmark = pytest.mark.usefixtures("cli")


def job_file(name: str) -> str:
    return f"from qcore import Job\n\nclass {name}(Job):\n    def handle(self) -> None: ...\n"


def test_a_package_is_walked_to_its_ends(project: Project) -> None:
    project.write("shop/__init__.py", "")
    project.write("shop/mail/__init__.py", "")
    project.write("shop/mail/deep/__init__.py", "")
    project.write("shop/mail/deep/orders.py", job_file("Order"))
    project.write("shop/single.py", job_file("Single"))

    load_jobs(["shop"], project.root, "a test")

    assert {"shop.mail.deep.orders:Order", "shop.single:Single"} <= set(registry.names())


def test_a_program_in_a_package_is_not_run(project: Project) -> None:
    project.write("shop/__init__.py", "")
    project.write("shop/__main__.py", "raise SystemExit(3)")

    load_jobs(["shop"], project.root, "a test")

    assert "shop.__main__" not in sys.modules


def test_the_package_jobs_is_loaded_when_nothing_is_named(project: Project) -> None:
    load_jobs([], project.root, "a test")

    assert "jobs.examples:Greet" in registry.names()


def test_jobs_is_not_loaded_when_something_else_is_named(project: Project) -> None:
    project.write("shop.py", job_file("Order"))

    load_jobs(["shop"], project.root, "a test")

    assert "shop" in sys.modules
    assert "jobs" not in sys.modules


@pytest.mark.parametrize("name", ["jobs.py", "jobs/only.py"])
def test_jobs_may_be_a_module_or_a_folder_without_init(project: Project, name: str) -> None:
    for path in project.root.glob("jobs/*.py"):
        path.unlink()
    project.root.joinpath("jobs").rmdir()
    project.write(name, job_file("Only"))

    load_jobs([], project.root, "a test")

    assert [full for full in registry.names() if full.endswith(":Only")]


def test_jobs_that_another_package_hides_are_missed(project: Project) -> None:
    project.write("there/jobs/only.py", job_file("Only"))
    sys.path.append(str(project.root))

    with pytest.raises(ConfigError) as caught:
        load_jobs([], project.root / "there", "a test")

    place = project.root / "there/jobs"
    expected = (
        f"{project.root}/jobs/__init__.py hides the jobs in {place}: add {place}/__init__.py, or name your imports"
    )
    assert expected == str(caught.value)


def test_without_jobs_nothing_is_loaded(project: Project) -> None:
    before = set(sys.modules)

    load_jobs([], project.root / "empty", "a test")

    assert before == set(sys.modules)


def test_the_project_comes_before_other_modules_of_the_name(project: Project) -> None:
    project.write("there/shop.py", job_file("Wrong"))
    project.write("shop.py", job_file("Right"))
    sys.path.insert(0, str(project.root / "there"))

    load_jobs(["shop"], project.root, "a test")

    assert "shop:Right" in registry.names()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import json\nrhubarb\n", "NameError: name 'rhubarb' is not defined ({path}, line 2)"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' ({path}, line 1)"),
        ("raise SystemExit(3)\n", "SystemExit: 3 ({path}, line 1)"),
        ("def f(:\n", "SyntaxError: invalid syntax (shop.py, line 1)"),
        ("import json\njson.loads('{')\n", "JSONDecodeError: Expecting property name"),
        (
            "from qcore import Job\nclass A(Job, tires=3): ...\n",
            "A: tires is no option of a job; there are name, aliases, queue",
        ),
    ],
)
def test_a_module_that_does_not_import_is_named_with_the_reason(project: Project, source: str, reason: str) -> None:
    path = project.write("shop.py", source)

    with pytest.raises(ConfigError) as caught:
        load_jobs(["shop"], project.root, "qcore.toml")

    assert str(caught.value).startswith(f"cannot import 'shop' (imports of qcore.toml): {reason.format(path=path)}")


@pytest.mark.parametrize("name", ["nowhere", "nowhere.at.all", "jobs.nowhere"])
def test_a_module_that_is_not_there_is_told_from_one_that_misses_another(project: Project, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"there is no module '{'jobs.nowhere' if '.n' in name else 'nowhere'}' in"):
        load_jobs([name], project.root, "qcore.toml")


@pytest.mark.parametrize("name", ["", ".jobs", "../jobs", "jobs/examples", "a b"])
def test_what_is_no_name_of_a_module_is_refused(project: Project, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot import"):
        load_jobs([name], project.root, "qcore.toml")


def test_an_attribute_is_found(project: Project) -> None:
    project.write("shop.py", "app = 'the app'\n")

    assert "the app" == load_attribute("shop:app", project.root)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("shop", "--app 'shop' names no app: write --app pkg.module:attr"),
        (":app", "--app ':app' names no app"),
        ("shop:", "--app 'shop:' names no app"),
        ("shop:ap", "--app shop:ap: the module 'shop' has no 'ap' (did you mean app?)"),
        ("nowhere:app", "cannot import 'nowhere' (--app nowhere:app): there is no module 'nowhere'"),
    ],
)
def test_an_attribute_that_is_not_there_is_named(project: Project, spec: str, reason: str) -> None:
    project.write("shop.py", "app = 'the app'\n")

    with pytest.raises(ConfigError) as caught:
        load_attribute(spec, project.root)

    assert str(caught.value).startswith(reason)
