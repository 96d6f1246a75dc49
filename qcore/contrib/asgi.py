"""Jobs after the response, under ASGI: ``application = AfterResponseMiddleware(application)``."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from qcore.response import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_ANSWERED = frozenset({"http", "websocket"})


class AfterResponseMiddleware:
    """Runs what was dispatched after the response when the application has sent it and returned.

    The jobs run in a thread, so that the event loop stays free. Put it around everything else: an error that leaves
    the application without a response is answered by the server, which hears of it only after the jobs.
    """

    def __init__(self, application: Application) -> None:
        """Stand around an application."""
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] not in _ANSWERED:
            await self._application(scope, receive, send)
            return
        response = Response()
        try:
            with response.collecting():
                await self._application(scope, receive, send)
        finally:
            await _run(response)


async def _run(response: Response) -> None:
    """Run what waits in a thread; whoever is told to stop waiting for it does not stop it."""
    with response.collecting():
        context = copy_context()
    loop = _loop() if response.is_awaited() else None
    if loop is not None:
        await asyncio.shield(loop.run_in_executor(None, context.run, response.run))
    else:
        context.run(response.run)  # nothing waits, or the loop is none of asyncio's


def _loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
