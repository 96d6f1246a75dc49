"""How processes end that have a connection to a server open."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HOLD_ON = """
import sys
from qcore.sql import Database
database = Database(sys.argv[1])
database.create_all()
held = database.connection()
sys.modules["held until the end"] = held
"""


@pytest.mark.parametrize("server", ["postgres_server", "maria_server"])
def test_a_process_that_ends_with_an_open_connection_says_nothing(
    server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    running: Any = request.getfixturevalue(server)
    command = [sys.executable, "-c", HOLD_ON, running.fresh()]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (0, "", "") == (ended.returncode, ended.stdout, ended.stderr)
