"""The shape of the house: sizes, names, words, and what an import costs. Who may import whom: ``make floors``."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FILES = sorted(path for package in ("qcore", "qtest") for path in (ROOT / package).rglob("*.py"))
MAX_FILE_LINES = 350
MAX_BODY_LINES = 40
VAGUE = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
# One thing, one word: what we say, and what others say for it.
OTHER_WORDS = {
    "job": "task|message|actor|envelope",
    "connection or driver": "broker|transport|tube",
    "push, reserve, delete, release, fail": "enqueue|dequeue|ack|nack|bury",
    "attempts, tries, delay, timeout, retry_after": "retries|eta|countdown|ttr|visibility",
    "available_at, reserved_at": "run_at|scheduled_at|locked_at",
    "worker or runner": "consumer|processor|executor",
}
LISTENS_AND_IMPORTS = """
import json, sys
OPENING = "open os.mkdir os.fork subprocess.Popen socket.__new__ sqlite3.connect _thread.start_new_thread".split()
opened = []
def heard(event, arguments):
    if event in OPENING and not str(arguments[0]).endswith((".py", ".pyc", ".so")):
        opened.append([event, str(arguments[0])])
before = set(sys.modules)
sys.addaudithook(heard)
import qcore
sys.stdout.write(json.dumps({"opened": opened, "loaded": sorted(set(sys.modules) - before)}))
"""

every_file = pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in FILES])


@every_file
def test_a_file_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())

    assert lines <= MAX_FILE_LINES


@every_file
def test_a_function_is_short(path: Path) -> None:
    source = path.read_text()

    long = {name: lines for name, lines in body_lines(source) if lines > MAX_BODY_LINES}

    assert {} == long


def body_lines(source: str) -> Iterator[tuple[str, int]]:
    """Every function with its lines of code: no docstring, no comments, no blank lines."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = node.body[0].end_lineno if ast.get_docstring(node) else node.body[0].lineno - 1
            body = (line.strip() for line in lines[start : node.end_lineno])
            yield node.name, sum(1 for line in body if line and not line.startswith("#"))


@every_file
def test_a_file_is_named_by_the_thing_it_holds(path: Path) -> None:
    assert path.stem not in VAGUE


@every_file
def test_a_file_says_our_words(path: Path) -> None:
    names = [(1, path.stem), *names_given(ast.parse(path.read_text()))]

    others = [f"line {line}: {name} (say {say})" for line, name in names for say in other_word_for(name)]

    assert [] == others


def names_given(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names that others read: classes, functions, their parameters, attributes, what a module or class assigns.

    What stays inside may be called what it is: a task of asyncio's, the message of an error.
    """
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
                if not name.startswith("_") or name.startswith("__"):
                    yield from ((part.lineno, part.arg) for part in ast.walk(node.args) if isinstance(part, ast.arg))
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from assigned_names(node)


def assigned_names(node: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    for statement in node.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from ((name.lineno, name.id) for name in targets if isinstance(name, ast.Name))


def other_word_for(name: str) -> list[str]:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return [say for say, words in OTHER_WORDS.items() if re.search(rf"(?:^|_)(?:{words})s?(?:_|$)", snake)]


@pytest.mark.parametrize("name", ["task", "TaskQueue", "ack_late", "_brokers", "run_at"])
def test_words_of_others_are_found_inside_a_name(name: str) -> None:
    assert other_word_for(name)


@pytest.mark.parametrize("name", ["back", "beta", "multitasking", "job", "attempts", "buried_at"])
def test_words_of_others_are_whole_words(name: str) -> None:
    assert [] == other_word_for(name)


def test_importing_qcore_opens_nothing_and_loads_nothing_heavy() -> None:
    found = import_qcore(ROOT)

    heavy = {"asyncio", "click", "freezegun", "importlib.metadata", "pytest", "qtest", "redis", "sqlalchemy", "tomllib"}
    assert set() == heavy & set(found["loaded"])
    assert [] == found["opened"]


def test_what_an_import_opens_and_loads_is_heard(tmp_path: Path) -> None:
    (tmp_path / "qcore.py").write_text("import sqlite3, tomllib; sqlite3.connect('new.db'); open('new.txt', 'w')")

    found = import_qcore(tmp_path)

    assert [["sqlite3.connect", "new.db"], ["open", "new.txt"]] == found["opened"]
    assert "tomllib" in found["loaded"]


def import_qcore(folder: Path) -> dict[str, list[object]]:
    # Not measured: coverage would load tomllib and more before qcore could.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-B", "-c", LISTENS_AND_IMPORTS]
    output = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True).stdout
    found: dict[str, list[object]] = json.loads(output)
    return found
