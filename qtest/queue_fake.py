"""The fake queue: the real App on connections of its own and a clock that stands still, all of it written down."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qcore import current
from qcore.errors import QcoreError
from qtest import wrong_names
from qtest.assertions_batches import BatchAssertions
from qtest.assertions_chains import ChainAssertions
from qtest.assertions_outcomes import OutcomeAssertions
from qtest.assertions_pushes import PushAssertions
from qtest.async_running import AsyncRunning
from qtest.clock import FrozenClock
from qtest.contexts import Contexts
from qtest.drivers import app_in_memory, check, placed
from qtest.entering import to_enter
from qtest.fake_app import FakeApp
from qtest.freezing import UserTime, user_now
from qtest.leaks import all_unseen, unseen_failures, unused
from qtest.recorder import Recorder
from qtest.report import Reporter
from qtest.restoring import remembered
from qtest.running import MAX_JOBS
from qtest.stepper import Stepper

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn, Self

    from qcore.app import App
    from qcore.config import Config
    from qtest.expecting import Wanted


class QueueFake(PushAssertions, ChainAssertions, BatchAssertions, OutcomeAssertions, Contexts, AsyncRunning):
    """Holds what is dispatched while it is active, and runs it when it is asked to.

    There is no second implementation behind it: payloads, drivers, worker and runner are the real ones.
    """

    def __init__(  # noqa: PLR0913 - each can be said alone
        self,
        app: App | None = None,
        driver: str = "memory",
        clock: FrozenClock | float | str | datetime | None = None,
        *,
        fake: Sequence[Wanted] = (),
        passthrough: Sequence[Wanted] = (),
        max_jobs: int = MAX_JOBS,
        follows_freezes: bool = True,
        payload_checks: bool = True,
    ) -> None:
        """Prepare; nothing is changed before it is entered. See ``fake()``.

        ``follows_freezes``: go along when user code is frozen with freezegun; without it only the clock itself counts.
        ``payload_checks``: read each payload again when it is pushed, and complain about what would be lost.

        :raises ConfigError: for a driver that does not exist.
        """
        check(driver)
        self.clock = clock if isinstance(clock, FrozenClock) else FrozenClock(_start(clock))
        self.clock.due = self.next_due
        self.clock.may_go_back = lambda: not self.recorder.timeline
        self.max_jobs = max_jobs
        self.coroutines = []
        self.unseen_before: list[str] = []
        """What there is to complain about from before a ``reset``."""
        self._given_app = app
        self._driver = driver
        self._fake = _listed(fake, "fake")
        self._passthrough = _listed(passthrough, "passthrough")
        self._payload_checks = payload_checks
        self._folder: Path | None = None
        self._user_time = UserTime(self.clock) if follows_freezes else None

    def next_due(self) -> float | None:
        """When the next job is due, in seconds since 1970; None when nothing waits."""
        self.recorder.look_around()
        due, place = self.stepper.first()
        return None if place is None else due

    def reset(self) -> None:
        """Begin anew: nothing is held, no lock is taken, nothing has happened. The clock stays where it is.

        Jobs that failed, and that the test never looked at, still fail it.
        """
        if unseen := unseen_failures(self):
            self.unseen_before.append(unseen)
        real, blocks = self.app.real, self.recorder.blocks
        self._close()
        self._open(real)
        self.recorder.blocks = blocks  # those that were never entered are told of at the end

    def __enter__(self) -> Self:
        """Take over the process.

        :raises QcoreError: when another fake has done so already.
        """
        if current.overridden() is not None:
            message = (
                "a fake queue is active already, and there cannot be two at once: use that one "
                "(the fixture queue_fake, or the outer qtest.fake()), or call its reset() to begin anew"
            )
            raise QcoreError(message)
        # What is active in this context would be found before the fake.
        self._active = current.active.get()
        real = self._given_app or self._active or current.configured() or app_in_memory()
        self._restore = remembered(real)
        self._open(real)
        current.active.set(None)
        if self._user_time is not None:
            self._user_time.join()
        return self

    def __exit__(self, *error: object) -> None:
        """Give the process back."""
        self.unawaited()
        current.override(None)
        if self._user_time is not None:
            self._user_time.stop()
        current.active.set(self._active)
        self._close()
        self._restore()

    if not TYPE_CHECKING:  # a type checker is to know what there is

        def __getattr__(self, name: str) -> NoReturn:
            """Say which name may be meant."""
            known = [each for each in dir(type(self)) if not each.startswith("_")]
            message = f"a fake queue has no attribute {name!r}{wrong_names.hint(name, known)}"
            raise AttributeError(message, name=name, obj=self)

    def __repr__(self) -> str:
        """Tell what it holds, and where its clock stands."""
        if "recorder" not in vars(self):
            return "<QueueFake, not active>"
        pushed = len(self.recorder.pushes)
        now = datetime.fromtimestamp(self.clock.nanoseconds / 1e9, UTC).isoformat().replace("+00:00", "Z")
        jobs = "1 job was pushed" if pushed == 1 else f"{pushed} jobs were pushed"
        return f"<QueueFake: {jobs}, the clock stands at {now}>"

    def _open(self, real: App) -> None:
        config = _moved(real.config, self._driver, lambda: self.folder)
        self.app = FakeApp(
            real,
            config,
            self.clock,
            fake=self._fake,
            passthrough=self._passthrough,
            payload_checks=self._payload_checks,
        )
        self.recorder = Recorder(self.app)
        self.reporter = Reporter(self.app, self.recorder)
        self.stepper = Stepper(self.app, self.clock, self.recorder)
        self.app.take_over()
        current.override(self.app)

    def _close(self) -> None:
        self.recorder.stop()
        self.stepper.close()
        self.app.give_back()
        self.app.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    @property
    def folder(self) -> Path:
        """A folder of this fake's own, gone when it ends."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="qtest-"))
        return self._folder


@to_enter("with qtest.fake() as queue:")
def fake(
    app: App | None = None,
    driver: str = "memory",
    clock: FrozenClock | float | str | datetime | None = None,
    *,
    fake: Sequence[Wanted] = (),
    passthrough: Sequence[Wanted] = (),
    failed_jobs: str = "fail",
    **options: Any,
) -> Iterator[QueueFake]:
    """Hold everything that is dispatched inside of the block, wherever it comes from, other threads included.

    ::

        with qtest.fake() as queue:
            sign_up("ann@example.com")
            queue.assert_pushed(SendWelcome)
            queue.run_due()

    ``app`` is the App whose set-up holds (routes, hooks, middleware, listeners); by default the one in force. ``clock``
    is a ``FrozenClock``, or the instant at which a new one stands, by default now. With ``fake=[A, B]`` only these jobs
    are held, with ``passthrough=[C]`` all but these: the others go to the real connections of the App. A chain or a
    batch is held as a whole when one of its jobs or callbacks is; what is added to it later goes where it is. The App
    that is built from the project's configuration for the test has its connections in memory.

    :raises AssertionError: at the end of the block, for a job that failed for good and that the block never looked at;
        not with ``failed_jobs="ignore"``.
    :raises ConfigError: for a driver that does not exist.
    :raises QcoreError: when another fake is active already.
    """
    if failed_jobs not in {"fail", "ignore"}:
        message = f'failed_jobs is "fail" or "ignore", got {failed_jobs!r:.80}'
        raise QcoreError(message)
    with QueueFake(app, driver, clock, fake=fake, passthrough=passthrough, **options) as queue:
        yield queue
        if forgotten := unused(queue):
            raise AssertionError(forgotten)
        if failed_jobs == "fail" and (unseen := all_unseen(queue)):
            raise AssertionError(unseen)


def _start(clock: float | str | datetime | None) -> float | str | datetime:
    return user_now() if clock is None else clock


def _listed(given: Sequence[Wanted], what: str) -> Sequence[Wanted]:
    if isinstance(given, list | tuple | set | frozenset) and not hasattr(given, "_fields"):
        return tuple(given)
    message = f"{what}= takes a list of jobs, such as {what}=[{getattr(given, '__name__', 'MyJob')}], got {given!r:.80}"
    raise QcoreError(message)


def _moved(config: Config, driver: str, folder: Any) -> Config:  # noqa: ANN401 - see ``placed``
    """Give the configuration with all connections on the backend of the test."""
    # What would be forgotten is kept: a test wants to look at it.
    failed = "default" if config.failed == "null" else config.failed
    return config.elsewhere(placed(driver, dict(config.connections), folder), failed=failed)
