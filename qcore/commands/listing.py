"""Lists of things, as an aligned table or one JSON object a line."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from qcore import links, payload
from qcore.closures import Closure
from qcore.commands.tables import PLAIN, table
from qcore.commands.terminal import escaped, has_colour, width
from qcore.errors import PayloadError
from qcore.function_job import FunctionCall
from qcore.holdings import Placed
from qcore.job_state import state_of
from qcore.jobs import Job

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from qcore.app import App
    from qcore.commands.tables import Layout
    from qcore.driver import Payload
    from qcore.queue import Queue


def as_json(entries: Iterable[Mapping[str, object]]) -> None:
    """Write one JSON object a line."""
    for entry in entries:
        click.echo(json.dumps(entry))


def as_table(headings: Sequence[str], rows: Iterable[Sequence[object]], layout: Layout = PLAIN) -> None:
    """Write an aligned table: as wide as the terminal at most, and with colours where they help; else complete."""
    if not has_colour(sys.stdout):
        layout = layout._replace(colours={})
    for line in table(headings, rows, layout, columns=columns_to_fill()):
        click.echo(line)


def columns_to_fill() -> int:
    """Give the columns of the terminal; 0 when the output goes elsewhere, and nothing is to be cut."""
    return width() if sys.stdout.isatty() else 0


def say(line: str) -> None:
    """Write one line that may hold names and texts of anybody."""
    click.echo(escaped(line))


def place_of(queue: Queue) -> str:
    """Say where a connection keeps its jobs: the absolute path of its file, or its server, if its home can tell."""
    address = address_of(queue)
    return f"{queue.name} ({address})" if address else queue.name


def address_of(queue: Queue) -> str:
    """Give the absolute path of the file of a connection, or its server; empty if its home cannot tell."""
    home = queue.driver.home
    return home.place if isinstance(home, Placed) else ""


def job_name(app: App, at_rest: Payload) -> str:
    """Say what to call the job of a payload in front of people."""
    try:
        return payload.decode(at_rest.body, app.codec).display_name
    except PayloadError:
        return "(unreadable payload)"


def job_text(app: App, at_rest: Payload) -> str:
    """Show the job of a payload with what it holds, without secrets; nothing when there is no more than its name.

    That is so, too, when it is encrypted or a closure, or cannot be restored here.
    """
    if seal_of(app, at_rest):
        return ""
    try:
        job = app.job_codec.restored(payload.decode(at_rest.body, app.codec))
        text = _shown(app, job)
    except Exception:  # noqa: BLE001 - a class that is gone, or code of the user
        return ""
    return "" if text.endswith("()") else text


def _shown(app: App, job: Job) -> str:
    if isinstance(job, FunctionCall):
        state = job.arguments
    elif type(job).__repr__ is Job.__repr__:
        state = state_of(job)
    else:
        return app.redactor.text(repr(job))  # what the user chose to show
    held: Any = app.redactor.value(dict(state))
    arguments = ", ".join(f"{name}={value!r}" for name, value in held.items())
    return app.redactor.text(f"{type(job).__qualname__}({arguments})")


def redacted_body(app: App, at_rest: Payload) -> Any:  # noqa: ANN401 - any JSON
    """Give a payload's body without secrets; as text when it is no JSON."""
    try:
        body: Any = app.redactor.value(app.codec.loads(at_rest.body))
    except PayloadError:
        return app.redactor.text(at_rest.body.decode("utf-8", "backslashreplace"))
    if seal := seal_of(app, at_rest):
        # Of a closure too: its text holds, for everybody to read, what it captured.
        body = {**body, "data": {**body["data"], "command": f"[{seal}]"}}
    return _without_payloads(body) if isinstance(body, dict) else body


def _without_payloads(body: dict[str, Any]) -> dict[str, Any]:
    """Leave out the payloads inside a payload: they are texts, in which the redactor finds nothing to hide."""
    chain, callback = body.get("chain"), body.get("callback")
    if isinstance(chain, dict):
        held = {name: f"[{_count(chain[name])} not shown]" for name in ("links", "catch", "broken") if name in chain}
        body = {**body, "chain": chain | held}
    if isinstance(callback, dict) and isinstance(failure := callback.get("failure"), dict):
        body = {**body, "callback": callback | {"failure": failure | {"body": "[the failed job]"}}}
    return body


def _count(held: object) -> int:
    if isinstance(held, str):
        return len(links.split(held))
    return len(held) if isinstance(held, list) else 0


def seal_of(app: App, at_rest: Payload) -> str:
    """Say how the job of a payload is sealed, ``encrypted`` or ``closure``; nothing when it is plain, or unreadable."""
    try:
        body = payload.decode(at_rest.body, app.codec)
    except PayloadError:
        return ""
    if body.handler != payload.CALL or isinstance(body.command, dict):
        return ""
    return "closure" if body.command_name == Closure.__job__.name else "encrypted"
