"""A project on disk, and the command ``qcore`` in it: as a real process, and inside the test."""

from __future__ import annotations

import importlib
import json
import os
import pty
import selectors
import shlex
import signal
import subprocess
import sys
import termios
import threading
from contextlib import closing, contextmanager
from textwrap import dedent
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from qcore import App, Config, current, registry
from qcore.cli import main
from qcore.process import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from qcore.driver import Listed

PATIENCE = 60.0
"""Seconds until a test gives up: nothing here takes long unless something hangs."""

JOBS = """
    from qcore import Job, job


    class Greet(Job):
        def __init__(self, name: str) -> None:
            self.name = name

        def handle(self) -> None:
            print("hello", self.name, flush=True)


    class Fails(Job):
        def handle(self) -> None:
            raise ValueError("no such thing")


    class FailsOnce(Job, tries=2):
        def handle(self) -> None:
            if self.attempts() == 1:
                raise ValueError("not yet")


    class Waits(Job):
        def handle(self) -> None:
            print("started", self.attempts(), flush=True)
            with open("go") as gate:  # a named pipe: opens when the test opens it too
                gate.read()
            print("finished", flush=True)


    @job
    def add(a: int, b: int = 2) -> None:
        print("sum", a + b, flush=True)
"""


class Finished(NamedTuple):
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Its output, one JSON object a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Running:
    """A process that still runs; its output can be waited for."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.out = ""

    def wait_for(self, text: str, patience: float = PATIENCE) -> None:
        """Read its output until the text appears."""
        stream = self._stdout()
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while text not in self.out:
                assert selector.select(patience), f"waited in vain for {text!r}, got {self.out!r}"
                some = os.read(stream.fileno(), 4096).decode()
                assert some, f"ended before {text!r}, after {self.out!r}"
                self.out += some

    def says(self, text: str, *, within: float) -> bool:
        """Tell whether the text appears in its output within some seconds."""
        try:
            self.wait_for(text, within)
        except AssertionError:
            return False
        return True

    def finish(self) -> Finished:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return Finished(self.process.returncode, self.out + out, err)

    def _stdout(self) -> IO[str]:
        assert self.process.stdout is not None
        return self.process.stdout


class Project:
    """A folder with jobs and perhaps a configuration."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip())
        return path

    def app(self) -> App:
        """Open the queues of the project from the test."""
        return App(Config.load(self.root))

    def counts(self) -> tuple[int, int, int]:
        """Ready, delayed and reserved jobs of the only queue of the default connection."""
        with closing(self.app()) as app:
            found = [(each.ready, each.delayed, each.reserved) for each in app.connection().counts()]
        return found[0] if found else (0, 0, 0)

    def listed(self, connection: str | None = None, queue: str | None = None) -> list[Listed]:
        """What is on a queue."""
        with closing(self.app()) as app:
            return app.connection(connection).listed(queue)

    def failures(self) -> list[str]:
        """The last line of each exception in the failed store."""
        with closing(self.app()) as app:
            return [record.exception.strip().splitlines()[-1] for record in app.failed.list()]

    def open_gate(self, name: str) -> None:
        """Let a process go on that reads, or will read, this named pipe."""
        for _ in range(int(PATIENCE / 0.01)):
            try:
                os.close(os.open(self.root / name, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                threading.Event().wait(0.01)  # nobody reads yet
            else:
                return
        pytest.fail(f"nobody came to read {name}")

    @contextmanager
    def start(self, *arguments: str, **environ: str) -> Iterator[Running]:
        """Start ``qcore`` and go on; a process that the test leaves behind is killed."""
        with subprocess.Popen(
            [sys.executable, "-m", "qcore", *arguments],
            cwd=self.root,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield Running(process)
            finally:
                process.kill()

    def run(self, *arguments: str, **environ: str) -> Finished:
        """Run ``qcore`` to its end."""
        with self.start(*arguments, **environ) as running:
            return running.finish()

    def run_shell(self, line: str, *, before: str = "") -> Finished:
        """Run a line of shell that begins behind ``qcore``."""
        command = f"{before}{shlex.quote(sys.executable)} -m qcore {line}"
        ended = subprocess.run(
            ["sh", "-c", command], check=False, cwd=self.root, capture_output=True, text=True, timeout=PATIENCE
        )
        return Finished(ended.returncode, ended.stdout, ended.stderr)

    def run_on_a_terminal(self, *arguments: str, columns: int = 80, typed: str = "", **environ: str) -> str:
        """Run ``qcore`` on a terminal of its own and give what it shows."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        unset = {"COLUMNS", "NO_COLOR", "TERM"}
        env = {**{name: value for name, value in os.environ.items() if name not in unset}, "TERM": "xterm", **environ}
        command = [sys.executable, "-m", "qcore", *arguments]
        with subprocess.Popen(command, cwd=self.root, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            os.write(ours, typed.encode())
            shown = b"".join(_read_all(ours))
            process.wait(PATIENCE)
        os.close(ours)
        return shown.decode().replace("\r\n", "\n")


def _read_all(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            some = os.read(terminal, 4096)
        except OSError:  # how a terminal says that its last program has ended
            return
        if not some:
            return
        yield some


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a package of jobs."""
    made = Project(tmp_path)
    made.write("jobs/__init__.py", "")
    made.write("jobs/examples.py", JOBS)
    return made


class Cli:
    """``qcore`` inside the test: quick, and enough where no process matters."""

    def __call__(self, *arguments: str, **options: Any) -> Result:
        """Run it."""
        importlib.invalidate_caches()  # the folder may have been listed before the test wrote into it
        return CliRunner().invoke(main, arguments, catch_exceptions=False, **options)


@pytest.fixture
def cli(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """``qcore`` inside the test, which forgets afterwards what was loaded."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    own = {name: each for name, each in registry._classes.items() if name.startswith("qcore:")}
    monkeypatch.setattr(registry, "_classes", own)  # the jobs of other tests are none of this project
    handlers = {number: signal.getsignal(number) for number in Signals.TAKEN}
    loaded = set(sys.modules)
    yield Cli()
    current.set_configured(None)
    for number, handler in handlers.items():
        signal.signal(number, handler)  # a command that works ignores them when it ends, as its process does
    for name in set(sys.modules) - loaded:
        module = sys.modules[name]
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        if any(str(place).startswith(str(project.root)) for place in places):
            del sys.modules[name]
