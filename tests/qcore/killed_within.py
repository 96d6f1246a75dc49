"""A program that dies in the middle of a transaction that writes a job: `python -m tests.qcore.killed_within FOLDER`.

It begins the transaction on a new file again and again, and each time dies one statement later.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import event, text
from sqlalchemy.orm import Session

from qcore import App, Config
from tests.qcore.shop import Order, Ship, opened

if TYPE_CHECKING:
    import sqlite3

    from sqlalchemy import Engine


def app_on(file: Path) -> App:
    return App(Config(connections={"database": {"url": f"sqlite:///{file}"}}, root=file.parent))


def order_and_dispatch(app: App, engine: Engine) -> None:
    with app.activate(), Session(engine) as session:
        session.add(Order(name="first"))
        session.flush()
        Ship().dispatch(within=session)
        session.commit()
        session.execute(text("SELECT 'the transaction has committed'"))


def _die_before(engine: Engine, statements: int) -> None:
    left = statements

    def count(_: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def trace(raw: sqlite3.Connection, _: object) -> None:
        raw.set_trace_callback(count)

    event.listen(engine, "connect", trace)


def main(folder: Path) -> None:
    number, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        number += 1
        file = folder / f"{number}.sqlite3"
        opened(file).dispose()
        app = app_on(file)
        app.connection().size()
        app.close()
        child = os.fork()
        if child == 0:
            engine = opened(file)
            engine.dispose()
            _die_before(engine, number)
            order_and_dispatch(app_on(file), engine)
            sys.exit()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(number, code, flush=True)  # noqa: T201 - to the test


if __name__ == "__main__":
    main(Path(sys.argv[1]))
