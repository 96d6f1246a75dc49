"""A job queue with drivers, a worker, failed jobs and a command line; ``qtest`` is its pytest kit.

Names are loaded when they are first asked for: ``import qcore`` alone costs next to nothing.
"""

from typing import TYPE_CHECKING

from qcore import current

if TYPE_CHECKING:
    from qcore.app import App
    from qcore.bus import (
        bulk,
        dispatch,
        dispatch_after_response,
        dispatch_if,
        dispatch_sync,
        dispatch_unless,
        push,
        route,
    )
    from qcore.chains import PendingChain, chain
    from qcore.clock import Clock, SystemClock
    from qcore.closures import Closure, closure
    from qcore.config import Config
    from qcore.delivery import Delivery, current_delivery
    from qcore.dispatched_batch import Batch, find_batch
    from qcore.errors import (
        ConfigError,
        DriverError,
        JobDefinitionError,
        JobError,
        ManuallyFailedError,
        MaxAttemptsExceededError,
        NotRunningError,
        PayloadError,
        QcoreError,
        StoredError,
        TimeoutExceededError,
        UnknownConnectionError,
        UnknownJobError,
        UnsupportedError,
    )
    from qcore.function_job import FunctionJob, job
    from qcore.handlers import handler
    from qcore.jobs import Job, Prepared
    from qcore.limits import WorkerOptions
    from qcore.outcome import Done, Failed, Lost, Outcome, Released, Skipped
    from qcore.pending_batch import PendingBatch, batch
    from qcore.rate_limits import Limit, limiter
    from qcore.response import after_response
    from qcore.worker import Stopped, Worker

__version__ = "0.1.0"

__all__ = [
    "App",
    "Batch",
    "Clock",
    "Closure",
    "Config",
    "ConfigError",
    "Delivery",
    "Done",
    "DriverError",
    "Failed",
    "FunctionJob",
    "Job",
    "JobDefinitionError",
    "JobError",
    "Limit",
    "Lost",
    "ManuallyFailedError",
    "MaxAttemptsExceededError",
    "NotRunningError",
    "Outcome",
    "PayloadError",
    "PendingBatch",
    "PendingChain",
    "Prepared",
    "QcoreError",
    "Released",
    "Skipped",
    "Stopped",
    "StoredError",
    "SystemClock",
    "TimeoutExceededError",
    "UnknownConnectionError",
    "UnknownJobError",
    "UnsupportedError",
    "Worker",
    "WorkerOptions",
    "after_response",
    "batch",
    "bulk",
    "chain",
    "closure",
    "current_delivery",
    "dispatch",
    "dispatch_after_response",
    "dispatch_if",
    "dispatch_sync",
    "dispatch_unless",
    "find_batch",
    "handler",
    "job",
    "limiter",
    "push",
    "route",
]

_MODULES = {
    "app": ("App",),
    "bus": (
        "bulk",
        "dispatch",
        "dispatch_after_response",
        "dispatch_if",
        "dispatch_sync",
        "dispatch_unless",
        "push",
        "route",
    ),
    "chains": ("PendingChain", "chain"),
    "clock": ("Clock", "SystemClock"),
    "closures": ("Closure", "closure"),
    "config": ("Config",),
    "delivery": ("Delivery", "current_delivery"),
    "dispatched_batch": ("Batch", "find_batch"),
    "function_job": ("FunctionJob", "job"),
    "handlers": ("handler",),
    "jobs": ("Job", "Prepared"),
    "limits": ("WorkerOptions",),
    "outcome": ("Done", "Failed", "Lost", "Outcome", "Released", "Skipped"),
    "pending_batch": ("PendingBatch", "batch"),
    "rate_limits": ("Limit", "limiter"),
    "response": ("after_response",),
    "worker": ("Stopped", "Worker"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        message = f"module 'qcore' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"qcore.{_MODULE_OF.get(name, 'errors')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _app_from_configuration() -> "App":
    from qcore.app import App

    return App.from_configuration()


current.build_with(_app_from_configuration)
