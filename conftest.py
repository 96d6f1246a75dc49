"""What holds for every test."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["pytester", "tests.backends", "tests.servers"]

# The contract suite asserts like a test, and shall explain a failure like one.
_CONTRACTS = (Path(__file__).parent / "qtest").glob("*contract*.py")
pytest.register_assert_rewrite(*(f"qtest.{path.stem}" for path in _CONTRACTS))
# No deadline, no complaint about slow data: a test says what is right, not how fast this machine is today.
hypothesis.settings.register_profile(
    "qcore", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("qcore")

_MEMORY = "/dev/shm"
_ROOM = 4 << 30
"""Bytes that must be free in it: what tests and their servers write, several times over."""


def _keep_temporary_files_in_memory() -> None:
    """Where there is room; tests wait for a disk for much of their time. Who has set TMPDIR has chosen."""
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return
    there = os.statvfs(_MEMORY)
    if there.f_bavail * there.f_frsize >= _ROOM and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = _MEMORY
        tempfile.tempdir = None  # may have been asked for before


_keep_temporary_files_in_memory()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell lets what it runs in the background ignore Ctrl-C, and so would the processes that tests send one to.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_UNMEASURED = re.compile(r"benchmark|chaos|compat|docs|kills|make_job|races|test_servers")
"""Tests that start very many processes, or such as are not ours: what these cover is not measured, which takes long."""


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    """Load the plugin of the tree that is tested; where it is installed, pytest has done so."""
    if not pluginmanager.has_plugin("qtest"):
        import qtest.plugin  # not before: asserts are rewritten from here on

        pluginmanager.register(qtest.plugin, "qtest")


@pytest.fixture(autouse=True)
def an_empty_folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts in a folder of its own, with no configuration around it."""
    if _UNMEASURED.search(request.node.nodeid.partition("::")[0]):
        monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    for name in os.environ:
        if name.startswith(("QCORE_", "QUEUE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path
