"""Jobs after the response under ASGI, with scopes written by hand."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from qcore.contrib.asgi import AfterResponseMiddleware
from qcore.response import current_response
from tests.contrib.saying import Say, said, say_async, threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.contrib.asgi import Application, Receive, Scope, Send

START = {"type": "http.response.start", "status": 200, "headers": []}


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: Any) -> None:  # noqa: ANN401 - as the protocol has it
    said.append(message.get("body", b"").decode() or message["type"])


async def serve(application: Application, kind: str = "http") -> list[str]:
    await AfterResponseMiddleware(application)({"type": kind}, receive, send)
    return said


def answering(dispatch: Callable[[], object]) -> Application:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        dispatch()
        await send(START)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    return application


@pytest.mark.asyncio
async def test_a_job_runs_when_the_last_chunk_was_sent(app: App) -> None:
    written = await serve(answering(lambda: Say().dispatch_after_response()))

    assert written == ["http.response.start", "one", "two", "job"]
    assert current_response() is None


@pytest.mark.asyncio
async def test_a_job_runs_in_a_thread_and_leaves_the_loop_free(app: App) -> None:
    loop_runs = threading.Event()

    def waits() -> None:
        assert loop_runs.wait(60)
        said.append("the loop ran meanwhile")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = current_response()
        assert response is not None
        response.when_over(waits, lambda: None)
        Say().dispatch_after_response()
        asyncio.get_running_loop().call_later(0, loop_runs.set)

    written = await serve(application)

    assert written == ["the loop ran meanwhile", "job"]
    assert threads[-1] != threading.get_ident()


@pytest.mark.asyncio
async def test_an_async_job_runs_too(app: App) -> None:
    written = await serve(answering(lambda: say_async.job("async").dispatch_after_response()))

    assert written[-1] == "async"


@pytest.mark.asyncio
async def test_code_that_the_application_hands_to_threads_and_tasks_dispatches_too(app: App) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def task() -> None:
            Say("of a coroutine").dispatch_after_response()

        await asyncio.to_thread(Say("of a thread").dispatch_after_response)
        await asyncio.gather(task())
        assert said == []

    assert await serve(application) == ["of a thread", "of a coroutine"]


@pytest.mark.asyncio
async def test_an_application_that_raises_loses_no_job(app: App) -> None:
    """DRV-03."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        Say().dispatch_after_response()
        raise KeyError

    with pytest.raises(KeyError):
        await serve(application)

    assert said == ["job"]


@pytest.mark.asyncio
async def test_a_request_that_is_cancelled_loses_no_job(app: App) -> None:
    """DRV-03. Also when all threads are busy, and whoever cancelled it does not wait for the jobs."""
    begun, is_busy, done = asyncio.Event(), threading.Event(), threading.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        response = current_response()
        assert response is not None
        Say().dispatch_after_response()
        response.when_over(done.set, lambda: None)
        begun.set()
        await asyncio.Event().wait()

    with ThreadPoolExecutor(1) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        pool.submit(is_busy.wait, 60)
        request = asyncio.create_task(AfterResponseMiddleware(application)({"type": "http"}, receive, send))
        await begun.wait()
        request.cancel()
        await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, not a time
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        is_busy.set()

    assert done.is_set()
    assert said == ["job"]


@pytest.mark.asyncio
async def test_a_job_that_fails_changes_no_answer(app: App, caplog: pytest.LogCaptureFixture) -> None:
    def dispatch() -> None:
        Say("fails", fails=True).dispatch_after_response()
        Say("runs").dispatch_after_response()

    written = await serve(answering(dispatch))

    assert written[-3:] == ["two", "fails", "runs"]
    assert "ValueError: fails" in caplog.text


@pytest.mark.asyncio
async def test_a_websocket_has_an_end_too(app: App) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        Say().dispatch_after_response()
        await send({"type": "websocket.close"})

    assert await serve(application, "websocket") == ["websocket.accept", "websocket.close", "job"]


@pytest.mark.asyncio
async def test_the_lifespan_of_a_server_has_no_response(app: App) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        Say().dispatch_after_response()
        await send({"type": "lifespan.startup.complete"})

    assert await serve(application, "lifespan") == ["job", "lifespan.startup.complete"]


@pytest.mark.asyncio
async def test_requests_at_the_same_time_do_not_know_each_other(app: App) -> None:
    first, second = asyncio.Event(), asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        Say("slow").dispatch_after_response()
        first.set()
        await second.wait()

    async def fast(scope: Scope, receive: Receive, send: Send) -> None:
        await first.wait()
        Say("fast").dispatch_after_response()

    async def fast_first() -> None:
        await serve(fast)
        second.set()

    await asyncio.gather(serve(slow), fast_first())

    assert said == ["fast", "slow"]


def test_on_another_event_loop_the_jobs_run_in_place(app: App) -> None:
    coroutine = serve(answering(lambda: Say().dispatch_after_response()))
    with pytest.raises(StopIteration):
        coroutine.send(None)

    assert said[-1] == "job"
