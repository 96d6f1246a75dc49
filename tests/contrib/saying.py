"""Jobs that say on which thread they run, for the tests of web servers."""

from __future__ import annotations

import threading

from qcore import Job, job

said: list[str] = []
threads: list[int] = []


class Say(Job):
    def __init__(self, what: str = "job", *, fails: bool = False) -> None:
        self.what = what
        self.fails = fails

    def handle(self) -> None:
        said.append(self.what)
        threads.append(threading.get_ident())
        if self.fails:
            raise ValueError(self.what)


@job
async def say_async(what: str) -> None:
    said.append(what)
