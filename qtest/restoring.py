"""What a test may change by the way, and what is put back when its fake ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from qcore import current

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App


def remembered(app: App) -> Callable[[], None]:
    """Give a function that puts back what ``app`` was told, which App this process has, and what configures it.

    A listener, a middleware, a route or a hook that code under test adds to the App of the project would meet every
    test that follows.
    """
    before = [each.copy() for each in app.said()]
    restore_listeners = app.events.remember()
    configured, environment = current.configured(), _environment()

    def restore() -> None:
        for now, then in zip(app.said(), before, strict=True):
            _refill(now, then)
        restore_listeners()
        current.set_configured(configured)
        for name in _environment():
            if name not in environment:
                del os.environ[name]
        os.environ.update(environment)

    return restore


def _refill(now: Any, then: Any) -> None:  # noqa: ANN401 - a list or a table
    if now == then:
        return
    now.clear()
    now.extend(then) if isinstance(now, list) else now.update(then)


def _environment() -> dict[str, str]:
    """The variables that configure qcore."""
    return {name: each for name, each in os.environ.items() if name.startswith("QCORE_") or name == "QUEUE_CONNECTION"}
