"""``qcore work``: run jobs."""

from __future__ import annotations

import logging
import os
import signal
import sys
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click

from qcore.commands.listing import address_of, place_of
from qcore.commands.project import Project, pass_project
from qcore.commands.terminal import escaped
from qcore.commands.values import BACKOFF, COUNT, NUMBER, QUEUES, SECONDS, largest
from qcore.commands.work_calm import Calm, Restless
from qcore.commands.work_options import check_leases, worker_options
from qcore.commands.work_output import Printer, Warnings, listen, listen_start, style_for
from qcore.driver import Inspectable
from qcore.errors import DriverError
from qcore.limits import StopReason
from qcore.loading import load_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from qcore.app import App
    from qcore.commands.work_lines import Style
    from qcore.limits import WorkerOptions
    from qcore.process import Interruption
    from qcore.queue import Queue
    from qcore.worker import Worker

logger = logging.getLogger("qcore")

A_JOB_FAILED, NOBODY_READS, TOO_MUCH_MEMORY = 1, 1, 12
_NAMED = 5
"""Queues that are named when nobody works on them."""


@click.command("work", short_help="Run jobs.")
@click.argument("connection", required=False)
@click.option("--once", is_flag=True, help="Run one job, if there is one, and end.")
@click.option("--stop-when-empty", is_flag=True, help="End when no job is due.")
@click.option("--stop-when-empty-for", type=SECONDS, metavar="N", help="End when no job was due for N seconds.")
@click.option("--drain", is_flag=True, help="End when nothing waits, delayed jobs included.")
@click.option("--max-jobs", type=COUNT, metavar="N", help="End after N jobs.")
@click.option("--max-time", type=SECONDS, metavar="N", help="End after N seconds.")
@click.option("--queue", type=QUEUES, help="Work on these queues, strictly in this order.")
@click.option("--tries", type=COUNT, help="How often a job may be tried; 0: without limit.  [default: 1]")
@click.option("--backoff", type=BACKOFF, help="Seconds before another attempt: 5 or 1,5,10.  [default: 0]")
@click.option("--delay", type=BACKOFF, help="Old name of --backoff; the larger one counts.")
@click.option("--sleep", type=SECONDS, metavar="N", help="Wait N seconds when no job is due.  [default: 3]")
@click.option("--rest", type=SECONDS, metavar="N", help="Pause N seconds after each job.  [default: 0]")
@click.option("--timeout", type=SECONDS, metavar="N", help="Seconds a job may run; 0: no limit.  [default: 60]")
@click.option("--memory", type=NUMBER, metavar="MB", help="End above so many megabytes; 0: never.  [default: 128]")
@click.option("--name", help="What to call this worker.  [default: default]")
@click.option("--force", is_flag=True, help="Run jobs during maintenance (qcore down), too.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.option("--exit-zero", is_flag=True, help="End with 0 though a job failed.")
@click.option("-v", "verbose", count=True, help="Say more; -vv shows the traceback of an error.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing.")
@click.option("--daemon", is_flag=True, help="Without effect; for old scripts.")
@pass_project
def command(project: Project, /, connection: str | None, **given: Any) -> None:
    """Run jobs from the queues of CONNECTION.

    Ends with 0; with 12 when it used too much memory; with 1 when it was to end by itself (--once,
    --stop-when-empty, --drain) and a job failed or raised; with 2 when it was called or configured wrongly.
    """
    project.talk(given.pop("verbose"))
    output = _Output(given.pop("as_json"), given.pop("quiet"), project.verbosity)
    once, exit_zero, _ = given.pop("once"), given.pop("exit_zero"), given.pop("daemon")
    given["backoff"] = _backoff(given["backoff"], given.pop("delay"))
    app = project.app()
    queue = app.connection(connection)
    if not once:
        # Before the jobs are imported: who says `qcore restart` from now on may have changed them by then.
        app.signals.note_start()
    load_jobs(app.config.imports, app.config.root, app.config.source)
    options = worker_options(app.config, queue, given)
    check_leases(queue, options)
    # What jobs print shall not stand between the JSON objects.
    prints = redirect_stdout(sys.stderr if output.as_json else sys.stdout)
    if sys.stderr.isatty() and output.talks:
        project.on_stop = _say_stopping
    place = None if once or options.finite else address_of(queue)
    with project.worker(app, queue, options) as (worker, signals), _talking(app, output, signals, place), prints:
        if output.talks:
            _greet(app, queue, options)
        failed, code = _run_one(worker) if once else _run_many(worker)
        if output.talks and options.finite and not signals.signal:
            _name_others(queue, options)
    if signals.signal == signal.SIGPIPE:
        sys.exit(NOBODY_READS)
    sys.exit(code or (A_JOB_FAILED if failed and not exit_zero else 0))


class _Output(NamedTuple):
    as_json: bool
    quiet: bool
    verbosity: int

    @property
    def talks(self) -> bool:
        """True when people may read what goes to stderr."""
        return not (self.as_json or self.quiet)


def _backoff(*said: float | Sequence[float] | None) -> float | Sequence[float] | None:
    given = [each for each in said if each is not None]
    return largest(given) if given else None


@contextmanager
def _talking(app: App, output: _Output, signals: Interruption, place: str | None) -> Iterator[None]:
    """Write what happens: jobs to stdout, warnings to stderr; at the start ``place``, for one who stays."""

    def stop() -> None:
        signals.signal = signals.signal or signal.SIGPIPE

    def style(stream: TextIO) -> Style:
        return style_for(stream, app.redactor, output.verbosity, as_json=output.as_json)

    with ExitStack() as stack:
        if not output.quiet:
            # Machines count lines, and who says -v wants to see them all.
            calm = Restless() if output.as_json or output.verbosity else Calm()
            look, write = style(sys.stdout), Printer(sys.stdout, stop)
            ends = listen(app, look, write, calm=calm)
            if place is not None and (output.as_json or not sys.stdout.isatty()):
                ends.append(listen_start(app, look, write, place))
            for end in ends:
                stack.callback(end)
        log = logging.getLogger("qcore")
        if not log.hasHandlers():  # else the jobs' own modules set up logging: theirs is the word
            handler = Warnings(app, style(sys.stderr), Printer(sys.stderr, stop))
            log.addHandler(handler)
            stack.callback(log.removeHandler, handler)
        yield


def _greet(app: App, queue: Queue, options: WorkerOptions) -> None:
    if not queue.driver.shared:
        what = f"the connection {queue.name!r} lives in one process: what others push there does not reach this worker"
        click.echo(f"warning: {escaped(what)}", err=True)
    elif not app.connections.store.shared:
        what = (
            "restart, pause, maintenance, unique jobs and limits hold in this process only: let `store` in the "
            "configuration name a connection that processes share"
        )
        click.echo(f"warning: {what}", err=True)
    if 0 < queue.driver.retry_after <= options.timeout:
        what = (
            f"a job may run {options.timeout:g} s here, but comes back {queue.driver.retry_after:g} s after it was "
            "reserved, and would be run twice: raise retry_after, lower --timeout, or give long jobs their own timeout"
        )
        click.echo(f"warning: {what}", err=True)
    if sys.stderr.isatty():
        names = ", ".join(options.queues)
        click.echo(escaped(f"Processing jobs from the [{names}] queues on {place_of(queue)}."), err=True)


def _say_stopping() -> None:
    # Inside a signal handler: past the streams, whose locks the job may hold; over the ^C of the terminal.
    with suppress(OSError):
        os.write(2, b"\rStopping: finishing the job in hand; once more to interrupt it\n")


def _name_others(queue: Queue, options: WorkerOptions) -> None:
    """Name the queues of the connection that hold jobs and were not worked on: often one was forgotten."""
    if not isinstance(queue.driver, Inspectable):
        return
    try:
        waiting = {each.queue: each.ready + each.delayed for each in queue.driver.counts()}
    except DriverError as error:
        click.echo(f"warning: whether jobs wait on other queues cannot be told: {escaped(str(error))}", err=True)
        return
    others = {name: count for name, count in waiting.items() if count and name not in options.queues}
    if others:
        click.echo(escaped(_others_text(others)), err=True)


def _others_text(others: Mapping[str, int]) -> str:
    count, most = sum(others.values()), sorted(others, key=lambda name: (-others[name], name))[:_NAMED]
    names = ", ".join(f"{name} ({others[name]})" for name in most)
    rest = len(others) - len(most)
    more = f" and {rest} more" if rest else ""
    return f"{count} job{' waits' if count == 1 else 's wait'} on other queues: {names}{more}"


def _run_one(worker: Worker) -> tuple[bool, int]:
    if worker.run_next_job() is None and (why := worker.reasons()):
        logger.warning("the worker ends although jobs may wait: %s", why)
    return worker.errors > 0, 0


def _run_many(worker: Worker) -> tuple[bool, int]:
    """Say whether a finite run had a job that failed, and the exit code that the reason to stop asks for."""
    stopped = worker.run()
    return (
        worker.options.finite and stopped.errors > 0,
        TOO_MUCH_MEMORY if stopped.reason is StopReason.MEMORY else 0,
    )
