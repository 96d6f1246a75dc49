"""``qcore show``: what is on the queues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, job_name, place_of, redacted_body, say
from qcore.commands.locks import show_locks
from qcore.commands.project import Project, pass_project
from qcore.commands.tables import Layout
from qcore.commands.telling import EVERYTHING, Target, until_text
from qcore.commands.terminal import local, moment_text, span_text
from qcore.driver import Inspectable, QueueCounts, Sizable
from qcore.options import checked_name

if TYPE_CHECKING:
    from qcore.app import App
    from qcore.driver import Listed
    from qcore.queue import Queue

MOST = 100
"""Jobs of one queue that are shown."""


@click.command("show", short_help="Show what is on the queues.")
@click.argument("queue", required=False)
@click.option("--connection", metavar="NAME", help="The connection to look at.")
@click.option("--locks", is_flag=True, help="Show which jobs keep others away, and for how long.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@click.option("-v", "verbose", count=True, help="Show what the jobs hold, too.")
@pass_project
def command(
    project: Project, queue: str | None, connection: str | None, *, locks: bool, as_json: bool, verbose: int
) -> None:
    """Show how much is on the queues of a connection, or the first jobs of one QUEUE."""
    project.talk(verbose)
    app = project.app()
    if locks:
        if queue or connection:
            raise click.UsageError("--locks shows the locks of all connections: name no QUEUE and no --connection")
        show_locks(app, as_json=as_json)
        return
    chosen = app.connection(connection)
    if not isinstance(chosen.driver, Inspectable):
        raise chosen.unable("show what it holds")
    if not as_json:
        say(f"Connection {place_of(chosen)}")
    if queue is None:
        _show_queues(app, chosen, as_json=as_json)
    else:
        _show_jobs(app, chosen, checked_name(queue, "queue"), as_json=as_json, with_bodies=project.verbosity > 0)


def _show_queues(app: App, chosen: Queue, *, as_json: bool) -> None:
    told = _Told(app, chosen)
    counts = told.with_paused(chosen.counts())
    if as_json:
        write_json(_counts_as_json(chosen, each) | told.as_json(each.queue) for each in counts)
        return
    told.say()
    if counts:
        rows = [(*each[:4], _age(each), *told.column(each.queue)) for each in counts]
        headings = ("QUEUE", "READY", "DELAYED", "RESERVED", "OLDEST READY")
        as_table((*headings, *told.heading), rows, Layout(right=headings[1:], free=headings[:1]))
    else:
        say("Nothing is on its queues.")


class _Told:
    """What workers are told that concerns a connection."""

    def __init__(self, app: App, chosen: Queue) -> None:
        # Of a store in the memory of another process nothing can be known.
        is_shared = app.connections.store.shared
        pauses = app.signals.paused() if is_shared else []
        self.maintenance = app.signals.maintenance() if is_shared else None
        self.everything = [each for each in pauses if each.queue is None]
        self.queues = {each.queue: each for each in pauses if each.queue and each.connection == chosen.name}
        self.heading = ("PAUSED",) if self.queues or self.everything else ()
        self._default = chosen.default_queue

    def with_paused(self, counts: list[QueueCounts]) -> list[QueueCounts]:
        """Add the queues that are empty but not as usual, so that they are seen."""
        names = self.queues.keys() | ({self._default} if self.everything or self.maintenance else set())
        empty = names - {each.queue for each in counts}
        return sorted([*counts, *(QueueCounts(queue, 0, 0, 0, None) for queue in empty)])

    def say(self, queue: str = "") -> None:
        """Say what holds for all queues, and for one if it is named."""
        if self.maintenance is not None:
            say(f"Maintenance {until_text(self.maintenance.until, 'qcore up')}: workers take no jobs.")
        for pause in self.everything:
            say(f"Paused: {EVERYTHING}, {until_text(pause.until, EVERYTHING.resume)}.")
        if (one := self.queues.get(queue)) is not None:
            target = Target(queue, one.connection)
            say(f"Paused: {target}, {until_text(one.until, target.resume)}.")

    def column(self, queue: str) -> tuple[str, ...]:
        """Say of one queue, where there is such a column, whether it is paused."""
        if not self.heading:
            return ()
        pauses = [self.queues[queue]] if queue in self.queues else self.everything
        return ("-" if not pauses else "yes" if pauses[0].until is None else f"until {moment_text(pauses[0].until)}",)

    def as_json(self, queue: str) -> dict[str, object]:
        """Say of one queue whether workers take jobs from it."""
        return {"paused": bool(self.everything) or queue in self.queues, "maintenance": self.maintenance is not None}


def _age(counts: QueueCounts) -> str:
    return "-" if counts.waited is None else span_text(counts.waited)


def _counts_as_json(chosen: Queue, counts: QueueCounts) -> dict[str, object]:
    queue, ready, delayed, reserved, waited = counts
    oldest = None if waited is None else round(waited, 3)
    return {
        "connection": chosen.name,
        "queue": queue,
        "ready": ready,
        "delayed": delayed,
        "reserved": reserved,
        "oldest": oldest,
    }


def _show_jobs(app: App, chosen: Queue, queue: str, *, as_json: bool, with_bodies: bool) -> None:
    jobs, now = chosen.listed(queue, limit=MOST), app.clock.now()
    if not as_json:
        _Told(app, chosen).say(queue)
    if as_json:
        write_json(_job_as_json(app, chosen, each, with_bodies=with_bodies) for each in jobs)
    elif jobs:
        rows = [
            (each.payload.id, job_name(app, each.payload), each.state, each.attempts, _due(each, now)) for each in jobs
        ]
        layout = Layout(right=("ATTEMPTS",), free=("JOB", "AVAILABLE"), ids="ID")
        as_table(("ID", "JOB", "STATE", "ATTEMPTS", "AVAILABLE"), rows, layout)
        _show_rest(chosen, queue, len(jobs))
        if with_bodies:
            for each in jobs:
                say(f"{each.payload.id} {json.dumps(redacted_body(app, each.payload), ensure_ascii=False)}")
    else:
        say(f"Nothing is on the queue {queue}.")


def _show_rest(chosen: Queue, queue: str, shown: int) -> None:
    if shown < MOST:
        return
    if not isinstance(chosen.driver, Sizable):
        say("... and perhaps more")
    elif (rest := chosen.size(queue) - shown) > 0:
        say(f"... and {rest} more")


def _due(listed: Listed, now: float) -> str:
    if listed.available_at <= now:
        return "now"
    return f"in {span_text(listed.available_at - now)}, at {moment_text(listed.available_at)}"


def _job_as_json(app: App, chosen: Queue, listed: Listed, *, with_bodies: bool) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": listed.payload.id,
        "connection": chosen.name,
        "queue": listed.queue,
        "job": job_name(app, listed.payload),
        "state": listed.state,
        "attempts": listed.attempts,
        "available_at": local(listed.available_at).isoformat(timespec="milliseconds"),
    }
    return {**shown, "payload": redacted_body(app, listed.payload)} if with_bodies else shown
