"""Whether an event loop is running here, of asyncio or of trio."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qcore.errors import QcoreError

if TYPE_CHECKING:
    from collections.abc import Iterator


def refuse_in_loop(name: str) -> None:
    """Complain inside of a running event loop, whose thread an async job would have to wait for.

    :raises QcoreError: names the form to await.
    """
    __tracebackhide__ = True
    if not (_is_in_asyncio() or _is_in_trio()):
        return
    twin = f"arun_{name.removeprefix('run_')}" if name.startswith("run_") else f"a{name}"
    message = f"{name}() would block the event loop that is running here: write `await queue.{twin}(...)`"
    raise QcoreError(message)


class _Here(threading.local):
    is_elsewhere = False


_here = _Here()


@contextmanager
def elsewhere() -> Iterator[None]:
    """Let code on a loop of trio believe that none is running: its jobs have loops of asyncio of their own."""
    _here.is_elsewhere = True
    try:
        with unsniffed():
            yield
    finally:
        _here.is_elsewhere = False


@contextmanager
def unsniffed() -> Iterator[None]:
    """Let libraries that run on both kinds of loops look anew which one is running: they ask sniffio."""
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        yield
        return
    name, sniffio.thread_local.name = sniffio.thread_local.name, None
    token = sniffio.current_async_library_cvar.set(None)
    try:
        yield
    finally:
        sniffio.current_async_library_cvar.reset(token)
        sniffio.thread_local.name = name


def _is_in_asyncio() -> bool:
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _is_in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and not _here.is_elsewhere and bool(trio.lowlevel.in_trio_run())
