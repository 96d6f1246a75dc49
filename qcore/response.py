"""Jobs that this process runs itself when the response has gone: collected meanwhile, and run one after the other.

The middleware of ``qcore.contrib.asgi`` and ``qcore.contrib.wsgi`` say when that is; elsewhere ``after_response()``
does.
"""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("qcore")


class Response:
    """One response, and the jobs that wait until it has gone."""

    origin: object = None
    """It is nobody's session."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._waiting: list[Callable[[], object]] = []
        self._is_over = False

    def when_over(self, commit: Callable[[], object], _: Callable[[], object]) -> None:
        """Call ``commit`` when the response has gone; at once when that was before."""
        with self._lock:
            if not self._is_over:
                self._waiting.append(commit)
                return
        commit()

    def is_awaited(self) -> bool:
        """Tell whether any job waits for it."""
        return bool(self._waiting)

    def run(self) -> None:
        """Run what waits, and what that adds, in order. Errors are logged: nobody is there to hear of them.

        :raises KeyboardInterrupt: when one was interrupted; the others were run all the same.
        """
        interruption: KeyboardInterrupt | None = None
        while (action := self._next()) is not None:
            try:
                action()
            except KeyboardInterrupt as error:
                interruption = error
            except BaseException:
                logger.exception("a job failed after the response")
        if interruption is not None:
            raise interruption

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.pop(0)
            self._is_over = True
            return None

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Let jobs that are dispatched after the response wait for this one."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Response | None] = ContextVar("qcore_response", default=None)


def current_response() -> Response | None:
    """Give the response that is being made here, None when nobody said so."""
    return _current.get()


@contextmanager
def after_response() -> Iterator[Response]:
    """Run at the end of the block what was dispatched after the response inside of it, also when it raises.

    ::

        with qcore.after_response():
            answer(request)  # may call SendReceipt(42).dispatch_after_response()

    A job that fails is logged, told by ``JobFailed``, and keeps no other from running.
    """
    response = Response()
    try:
        with response.collecting():
            yield response
    finally:
        with response.collecting():
            response.run()
