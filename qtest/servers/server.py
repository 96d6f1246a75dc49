"""What all throwaway servers share: a process, a port, a folder."""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from qcore.clock import SystemClock
from qcore.errors import DriverError, UnsupportedError
from qtest.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

_PATIENCE = 60.0
"""Seconds that a server gets to start or to stop. A machine that is busy with tests may be slow."""

_STARTS = 5
"""A port that was free may be taken by another process before the server is there."""

_LOG_LINES = 15


class MissingServerError(UnsupportedError):
    """The program of a server is not installed here."""


class Server:
    """One server process. Nothing is started before ``start()``, or before it is entered."""

    program: ClassVar[str]
    package: ClassVar[str]
    """The Debian package that brings the program."""
    folders: ClassVar[tuple[str, ...]] = ("usr/sbin", "usr/local/sbin")
    """Where below the root the program may be, although the PATH does not say so."""
    helpers: ClassVar[tuple[str, ...]] = ()
    """Other programs that it is started with."""
    crash: ClassVar[signal.Signals] = signal.SIGKILL
    """Ends the server without any last words."""
    account: ClassVar[str | None] = None
    """Who it runs as, when root starts it: some servers refuse to be root."""

    def __init__(self) -> None:
        self.port = 0
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def path(cls, program: str | None = None) -> str:
        """Find a program of the server, by default that of the server itself: it is no use without its helpers.

        :raises MissingServerError: says which package to install.
        """
        name = program or cls.program
        for helper in () if program else cls.helpers:
            cls.path(helper)
        more = [str(folder) for pattern in cls.folders for folder in sorted(Path("/").glob(pattern), reverse=True)]
        # Its own folder first: what Debian puts on the PATH for it may be a wrapper.
        found = shutil.which(name, path=os.pathsep.join(more)) or shutil.which(name)
        if found is None:
            message = f"{name} is not installed: apt-get install {cls.package}"
            raise MissingServerError(message)
        return found

    @property
    def folder(self) -> Path:
        """Where its data and its log are."""
        if self._folder is None:
            # Not below the folders of pytest, which other users cannot enter.
            self._folder = Path(tempfile.mkdtemp(prefix=f"qtest-{self.program}-"))
            if (user := self._user()) is not None:
                shutil.chown(self._folder, user, pwd.getpwnam(user).pw_gid)
        return self._folder

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._running().pid

    @property
    def url(self) -> str:
        """Where it is, as the setting ``url`` of a connection takes it."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, and wait until it answers.

        :raises MissingServerError: when it is not installed.
        :raises DriverError: when it does not start; with the end of its log.
        """
        self.path()
        atexit.register(self._stop_with, os.getpid())
        self._prepare()
        for tries_left in reversed(range(_STARTS)):
            self.port = free_port()
            try:
                self._launch()
            except DriverError:
                if not tries_left:
                    raise
            else:
                break
        return self

    def stop(self) -> None:
        """End it, and remove its data."""
        atexit.unregister(self._stop_with)
        if self._process is not None:
            family = list(self._family())
            for pid in family:
                _tell(pid, signal.SIGKILL)
            self._process.wait(_PATIENCE)
            self._process = None
            wait_for(lambda: not any(map(_is_alive, family)))
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _stop_with(self, process: int) -> None:
        if os.getpid() == process:  # and not with a process that this one has forked
            self.stop()

    def kill(self) -> None:
        """End it as a crash does. Its data stay for ``restart()``."""
        process = self._running()
        for pid in self._family():
            _tell(pid, signal.SIGCONT)  # what is paused does not hear of other signals
        process.send_signal(self.crash)
        process.wait(_PATIENCE)
        self._process = None

    def restart(self) -> None:
        """Start it again on the same port, with the data it had; one that runs is killed before."""
        if self._process is not None:
            self.kill()
        self._launch()

    def pause(self) -> None:
        """Let it hang, as on a machine that is overloaded: it takes connections, and does not answer."""
        for pid in self._family():
            _tell(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        for pid in self._family():
            _tell(pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """End it, and remove its data."""
        self.stop()

    def _prepare(self) -> None:
        """Make the data of a new server."""

    def _command(self) -> list[str]:
        """Give the command line that runs it in the foreground."""
        raise NotImplementedError

    def _answers(self) -> bool:
        """Tell whether it takes commands."""
        raise NotImplementedError

    def _launch(self) -> None:
        log = self.folder / "log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - the installed program, with words of our own
                [*_mortal(), *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C at the tests is not meant for it
                **self._as_user(),
            )
        process = self._process
        if not wait_for(lambda: process.poll() is not None or self._answers()) or process.poll() is not None:
            process.kill()
            process.wait()
            self._process = None
            last = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
            raise DriverError(f"{self.program} did not start on port {self.port}; the end of its log:\n{last}")

    def _say(self, program: str, *arguments: str) -> None:
        """Run a program of the server to its end."""
        said = subprocess.run(  # noqa: S603 - as above
            [self.path(program), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
            **self._as_user(),
        )
        if said.returncode:
            raise DriverError(f"{program} failed: {said.stderr.strip() or said.stdout.strip()}")

    def _user(self) -> str | None:
        return self.account if os.geteuid() == 0 else None

    def _as_user(self) -> dict[str, Any]:
        user = self._user()
        if user is None:
            return {}
        return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise DriverError(f"{self.program} does not run: start() it, or restart() it after a kill()")
        return self._process

    def _family(self) -> Iterator[int]:
        """Walk over the server's process and those that it started, of which a database has one a connection."""
        pid = self._running().pid
        yield pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        if children.exists():
            yield from map(int, children.read_text().split())


def _mortal() -> list[str]:
    """Let a server die with the process that started it, also when that one is killed. Only Linux can."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


def _tell(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, what)


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs: one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2]
    except OSError:
        return False
    return not state.startswith("Z")


def wait_for(happened: Callable[[], bool]) -> bool:
    """Wait until something has happened; False when that takes too long."""
    clock = SystemClock()
    end = clock.monotonic() + _PATIENCE
    while not happened():
        if clock.monotonic() > end:
            return False
        clock.sleep(0.01)
    return True
