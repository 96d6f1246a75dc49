"""Jobs after the response under WSGI, as `wsgiref` and its validator serve it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

from qcore.contrib.wsgi import AfterResponseMiddleware
from qcore.response import current_response
from tests.contrib.saying import Say, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import pytest

    from qcore.app import App


class Out(io.BytesIO):
    """What goes to the client, told beside what jobs say."""

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - as io has it
        said.append(bytes(data).decode().splitlines()[-1] if data.strip() else "")
        return super().write(data)


def serve(application: WSGIApplication) -> list[str]:
    """Answer one request, and give what was written and said, in its order."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ["QUERY_STRING"] = ""
    handler = SimpleHandler(io.BytesIO(), Out(), io.StringIO(), environ, multithread=False, multiprocess=False)
    handler.run(validator(AfterResponseMiddleware(validator(application))))
    return said


def answering(
    body: Callable[[], Iterable[bytes]], *, headers: Iterable[tuple[str, str]] = (("Content-Type", "text/plain"),)
) -> WSGIApplication:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        Say("before").dispatch_after_response()
        start_response("200 OK", list(headers))
        return body()

    return application


def test_a_job_runs_when_the_body_was_sent(app: App) -> None:
    written = serve(answering(lambda: [b"body"]))

    assert written[-2:] == ["body", "before"]


def test_what_makes_the_body_may_dispatch_too(app: App) -> None:
    def body() -> Iterator[bytes]:
        Say("while").dispatch_after_response()
        yield b"one"
        assert current_response() is not None
        Say("between").dispatch_after_response()
        yield b"two"

    written = serve(answering(body))

    assert written[-5:] == ["one", "two", "before", "while", "between"]
    assert current_response() is None


def test_the_body_is_closed_before_the_jobs_run(app: App) -> None:
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            return iter([b"body"])

        def close(self) -> None:
            Say("in close").dispatch_after_response()
            said.append("closed")

    written = serve(answering(Body))

    assert written[-4:] == ["body", "closed", "before", "in close"]


def test_a_body_that_breaks_off_loses_no_job(app: App) -> None:
    """DRV-03."""

    def body() -> Iterator[bytes]:
        yield b"half"
        raise KeyError

    assert serve_bare(answering(body))[-2:] == ["half", "before"]


def serve_bare(application: WSGIApplication) -> list[str]:
    """The same without the validator, for what is against the rules."""
    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    handler = SimpleHandler(io.BytesIO(), Out(), io.StringIO(), environ, multithread=False, multiprocess=False)
    handler.run(AfterResponseMiddleware(application))
    return said


def test_an_application_that_raises_loses_no_job(app: App) -> None:
    """DRV-03. The server answers for it."""

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        Say().dispatch_after_response()
        raise KeyError

    written = serve_bare(application)

    assert written[0] == "job"
    assert "A server error occurred.  Please contact the administrator." in written


def test_a_job_that_fails_changes_no_answer(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        Say("fails", fails=True).dispatch_after_response()
        Say("runs").dispatch_after_response()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"body"]

    written = serve(application)

    assert written[-3:] == ["body", "fails", "runs"]
    assert "ValueError: fails" in caplog.text


def test_a_list_is_a_body_like_others(app: App) -> None:
    assert serve_bare(answering(lambda: [b"body"]))[-2:] == ["body", "before"]


def test_an_answer_without_jobs_is_handed_on_as_it_is(app: App) -> None:
    body = [b"body"]

    def application(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return body

    given = AfterResponseMiddleware(application)({}, lambda *_: lambda _: None)

    assert given is body


def test_a_file_is_sent_and_closed(app: App) -> None:
    file = io.BytesIO(b"content")

    written = serve_bare(answering(lambda: FileWrapper(file)))

    assert written[-2:] == ["content", "before"]
    assert file.closed


def test_two_requests_do_not_know_each_other(app: App) -> None:
    """A server may begin one while it writes another."""
    made: list[Any] = []
    middleware = AfterResponseMiddleware(answering(lambda: iter([b"body"])))
    for _ in range(2):
        made.append(middleware({}, lambda *_: lambda _: None))  # noqa: PERF401 - one after the other
    assert said == []

    list(made[1])
    made[1].close()
    assert said == ["before"]
    made[0].close()
    made[0].close()

    assert said == ["before", "before"]
