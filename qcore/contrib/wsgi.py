"""Jobs after the response, under WSGI: ``application = AfterResponseMiddleware(application)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcore.response import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class AfterResponseMiddleware:
    """Runs what was dispatched after the response when the server has sent it and closes it.

    Put it around everything else: an error that leaves the application without a response is answered by the server,
    which hears of it only after the jobs.
    """

    def __init__(self, application: WSGIApplication) -> None:
        """Stand around an application."""
        self._application = application

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        response = Response()
        try:
            with response.collecting():
                chunks = self._application(environ, start_response)
        except BaseException:
            _run(response)
            raise
        if isinstance(chunks, list | tuple) and not response.is_awaited():
            return chunks  # no more code of the application will run, and servers like to know the length
        return _Chunks(chunks, response)


class _Chunks:
    """The body of a response, whose end the server tells by closing it."""

    def __init__(self, chunks: Iterable[bytes], response: Response) -> None:
        self._chunks: Any = chunks
        self._response = response
        self._iterator: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        # What makes the body may dispatch, too, and the server does other things in between.
        with self._response.collecting():
            if self._iterator is None:
                self._iterator = iter(self._chunks)
            return next(self._iterator)

    def close(self) -> None:
        """Close the body of the application, and run what waits."""
        try:
            if hasattr(self._chunks, "close"):
                with self._response.collecting():
                    self._chunks.close()
        finally:
            _run(self._response)


def _run(response: Response) -> None:
    with response.collecting():
        response.run()
