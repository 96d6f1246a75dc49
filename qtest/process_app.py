"""The App of a command that ``queue_cli`` starts: that of the test, in another process.

``QCORE_APP`` of that process names ``qtest.process_app:app``; it is built when it is asked for.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.app import App
from qcore.clock import SystemClock
from qcore.config import Config
from qcore.errors import QcoreError
from qcore.loading import load_jobs
from qtest.fake_app import FakeApp
from qtest.user_app import named_app

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

VARIABLE = "QTEST_PROCESS"
"""Names the file in which the test has written what its App is."""

SPEC = f"{__name__}:app"


class ShiftedClock:
    """The clock of the machine, ahead by so many seconds: the process begins at the instant of the test."""

    def __init__(self, ahead: float) -> None:
        """Take the seconds; negative ones when the test lives in the past."""
        self._ahead = ahead
        self._system = SystemClock()

    def now(self) -> float:
        """Seconds since 1970, from the instant of the test on."""
        return self._system.now() + self._ahead

    def monotonic(self) -> float:
        """Seconds of the machine."""
        return self._system.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait that long in real time."""
        self._system.sleep(seconds)

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        """Wait for a notification in real time."""
        self._system.wait(condition, seconds)


def describe(config: Config, *, app: str, root: Path, ahead: float, imports: Sequence[str]) -> str:
    """Write down what another process needs to build the App of a test. The keys of the project are in it.

    :raises QcoreError: for a configuration that cannot be written.
    """
    settings = {each.name: getattr(config, each.name) for each in fields(config)}
    settings |= {"keys": config.keys._secrets, "root": str(config.root)}  # type: ignore[union-attr] # noqa: SLF001 - they show themselves nowhere else
    told = {"config": settings, "app": app, "root": str(root), "ahead": ahead, "imports": [*imports]}
    try:
        return json.dumps(told, default=_plain)
    except (TypeError, ValueError) as error:
        message = f"the configuration of this App cannot be given to another process: {error}"
        raise QcoreError(message) from error


def _plain(value: object) -> object:
    if hasattr(value, "items"):
        return dict(value.items())
    if isinstance(value, Path):
        return str(value)
    message = f"{type(value).__qualname__} is no text, number, list or table"
    raise TypeError(message)


def _build() -> App:
    """Take over this process, as the fake has done with that of the test."""
    told: dict[str, Any] = json.loads(Path(os.environ[VARIABLE]).read_text(encoding="utf-8"))
    config, root = Config(**told["config"]), Path(told["root"])
    real = named_app(told["app"], root) if told["app"] else App(config)
    app = FakeApp(real, config, ShiftedClock(told["ahead"]), fake=(), passthrough=(), payload_checks=False)
    current.override(app)
    if told["imports"]:
        load_jobs(told["imports"], root, "queue_cli()")
    return app


def __getattr__(name: str) -> object:
    if name == "app":
        return _build()
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
