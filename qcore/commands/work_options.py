"""How a worker works: the command line over ``[worker]`` of the configuration over the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from qcore import registry
from qcore.commands.values import BACKOFF, COUNT, NUMBER, QUEUES, SECONDS
from qcore.driver import Extendable
from qcore.errors import ConfigError
from qcore.limits import WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from qcore.config import Config
    from qcore.queue import Queue

MEMORY = 128
"""Megabytes that a worker process may use unless it is told otherwise."""

_TYPES: dict[str, click.ParamType[Any]] = {
    "backoff": BACKOFF,
    "max_jobs": COUNT,
    "max_time": SECONDS,
    "memory": NUMBER,
    "name": click.STRING,
    "queue": QUEUES,
    "rest": SECONDS,
    "sleep": SECONDS,
    "timeout": SECONDS,
    "tries": COUNT,
}


def worker_options(config: Config, queue: Queue, given: Mapping[str, Any]) -> WorkerOptions:
    """Join what was said; ``None`` in ``given`` is: not said.

    :raises ConfigError: for a value in the configuration that cannot mean anything.
    """
    settings: dict[str, Any] = {"memory": MEMORY}
    settings |= {name: _read(config, name, value) for name, value in config.worker.items()}
    settings |= {name: value for name, value in given.items() if value is not None}
    return WorkerOptions(queues=settings.pop("queue", (queue.default_queue,)), **settings)


def _read(config: Config, name: str, value: object) -> object:
    try:
        return _TYPES[name].convert(value, None, None)
    except click.BadParameter as error:
        raise ConfigError(f"{config.source}: [worker] {name}: {error.message}") from error


def check_leases(queue: Queue, options: WorkerOptions) -> None:
    """Refuse jobs that would outlive their lease and so run twice: where a lease cannot be moved.

    :raises ConfigError: names the job, or the option of the worker, and the setting.
    """
    driver = queue.driver
    if isinstance(driver, Extendable):
        return
    for name in registry.names():
        timeout = registry.resolve(name).__job__.options.timeout
        timeout = options.timeout if timeout is None else timeout
        if not 0 < timeout < driver.retry_after:
            limit = f"may run {timeout:g} s" if timeout else "has no time limit"
            raise ConfigError(
                f"{name} {limit}, but the connection {queue.name!r} gives it away again after "
                f"{driver.retry_after:g} s and cannot extend that: lower its timeout or raise retry_after"
            )
