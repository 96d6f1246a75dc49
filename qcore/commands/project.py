"""What the global options say, and the App that follows from them."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from qcore import current
from qcore.errors import ConfigError
from qcore.loading import load_attribute, load_jobs, look_first_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.app import App
    from qcore.config import Config
    from qcore.limits import WorkerOptions
    from qcore.process import Interruption
    from qcore.queue import Queue
    from qcore.worker import Worker

TRACEBACKS = 2
"""How often ``-v`` is said to see them."""


class Project:
    """The project that a command works for."""

    def __init__(self) -> None:
        """Begin with nothing said."""
        self.app_spec: str | None = None
        self.config_file: str | None = None
        self.verbosity = 0
        self.on_stop: Callable[[], object] = bool
        """What a worker does when its job is told to stop: see ``Signals``."""
        self._app: App | None = None

    def talk(self, verbosity: int) -> None:
        """Add to what ``-v`` said before: it stands before or after the command."""
        self.verbosity += verbosity

    @property
    def shows_tracebacks(self) -> bool:
        """True when an error is to be shown with its traceback."""
        return self.verbosity >= TRACEBACKS

    def app(self) -> App:
        """Build the App, or take the one that ``--app`` names; it is the one of this process from now on.

        :raises ConfigError: when the configuration is wrong or the named App is none.
        """
        from qcore.app import App  # --help and --version need none

        config = self._configuration()
        look_first_in(config.root)
        self._app = self._named(self.app_spec, config) if self.app_spec else App(config)
        current.set_configured(self._app)
        return self._app

    def app_with_jobs(self) -> App:
        """Build the App and load the jobs of the project.

        :raises ConfigError: when the configuration is wrong or a module cannot be imported.
        """
        app = self.app()
        load_jobs(app.config.imports, app.config.root, app.config.source)
        return app

    def app_with_jobs_if_any(self) -> App:
        """Build the App and load the jobs of the project as far as they can be imported: to show more, if possible."""
        app = self.app()
        with suppress(ConfigError):
            load_jobs(app.config.imports, app.config.root, app.config.source)
        return app

    @contextmanager
    def worker(self, app: App, queue: Queue, options: WorkerOptions) -> Iterator[tuple[Worker, Interruption]]:
        """Make a worker that owns the signals of this process, and the alarm."""
        from qcore.process import Signals  # only ``qcore work`` needs them
        from qcore.time_limit import AlarmLimit

        limit = AlarmLimit(app.clock)
        worker = app.worker(queue.name, options, time_limit=limit)
        worker.interruption = signals = Signals(lambda: worker.runner.user.is_running, self.on_stop)
        worker.runner.user.takes_signals = True
        try:
            yield worker, signals
        finally:
            signals.ignore()
            limit.rest()
            worker.runner.close()

    def close(self) -> None:
        """Close what the App opened."""
        if self._app is not None:
            self._app.close()

    def _configuration(self) -> Config:
        from qcore.config import Config

        if self.config_file:
            return Config.load(environ={**os.environ, "QCORE_CONFIG": self.config_file})
        return Config.load()

    def _named(self, spec: str, config: Config) -> App:
        from qcore.app import App

        found = load_attribute(spec, config.root)
        if not isinstance(found, App):
            raise ConfigError(f"--app {spec}: expected a qcore.App, found {found!r:.80}")
        return found


pass_project = click.make_pass_decorator(Project, ensure=True)
