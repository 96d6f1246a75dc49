"""Commands of ``qcore`` in a process of their own, on the queue of a test: what CI and operators do."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from qcore.clock import SystemClock, milliseconds
from qcore.errors import QcoreError
from qtest import process_app
from qtest.work_once import LookedAt, Worked

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from qtest.queue_fake import QueueFake

TIMEOUT = 60.0
"""Real seconds after which a command is killed."""

_OURS = ("QCORE_", "QUEUE_")
"""How variables begin that say what the queue of the developer is."""


class CommandHungError(QcoreError, AssertionError):
    """A command did not end in time, and was killed."""


class QueueCli:
    """Starts ``qcore`` on the queue of a fake, which another process can see.

    The process begins at the instant at which the clock of the test stands. From there on its time is real, and what it
    took goes by for the test, too.
    """

    def __init__(self, queue: QueueFake, spec: str, root: Path) -> None:
        """Take the fake, what ``qtest_app`` says, and the folder in which that is looked for."""
        self._queue = queue
        self._spec = spec
        self._root = root

    def __call__(
        self,
        *arguments: str,
        imports: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> Worked:
        """Run ``qcore`` with these arguments, and tell how it ended: ``queue_cli("work", "--once")``.

        ``imports`` are modules with jobs that the process loads beside those that the project's configuration names;
        ``env`` adds to its environment; ``timeout`` is in real seconds.

        :raises CommandHungError: when it did not end in time; it was killed.
        """
        __tracebackhide__ = True
        queue, clock = self._queue, SystemClock()
        started, ahead = clock.monotonic(), queue.clock.now() - clock.now()
        environment = _environment(*self._told(ahead, imports)) | dict(env or {})
        try:
            worked = _ended([sys.executable, "-P", "-m", "qcore", *arguments], environment, timeout)
        finally:
            queue.clock.advance(milliseconds(clock.monotonic() - started) / 1000)
            queue.recorder.look_elsewhere()
        return LookedAt.after(worked, [each for each in queue.recorder.dispatches if each.is_elsewhere])

    def _told(self, ahead: float, imports: Sequence[str]) -> tuple[Path, Path]:
        """Write what the process is to know, and the configuration that it finds instead of the developer's."""
        if isinstance(imports, str):
            message = f"imports= takes a list of modules, such as imports=[{imports!r}], got {imports!r}"
            raise QcoreError(message)
        queue = self._queue
        told, config = queue.folder / "qtest-process.json", queue.folder / "qcore.toml"
        app = process_app.describe(queue.app.config, app=self._spec, root=self._root, ahead=ahead, imports=imports)
        told.write_text(app, encoding="utf-8")
        config.touch()
        return told, config


def why_not(queue: QueueFake) -> str:
    """Say why no other process can see the queue of a fake; empty when one can."""
    connection = queue.app.connection()
    if not connection.driver.shared or "client" in queue.app.config.connections[connection.name]:  # as of fakeredis
        return "the queue of this test lives in this process, and queue_cli starts another one"
    try:
        process_app.describe(queue.app.config, app="", root=queue.folder, ahead=0, imports=())
    except QcoreError as error:
        return str(error)
    return ""


def _environment(told: Path, config: Path) -> dict[str, str]:
    """Give the environment of this process, without the developer's queue, and with the modules of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    path = [each or os.getcwd() for each in sys.path]  # noqa: PTH109 - an entry of the path, a text
    return kept | {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(path)),
        "QCORE_APP": process_app.SPEC,
        "QCORE_CONFIG": str(config),
        process_app.VARIABLE: str(told),
    }


def _ended(command: list[str], environment: dict[str, str], timeout: float) -> Worked:
    __tracebackhide__ = True
    process = subprocess.Popen(  # noqa: S603 - this Python, and what the test says
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # so that what it starts can be killed with it
    )
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        _kill(process)

    # Not the timeout of subprocess: under a freeze of the user's its time stands still.
    timer = threading.Timer(timeout, kill)
    timer.daemon = True
    timer.start()
    try:
        output, error = process.communicate()
    except BaseException:
        _kill(process)
        process.wait()
        raise
    finally:
        timer.cancel()
    if killed.is_set():
        said = shlex.join(["qcore", *command[4:]])
        message = f"`{said}` did not end within {timeout:g} s, and was killed; until then it wrote\n{output}{error}"
        raise CommandHungError(message)
    return Worked(process.returncode, output, error)


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
