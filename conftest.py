"""What holds for every test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from pathlib import Path

# The contract suite asserts like a test, and shall explain a failure like one.
pytest.register_assert_rewrite("qtest")
# No deadline, no complaint about slow data: a test says what is right, not how fast this machine is today.
hypothesis.settings.register_profile(
    "qcore", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("qcore")


@pytest.fixture(autouse=True)
def an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts in a folder of its own, with no configuration around it."""
    for name in os.environ:
        if name.startswith(("QCORE_", "QUEUE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
