"""The step-mode worker of a fake, and ``qcore work --once`` on it: the command's own code, in this process."""

from __future__ import annotations

import io
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore.commands.endings import exit_code
from qcore.commands.project import Project
from qcore.loading import look_first_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.app import App
    from qcore.limits import WorkerOptions
    from qcore.outcome import Outcome
    from qcore.process import Interruption
    from qcore.queue import Queue
    from qcore.worker import Worker
    from qtest.pushes import Pushed
    from qtest.queue_fake import QueueFake


class Worked(NamedTuple):
    """How a command ended."""

    exit_code: int
    output: str
    """What it wrote to stdout: a line when a job begins, and one when it ends."""
    error: str
    """What it wrote to stderr."""


class LookedAt(Worked):
    """The same of a command on the queue of a test: its exit code tells of failed jobs."""

    _told: list[Pushed]

    @classmethod
    def after(cls, worked: Worked, told: list[Pushed]) -> LookedAt:
        """Take the jobs that it tells of."""
        made = cls(*worked)
        made._told = told
        return made

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - whatever it is
        """Give a part; who asks for the exit code looks at whether a job failed."""
        if name == "exit_code":
            for each in self._told:
                each.is_seen = True
        return super().__getattribute__(name)


class QueueWorker:
    """The worker of a fake queue."""

    def __init__(self, queue: QueueFake) -> None:
        """Take the fake."""
        self._queue = queue

    def run_next_job(self, queue: str | None = None) -> Outcome | None:
        """Run the one job that is due first, of one queue if given; None when nothing is due."""
        return self._queue.run_next_job(queue)

    def work_once(self, *arguments: str) -> Worked:
        """Run ``qcore work --once`` with these arguments on the fake: ``work_once("--queue", "high,low")``."""
        return worked_once(self._queue, arguments)


def worked_once(queue: QueueFake, arguments: tuple[str, ...]) -> Worked:
    """Run ``qcore work --once`` on a fake."""
    from qcore.commands.work import command

    out, err = io.StringIO(), io.StringIO()
    project, path = _FakeProject(queue), list(sys.path)
    before = set(map(id, queue.recorder.failures()))

    def run() -> object:
        given = ["--once", *arguments]
        return command.main(given, prog_name="qcore work", standalone_mode=False, obj=project)

    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = exit_code(run, project)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.path[:] = path
    failed = [each for each in queue.recorder.failures() if id(each) not in before]
    return LookedAt.after(Worked(code, out.getvalue(), err.getvalue()), failed)


class _FakeProject(Project):
    """A project whose App is the fake, and whose worker takes no signals: those belong to the test run."""

    def __init__(self, queue: QueueFake) -> None:
        super().__init__()
        self._queue = queue

    def app(self) -> App:
        """Give the fake, and look for jobs where the command would."""
        look_first_in(self._queue.app.config.root)
        return self._queue.app

    @contextmanager
    def worker(self, app: App, queue: Queue, options: WorkerOptions) -> Iterator[tuple[Worker, Interruption]]:
        """Make a worker of the fake."""
        # The memory is that of the test run.
        self._queue.stepper.begin()
        worker = app.worker(queue.name, options._replace(memory=0), time_limit=self._queue.stepper.limit)
        try:
            yield worker, worker.interruption
        finally:
            worker.runner.close()
