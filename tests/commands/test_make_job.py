"""``qcore make-job``: a file that runs, checks clean, and lands nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore.commands.make_job import _snake_case

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _an_empty_project(project: Project) -> None:
    for path in project.root.glob("jobs/*"):
        path.unlink()
    project.root.joinpath("jobs").rmdir()


def files(project: Project) -> set[str]:
    return {str(path.relative_to(project.root)) for path in project.root.rglob("*.py")}


def test_make_job_writes_a_job_and_says_what_comes_next(project: Project) -> None:
    finished = project.run("make-job", "ImportCsv")

    written, after = finished.out.splitlines()
    assert (0, "") == (finished.code, finished.err)
    assert f"{project.root}/jobs/import_csv.py is written." == written
    assert "Next: write handle(), push it with `qcore dispatch ImportCsv`, run it with `qcore work --once`." == after
    assert {"jobs/__init__.py", "jobs/import_csv.py"} == files(project)


@pytest.mark.parametrize("kind", [[], ["--async"], ["--function"], ["--function", "--async"]])
def test_what_was_written_runs(project: Project, cli: Cli, kind: list[str]) -> None:
    cli("make-job", "ImportCsv", *kind)

    dispatched = project.run("dispatch", "import_csv" if "--function" in kind else "ImportCsv")
    worked = project.run("work", "--once")

    assert (0, 0, "") == (dispatched.code, worked.code, worked.err)
    assert "Processed: " in worked.out
    source = (project.root / "jobs/import_csv.py").read_text()
    assert ("async def" in source, "@job" in source) == ("--async" in kind, "--function" in kind)


def test_what_was_written_is_clean(project: Project, cli: Cli) -> None:
    for name, *kind in (["One"], ["Two", "--async"], ["three", "--function"], ["a.Four", "--function", "--async"]):
        cli("make-job", name, *kind)

    settings = str(ROOT / "pyproject.toml")
    for command in (
        ["ruff", "check", "--no-cache", "--config", settings, "jobs"],
        ["ruff", "format", "--no-cache", "--check", "--config", settings, "jobs"],
        ["mypy", "--strict", "--config-file=", "--cache-dir=.mypy", "jobs"],
    ):
        check = subprocess.run([sys.executable, "-m", *command], cwd=project.root, capture_output=True, check=False)
        assert (0, b"") == (check.returncode, check.stderr), check.stdout


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ImportCsv", "jobs/import_csv.py"),
        ("ImportCSVFile", "jobs/import_csv_file.py"),
        ("import_csv", "jobs/import_csv.py"),
        ("billing/SendInvoice", "jobs/billing/send_invoice.py"),
        ("billing.SendInvoice", "jobs/billing/send_invoice.py"),
        ("Billing.EU.Send", "jobs/billing/eu/send.py"),
        ("Größe", "jobs/größe.py"),
    ],
)
def test_the_name_says_where_it_goes(project: Project, cli: Cli, name: str, path: str) -> None:
    assert 0 == cli("make-job", name).exit_code

    folders = {f"{folder}/__init__.py" for folder in Path(path).parents if folder != Path()}
    assert {path, *folders} == files(project)


@pytest.mark.parametrize(
    "name",
    [
        "../Evil",
        "/tmp/Evil",
        "a/../../Evil",
        "..",
        "",
        ".",
        "a//B",
        "a.",
        r"a\B",
        "C:Evil",
        "two words",
        "1st",
        "a-b",
        "class",
        "Import",
        "for.Each",
        "None",
        "__init__",
        "_private",
        "x\x00y",
        "x\ny",
        "~",
        "$HOME",
    ],
)
def test_a_name_that_leads_away_or_cannot_be_imported_is_refused(project: Project, cli: Cli, name: str) -> None:
    result = cli("make-job", "--", name)

    assert (2, "", 1) == (result.exit_code, result.stdout, len(result.stderr.splitlines()))
    assert set() == files(project)


def test_a_file_that_exists_is_not_overwritten(project: Project, cli: Cli) -> None:
    path = project.write("jobs/import_csv.py", "mine = 1\n")

    result = cli("make-job", "ImportCsv")

    assert f"error: {path} exists: choose another name, or overwrite it with --force\n" == result.stderr
    assert (2, "mine = 1\n") == (result.exit_code, path.read_text())


def test_force_overwrites(project: Project, cli: Cli) -> None:
    path = project.write("jobs/import_csv.py", "mine = 1\n" * 1000)

    assert 0 == cli("make-job", "ImportCsv", "--force").exit_code
    assert "class ImportCsv(Job)" in path.read_text()
    assert "mine" not in path.read_text()


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_link_in_place_of_the_file_is_not_followed(project: Project, cli: Cli, force: list[str]) -> None:
    elsewhere = project.write("elsewhere/precious.py", "precious\n")
    project.root.joinpath("jobs").mkdir()
    project.root.joinpath("jobs/import_csv.py").symlink_to(elsewhere)

    result = cli("make-job", "ImportCsv", *force)

    assert (2, "precious\n", 1) == (result.exit_code, elsewhere.read_text(), len(result.stderr.splitlines()))


def test_a_link_to_another_job_is_not_followed(project: Project, cli: Cli) -> None:
    path = project.write("jobs/precious.py", "precious\n")
    project.root.joinpath("jobs/import_csv.py").symlink_to(path)

    assert 2 == cli("make-job", "ImportCsv", "--force").exit_code
    assert "precious\n" == path.read_text()


def test_a_folder_that_is_a_link_away_is_refused(project: Project, cli: Cli) -> None:
    project.root.joinpath("elsewhere").mkdir()
    project.root.joinpath("jobs").mkdir()
    project.root.joinpath("jobs/billing").symlink_to(project.root / "elsewhere")

    result = cli("make-job", "billing.SendInvoice")

    assert (2, set()) == (result.exit_code, files(project))
    assert "leads out of" in result.stderr


def test_another_folder_needs_to_be_imported(project: Project, cli: Cli) -> None:
    result = cli("make-job", "ImportCsv", "--path", "shop/work")

    assert "shop/work/import_csv.py is written." in result.stdout
    assert "First add 'shop.work.import_csv' to the imports of your configuration" in result.stdout
    assert {"shop/work/__init__.py", "shop/work/import_csv.py"} == files(project)


def test_a_folder_that_is_imported_already_needs_nothing(project: Project, cli: Cli) -> None:
    project.write("qcore.toml", "imports = ['shop']")
    project.write("shop/__init__.py", "")

    assert "First add" not in cli("make-job", "ImportCsv", "--path", "shop").stdout
    assert "First add 'jobs.import_csv'" in cli("make-job", "ImportCsv").stdout


def test_a_folder_that_cannot_be_made_is_one_line(project: Project, cli: Cli) -> None:
    project.write("jobs", "a file")

    result = cli("make-job", "ImportCsv")

    assert (2, "") == (result.exit_code, result.stdout)
    assert f"error: cannot make the folder {project.root}/jobs: File exists\n" == result.stderr


@pytest.mark.parametrize(
    ("name", "snake"),
    [("A", "a"), ("ABC", "abc"), ("HTTPServer", "http_server"), ("getURL", "get_url"), ("Step2Do", "step2_do")],
)
def test_words_of_a_name_are_parted(name: str, snake: str) -> None:
    assert snake == _snake_case(name)


@pytest.mark.parametrize(("module", "name"), [("jobs", "Foo"), ("jobs/billing", "billing.Foo")])
def test_a_package_that_would_hide_a_module_is_not_made(project: Project, module: str, name: str) -> None:
    project.write(f"{module}.py", "")
    before = {*project.root.rglob("*")}
    finished = project.run("make-job", name)

    assert (2, "") == (finished.code, finished.out)
    assert f"would hide {project.root}/{module}.py" in finished.err
    assert f"move it to {project.root}/{module}/__init__.py" in finished.err
    assert "--path" in finished.err
    assert before == {*project.root.rglob("*")}
    assert 0 == project.run("make-job", "Foo", "--path", "other").code
