"""Which App a ``job.dispatch()`` goes to.

In this order: the one activated in this context (``with app.activate():``), the process-wide override
(what a test sets: it reaches every thread), the one built from the project's configuration on first use.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.app import App

active: ContextVar[App | None] = ContextVar("qcore_app", default=None)

let_through: ContextVar[bool] = ContextVar("qcore_let_through", default=False)
"""True while a push may reach a real connection although a test has taken over the process."""

_lock = threading.Lock()
_override: App | None = None
_configured: App | None = None
_build: Callable[[], App] | None = None
_refusal = ""


def app() -> App:
    """Give the App in force."""
    return active.get() or _override or _from_configuration()


def _from_configuration() -> App:
    global _configured  # noqa: PLW0603 - one App for a process, made on first use
    with _lock:
        if _configured is None:
            if _build is None:  # pragma: no cover - qcore/__init__ sets it
                message = "import qcore before using it"
                raise RuntimeError(message)
            _configured = _build()
        return _configured


def configured() -> App | None:
    """Give the App of this process, None when none was made or set yet."""
    return _configured


def enter(app: App) -> None:
    """Make ``app`` the one of this context, whose job runs here; while a test stands in for it, that of the test."""
    if _override is not None and _override.stands_for(app):
        let_through.set(False)
        app = _override
    active.set(app)


@contextmanager
def belonging_to(app: App) -> Iterator[None]:
    """Let what is added to a batch of ``app`` go where the batch is, if a test that has taken over let that through."""
    if _override is None or not _override.lets_through(app):
        yield
        return
    token = let_through.set(True)
    try:
        yield
    finally:
        let_through.reset(token)


def build_with(build: Callable[[], App]) -> None:
    """Say how the App of the project's configuration is built."""
    global _build  # noqa: PLW0603 - set once, by the package itself
    _build = build


def set_configured(app: App | None) -> None:
    """Make ``app`` the one of this process, as ``--app`` does; None: build it anew on next use."""
    global _configured  # noqa: PLW0603
    with _lock:
        _configured = app


def override(app: App | None) -> None:
    """Send every dispatch of this process to ``app``, in all threads; None ends it."""
    global _override  # noqa: PLW0603
    _override = app


def overridden() -> App | None:
    """Give the process-wide override, if there is one."""
    return _override


def refuse_pushes(why: str) -> None:
    """Let no push reach a connection that others read unless a fake is active, for this reason; empty: any may."""
    global _refusal  # noqa: PLW0603 - one for the process, as the override is
    _refusal = why


def refusal() -> str:
    """Tell why no push may reach a connection that others read; empty when it may."""
    return _refusal
