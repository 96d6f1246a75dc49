"""What others wrote cannot move the cursor, whatever command shows it."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from qcore import Job, batch
from qcore.driver import Payload
from qcore.errors import JobDefinitionError
from qcore.failed import FailedJob
from tests.attack_inputs import TERMINAL, written

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


class Member(Job):
    def handle(self) -> None: ...


@pytest.fixture
def _attacked(project: Project) -> None:
    body = written(
        displayName=TERMINAL, tags=[TERMINAL], data={"commandName": TERMINAL, "command": {TERMINAL: TERMINAL}}
    )
    payload = Payload(TERMINAL, body)
    with closing(project.app()) as app, app.activate():
        for queue in (TERMINAL, "default"):
            app.connection().driver.push(queue, payload._replace(id=f"{TERMINAL}{queue}"))
        record = FailedJob(payload, TERMINAL, TERMINAL, f"Traceback\n{TERMINAL}", 1_700_000_000)
        app.connections.failed_store.add(record)
        with pytest.raises(JobDefinitionError, match="without control characters"):
            batch([Member()], name=TERMINAL).dispatch()
        app.connections.store.put(f"unique:{TERMINAL}", TERMINAL)


COMMANDS = [
    ["show"],
    ["show", "default", "-v"],
    ["show", "--locks"],
    ["failed"],
    ["failed", "-v"],
    ["monitor", "--max", "1"],
    ["batches"],
    ["work", "--once", "--exit-zero", "--memory", "0"],
    ["work", "--stop-when-empty", "--exit-zero", "--memory", "0", "-v"],
    ["retry", "all"],
    ["retry", TERMINAL],
    ["forget", TERMINAL],
    ["batch", TERMINAL],
    ["monitor", TERMINAL],
    ["monitor", f"{TERMINAL}:mail"],
    ["dispatch", TERMINAL],
    ["show", TERMINAL],
    ["work", TERMINAL],
    ["clear", "--queue", TERMINAL, "--force"],
    ["pause", TERMINAL],
]


@pytest.mark.usefixtures("_attacked")
@pytest.mark.parametrize("words", COMMANDS, ids=[" ".join(words).replace(TERMINAL, "ATTACK") for words in COMMANDS])
def test_no_command_shows_a_control_character(cli: Cli, words: list[str]) -> None:
    result = cli(*words)

    shown = result.stdout + result.stderr
    assert shown
    assert shown.replace("\n", "").isprintable()
    assert "\n2026-01-01 INFO fake" not in shown


@pytest.mark.usefixtures("_attacked")
@pytest.mark.parametrize("words", [["show"], ["show", "default", "-v"], ["failed", "-v"], ["monitor"]])
def test_json_carries_it_unchanged_and_escaped(cli: Cli, words: list[str]) -> None:
    shown = cli(*words, "--json").stdout

    assert shown.replace("\n", "").isprintable()
    assert any(TERMINAL in text for line in shown.splitlines() for text in texts(json.loads(line)))


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in texts(each)]
    return [value] if isinstance(value, str) else []
