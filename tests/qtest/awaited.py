"""Async jobs, and plain ones, that take their time."""

from __future__ import annotations

import asyncio
import time  # noqa: TID251 - what jobs of users do
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio

from qcore import Job

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

done: list[object] = []
acts: dict[str, Callable[[], Awaitable[Any]]] = {}


async def sleep_aside(seconds: float) -> None:
    await asyncio.to_thread(time.sleep, seconds)


class Act(Job, timeout=60):
    """Does what the test says."""

    async def handle(self) -> None:
        done.append(await acts["now"]())


class Sleeps(Job, timeout=60):
    async def handle(self) -> None:
        await asyncio.sleep(3600)  # noqa: TID251


class WaitsForNothing(Job, timeout=60):
    async def handle(self) -> None:
        await asyncio.Event().wait()


class HasAnotherLimit(Job, timeout=60):
    async def handle(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 3600)


class SleepsOfAnyio(Job, timeout=60):
    async def handle(self) -> None:
        await anyio.sleep(3600)


class SleepsPlainly(Job, timeout=60):
    def handle(self) -> None:
        time.sleep(3600)


class Blocks(Job, timeout=60):
    async def handle(self) -> None:
        time.sleep(3600)  # noqa: ASYNC251 - this is the mistake


class IsStubborn(Job, timeout=60):
    async def handle(self) -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)  # noqa: TID251


OUT_OF_TIME = {
    Sleeps: 60, WaitsForNothing: 60, HasAnotherLimit: 60, SleepsOfAnyio: 60, SleepsPlainly: 60, Blocks: 63,
    IsStubborn: 62,
}  # fmt: skip
"""How long each of them takes, in virtual seconds, until its end is known."""


class IsInTime(Job, timeout=60):
    """Three things at once, which take 30 s."""

    async def handle(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(asyncio.sleep, 20)  # noqa: TID251
            group.start_soon(anyio.sleep, 30)
            with suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await asyncio.Event().wait()
        done.append("in time")
