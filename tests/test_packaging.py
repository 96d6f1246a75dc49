"""What a user gets: the built wheel, installed where the checkout is not. Run by ``make package``."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from sybil import Document

from tests.docs_runner import BLOCKS, COMMENT_ABOVE

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and with the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh virtual environment that holds the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel)
    return folder / "bin"


@pytest.fixture(scope="session")
def with_test_kit(installed: Path, wheel: Path) -> Path:
    """The same, with what the extra ``test`` asks for."""
    run(installed / "python", "-m", "pip", "install", "--quiet", f"{wheel}[test]")
    return installed


def run(*command: str | Path, cwd: Path | None = None) -> str:
    ran = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


def test_the_wheel_holds_two_typed_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    info = f"qcore_queue-{PROJECT['version']}.dist-info"
    assert {"qcore", "qtest", info} == {name.split("/")[0] for name in names}
    assert {"qcore/py.typed", "qtest/py.typed", f"{info}/licenses/LICENSE"} <= set(names)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    files = [path.relative_to(ROOT) for package in ("qcore", "qtest") for path in (ROOT / package).rglob("*")]
    ours = {str(path) for path in files if (ROOT / path).is_file() and "__pycache__" not in path.parts}

    assert ours == {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(("qcore/", "qtest/"))}


def test_the_metadata_says_what_the_project_says(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    head, _, description = (
        archive.read(f"qcore_queue-{PROJECT['version']}.dist-info/METADATA").decode().partition("\n\n")
    )
    metadata = email.message_from_string(head)

    assert (PROJECT["name"], PROJECT["version"]) == (metadata["Name"], metadata["Version"])
    assert ">=3.11" == metadata["Requires-Python"]
    assert "MIT" == metadata["License-Expression"]
    assert set(PROJECT["optional-dependencies"]) == set(metadata.get_all("Provides-Extra", []))
    assert (ROOT / "README.md").read_text(encoding="utf-8").strip() == description.strip()


def test_the_sdist_holds_the_tests_and_the_licence(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "pyproject.toml",
        "conftest.py",
        "tests/commands/conftest.py",
        "qcore/py.typed",
    } <= names


def test_the_installed_packages_are_found_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import qcore, qtest; print(qcore.__file__, qtest.__file__)"

    for file in run(installed / "python", "-c", code, cwd=tmp_path).split():
        assert Path(file).is_relative_to(installed.parent)


@pytest.mark.parametrize("command", [["qcore"], ["python", "-m", "qcore"]], ids=" ".join)
def test_the_installed_command_answers(command: list[str], installed: Path, tmp_path: Path) -> None:
    output = run(installed / command[0], *command[1:], "--help", cwd=tmp_path)

    assert output.startswith("Usage: ")
    assert "work" in output


def test_the_test_kit_is_found_once_its_extra_is_installed(with_test_kit: Path, tmp_path: Path) -> None:
    code = """if True:
        import importlib, pkgutil, qtest
        for module in pkgutil.walk_packages(qtest.__path__, "qtest."):
            importlib.import_module(module.name)
    """
    run(with_test_kit / "python", "-c", code, cwd=tmp_path)


@pytest.mark.parametrize(
    ("document", "section"),
    [("README.md", "## Testing your jobs"), ("docs/testing.md", "## The first test")],
)
def test_what_a_page_says_of_testing_works_in_an_empty_folder(
    document: str, section: str, with_test_kit: Path, tmp_path: Path
) -> None:
    """Its files are written as they stand there, and pytest, with nothing but the installed wheel, runs them."""
    files = files_in((ROOT / document).read_text(), section)
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    output = run(with_test_kit / "pytest", "-q", cwd=tmp_path)

    tests = sum(text.count("\ndef test_") for text in files.values())
    assert tests >= 2
    assert f"{tests} passed" in output


def files_in(document: str, section: str) -> dict[str, str]:
    """Give the blocks of a section that are files, by their names."""
    begin = document.index(f"\n{section}\n")
    end = document.find("\n## ", begin + 1)
    part = Document(document[begin:end], "part.md")
    comments = ((COMMENT_ABOVE.search(part.text, 0, each.start), each.lexemes["source"]) for each in BLOCKS(part))
    return {found["value"]: str(text) for found, text in comments if found and found["word"] == "file"}
