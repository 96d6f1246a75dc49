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
    said = app.said()
    before = [each.copy() for each in said]
    restore_listeners = app.events.remember()
    configured, environment = current.configured(), _environment()

    def restore() -> None:
        for now, then in zip(said, before, strict=True):
            _refill(now, then)
        restore_listeners()
        current.set_configured(configured)
        for name in _environment():
            if name not in environment:
                del os.environb[name]
        os.environb.update(environment)

    return restore


def _refill(now: Any, then: Any) -> None:  # noqa: ANN401 - a list or a table
    if now == then:
        return
    now.clear()
    now.extend(then) if isinstance(now, list) else now.update(then)


def _environment() -> dict[bytes, bytes]:
    """The variables that configure qcore, as bytes: every test pays for this, and texts cost four times as much."""
    return {name: os.environb[name] for name in os.environb if name.startswith(_OURS)}


_OURS = (b"QCORE_", b"QUEUE_CONNECTION")
