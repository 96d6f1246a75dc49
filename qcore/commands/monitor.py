"""``qcore monitor``: how much is on queues, how long it waits, and whether that is too much."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from qcore.commands.listing import as_json as write_json
from qcore.commands.listing import as_table, say
from qcore.commands.monitored import Limits, Seen, look, wanted
from qcore.commands.project import Project, pass_project
from qcore.commands.tables import Layout
from qcore.commands.terminal import escaped, moment_text, span_text
from qcore.commands.values import COUNT, SECONDS, Number
from qcore.errors import ConfigError, QcoreError
from qcore.loading import load_jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from qcore.app import App

FINE, ALERT, NOT_SEEN = 0, 1, 2
_HEADINGS = ("CONNECTION", "QUEUE", "SIZE", "READY", "DELAYED", "RESERVED", "OLDEST READY", "STATUS")
_LAYOUT = Layout(right=_HEADINGS[2:7], free=_HEADINGS[:2], colours={"OK": "green", "ALERT": "red"})
_OFTEN = Number(0.1)


@click.command("monitor", short_help="Watch how much is on the queues, and how long it waits.")
@click.argument("queues", nargs=-1, metavar="[[CONNECTION:]QUEUE ...]")
@click.option("--connection", metavar="NAME", help="The connection of queues that name none.")
@click.option("--max", "size", type=COUNT, default=1000, show_default=True, metavar="N", help="Alert from N jobs on.")
@click.option(
    "--max-wait", "wait", type=SECONDS, default=0, metavar="N", help="Alert when a ready job waits N seconds."
)
@click.option("--watch", type=_OFTEN, metavar="N", help="On a terminal: look again every N seconds, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line.")
@pass_project
def command(project: Project, /, queues: tuple[str, ...], *, size: int, wait: float, **given: Any) -> None:
    """Show how much is on queues, and whether it is too much; without QUEUE, on all queues of the connection.

    Several are written one after the other or with commas, `redis:` stands for all queues of that connection, and 0 as
    a limit for none. Ends with 1 when there is an alert, with 2 when a connection cannot be looked at. Listeners of
    QueueBusy are told of each alert.
    """
    watch, as_json = given["watch"], given["as_json"]
    if watch is not None and (as_json or not sys.stdout.isatty()):
        raise click.UsageError("--watch is for people at a terminal: leave it away, and call the command again")
    app = project.app()
    monitor = Monitor(app, wanted(app, queues, given["connection"]), Limits(size, wait), as_json=as_json)
    _load_listeners(app)
    sys.exit(monitor.look() if watch is None else monitor.watch(watch))


def _load_listeners(app: App) -> None:
    """Import the jobs, which may listen to alerts; what is wrong with them hides no alert."""
    try:
        load_jobs(app.config.imports, app.config.root, app.config.source)
    except ConfigError as error:
        click.echo(f"warning: {escaped(str(error))}; listeners there hear of no alert", err=True)


class Monitor:
    """Looks at queues, once or again and again, and tells what it sees."""

    def __init__(self, app: App, queues: Mapping[str, Sequence[str]], limits: Limits, *, as_json: bool) -> None:
        """Take the queues by connection."""
        self._app = app
        self._queues = queues
        self._limits = limits
        self._as_json = as_json
        self._told: set[tuple[str, str, tuple[str, ...]]] = set()

    def look(self) -> int:
        """Look once, and give the exit code."""
        found, troubles = dict[str, list[Seen]](), list[QcoreError]()
        for connection, queues in self._queues.items():
            try:
                found[connection] = look(self._app, connection, queues, self._limits)
            except QcoreError as error:  # one that cannot be asked hides no other
                troubles.append(error)
        seen = [each for of_connection in found.values() for each in of_connection]
        if self._as_json:
            write_json(map(_as_object, seen))
        else:
            self._write(seen, found)
        for trouble in troubles:
            click.echo(f"error: {escaped(str(trouble))}", err=True)
        alerts = [each for each in seen if each.over]
        self._tell(alerts)
        return NOT_SEEN if troubles else ALERT if alerts else FINE

    def watch(self, seconds: float) -> int:
        """Look every so many seconds until Ctrl-C, and give the last exit code."""
        code = FINE
        try:
            while True:
                click.clear()
                say(moment_text(self._app.clock.now()))
                code = self.look()
                self._app.clock.sleep(seconds)
        except KeyboardInterrupt:
            return code

    def _write(self, seen: Sequence[Seen], connections: Collection[str]) -> None:
        for name in connections:
            if not self._app.connection(name).driver.shared:
                what = f"the connection {name!r} lives in one process: what others push there cannot be seen from here"
                click.echo(f"warning: {escaped(what)}", err=True)
        if seen:
            as_table(_HEADINGS, map(_row, seen), _LAYOUT)
        elif connections:
            say("Nothing is on these queues.")
        for each in seen:
            if each.over:
                say(f"{each.queue} of {each.connection}: {_why(each, self._limits)}")

    def _tell(self, alerts: Sequence[Seen]) -> None:
        """Tell the listeners of what is new since the last look."""
        for each in alerts:
            if (each.connection, each.queue, each.over) not in self._told:
                self._app.events.emit(each.event)
        self._told = {(each.connection, each.queue, each.over) for each in alerts}


def _row(seen: Seen) -> tuple[object, ...]:
    counts: Sequence[object] = ("-", "-", "-") if seen.counts is None else seen.counts[1:4]
    oldest = "-" if seen.waited is None else span_text(seen.waited)
    return seen.connection, seen.queue, seen.size, *counts, oldest, _status(seen)


def _status(seen: Seen) -> str:
    return "ALERT" if seen.over else "OK"


def _why(seen: Seen, limits: Limits) -> str:
    reasons = (
        [f"it holds {seen.size} job{'' if seen.size == 1 else 's'} (--max {limits.size})"]
        if "size" in seen.over
        else []
    )
    if "wait" in seen.over and seen.waited is not None:
        reasons.append(f"a job is ready for {span_text(seen.waited)} (--max-wait {limits.wait:g})")
    return " and ".join(reasons)


def _as_object(seen: Seen) -> dict[str, object]:
    ready, delayed, reserved = (None, None, None) if seen.counts is None else seen.counts[1:4]
    return {
        "connection": seen.connection,
        "queue": seen.queue,
        "size": seen.size,
        "ready": ready,
        "delayed": delayed,
        "reserved": reserved,
        "oldest": None if seen.waited is None else round(seen.waited, 3),
        "status": _status(seen),
        "over": seen.over,
    }
