"""A process to which something happens at every step of a job's life: ``python -m tests.chaos.steps {...}``.

For each kind of dispatch it begins again and again, and each time something happens half a step later, before or
after a statement or a command: to the process that dispatches, or to the one that works. It is killed; or it hangs
until its leases are long over, and others have done its work; or its connection to the server is cut, or lost
together with an answer. Another worker goes on, and all is checked.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import traceback
from contextlib import closing
from itertools import count, product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qcore import WorkerOptions
from qcore.errors import DriverError
from qcore.sql.trouble import LostError
from qtest.clock import FrozenClock
from tests.chaos.apps import LEASE, Watch, app_on
from tests.chaos.checker import Evidence, violations
from tests.chaos.faults import Hit
from tests.chaos.history import Reader
from tests.chaos.jobs import history
from tests.chaos.leftovers import left_in
from tests.chaos.processes import ROOT
from tests.chaos.running import tidy
from tests.chaos.scenario import KINDS, Dispatch
from tests.dying import at_commands, at_points

if TYPE_CHECKING:
    from qcore import App
    from tests.chaos.places import Place

LATER = 1_000.0
"""Seconds after which every lease is over, and no lock of a unique job."""


Held = Any
"""A connection: that of redis-py, or one of ours to a database."""


QUICK = tuple(kind for kind in KINDS if kind not in {"slow", "delayed"})
"""Kinds of jobs whose workers never wait: that would be steps without end."""


class Case(NamedTuple):
    """What happens, to whom, and when."""

    kind: str
    who: str
    """``producer`` or ``worker``."""
    what: str
    """``kill``, ``hang``, ``cut`` or ``lose``."""
    point: int


class Outcome(NamedTuple):
    """How a case went."""

    reached: bool
    """False when the process had ended before."""
    violations: list[str]


def outcome_of(case: Case, connection: dict[str, Any], folder: Path) -> Outcome:
    """Let it happen."""
    history.move_to(folder)
    made = KINDS[case.kind](case.kind)
    app, clock = at(0, connection, folder)
    if case.who == "worker":
        push(made, app)
    app.close()
    child = os.fork()
    if child == 0:
        try:
            suffer(case, made, connection, folder)
        finally:  # not even an error lets it go on with the work of its parent
            traceback.print_exc()
            os._exit(1)
    status = os.waitpid(child, os.WUNTRACED)[1]
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1:
        raise SystemExit(1)
    reached = not os.WIFEXITED(status) or os.WEXITSTATUS(status) == SUFFERED
    begun = clock.now()
    app, clock = at(LATER, connection, folder)
    Watch(app)
    try:
        work(app)
        if os.WIFSTOPPED(status):
            os.kill(child, signal.SIGCONT)
            os.waitpid(child, 0)
            clock.advance(LATER)
            work(app)
        hit = Hit(case.what, child, begun, clock.now())
        return Outcome(reached, told(case, made, app, connection, Reader(folder), [hit] if reached else []))
    finally:
        app.close()


def at(later: float, connection: dict[str, Any], folder: Path) -> tuple[App, FrozenClock]:
    """Make an App that lives so much later."""
    clock = FrozenClock()
    clock.advance(later)
    history.clock = clock
    return app_on(connection, folder, clock), clock


def push(made: Dispatch, app: App) -> None:
    names = [promise.name for promise in made.promises]
    for name in names:
        history.note("dispatching", name=name)
    made.push(app)
    for name in names:
        history.note("dispatched", name=name)


def work(app: App) -> None:
    app.worker(options=WorkerOptions(drain=True, memory=0)).run()


def suffer(case: Case, made: Dispatch, connection: dict[str, Any], folder: Path) -> None:
    """Dispatch or work until it happens; the process ends here in any case."""
    app, clock = at(0, connection, folder)
    app.connection().size()
    left = case.point
    Watch(app)

    def reach(held: Held, *, within: bool) -> None:
        nonlocal left
        # Who hangs inside of a transaction makes others wait for its locks, and not run its jobs.
        if within and case.what == "hang":
            return
        left -= 1
        if left == 0:
            history.note("fault")
            FAULTS[case.what](held)

    (at_commands if connection["driver"] == "redis" else at_points)(reach)
    while True:
        try:
            push(made, app) if case.who == "producer" else work(app)
        except DriverError:
            if case.who == "producer":
                break
            clock.sleep(1)  # as a worker does that runs for ever
        else:
            break
    os._exit(0 if left > 0 else SUFFERED)


def kill(_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(_: object) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def cut(held: Held) -> None:
    """Let the server hear and say no more on a connection."""
    raw: Any = getattr(held, "raw", held)
    raw = getattr(raw, "_sock", raw)  # of redis-py and pymysql; psycopg has a fileno() itself
    with closing(socket.socket(fileno=os.dup(raw.fileno()))) as end:
        end.shutdown(socket.SHUT_RDWR)


def lose(held: Held) -> None:
    """Lose a connection together with the answer that has just come."""
    held.close()
    raise LostError("the answer was lost")


FAULTS = {"kill": kill, "hang": hang, "cut": cut, "lose": lose}
SUFFERED = 7
"""The exit code of a process that has lived through it."""


def told(
    case: Case, made: Dispatch, app: App, connection: dict[str, Any], reader: Reader, hits: list[Hit]
) -> list[str]:
    """Check what became of it."""
    reader.look()
    promises = {promise.name: promise for promise in made.promises}
    dispatched = any(line.what == "dispatched" for line in reader.lines)
    evidence = Evidence(
        promises if dispatched else {},
        {} if dispatched else promises,
        reader.lines,
        hits,
        LEASE,
        failed=[record.id for record in app.failed.list()],
        batches=app.batches.list(),
        most=1,
        keeps_tries=case.what in {"cut", "lose"},  # what a lost answer was about is found again
    )
    tidy(app)
    evidence.left = left_in(connection)
    return [f"{case}: {rule}: {name} {what}\n{evidence.history_of(name)}" for rule, what, name in violations(evidence)]


def every_step(place: Place, folder: Path, kind: str) -> list[tuple[Case, Outcome]]:
    """Go through all cases of one kind of dispatch."""
    firsts = [Case(kind, who, what, 1) for who, what in product(("producer", "worker"), place.steps)]
    return _run(place, folder, firsts, is_first=True)


def some_steps(place: Place, folder: Path) -> list[tuple[Case, Outcome]]:
    """Let one thing happen to a producer and one to a worker of each kind, at another step for each."""
    cases = []
    for number, kind in enumerate(QUICK):
        what, other = (place.steps[(number + more) % len(place.steps)] for more in (0, 1))
        cases += [Case(kind, "producer", other, 1 + number % 3), Case(kind, "worker", what, 3 + 5 * number % 13)]
    return _run(place, folder, cases, is_first=False)


def _run(place: Place, folder: Path, cases: list[Case], *, is_first: bool) -> list[tuple[Case, Outcome]]:
    """Let a process of its own do it, which may fork.

    :raises RuntimeError: when that process does not come to its end.
    """
    given = {"connection": place.fresh(folder), "cases": cases, "is_first": is_first}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.chaos.steps", json.dumps(given)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode or ended.stderr:
        message = f"the steps on {place.name} ended with {ended.returncode}: {ended.stderr}"
        raise RuntimeError(message)
    lines = map(json.loads, ended.stdout.splitlines())
    return [(Case(*case), Outcome(reached, wrong)) for case, reached, wrong in lines]


def main(connection: dict[str, Any], cases: list[list[Any]], *, is_first: bool) -> None:
    """Write down what each case comes to; ``is_first``: and those that follow it, until its process ends before."""
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # it tells of each connection that is lost
    folders = (Path(str(number)) for number in count())
    for each in cases:
        case, reached, wrong = Case(*each), True, list[str]()
        while reached and not wrong:
            (folder := next(folders)).mkdir()
            reached, wrong = outcome_of(case, connection, folder)
            print(json.dumps([case, reached, wrong]), flush=True)  # noqa: T201 - to who started it
            if not is_first:
                break
            case = case._replace(point=case.point + 1)
        if wrong:
            return  # what is left of it would be in the way of what follows


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
