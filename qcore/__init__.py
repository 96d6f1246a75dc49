"""A job queue with drivers, a worker, failed jobs and a command line; ``qtest`` is its pytest kit."""

from qcore import current
from qcore.app import App
from qcore.bus import bulk, dispatch, dispatch_if, dispatch_sync, dispatch_unless, route
from qcore.clock import Clock, SystemClock
from qcore.config import Config
from qcore.delivery import Delivery
from qcore.delivery import current as current_delivery
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
    TimeoutExceededError,
    UnknownConnectionError,
    UnknownJobError,
    UnsupportedError,
)
from qcore.function_job import FunctionJob, job
from qcore.job import Job, Prepared
from qcore.limits import WorkerOptions
from qcore.outcome import Done, Failed, Lost, Outcome, Released, Skipped
from qcore.worker import Stopped, Worker

__version__ = "0.1.0"

__all__ = [
    "App",
    "Clock",
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
    "Lost",
    "ManuallyFailedError",
    "MaxAttemptsExceededError",
    "NotRunningError",
    "Outcome",
    "PayloadError",
    "Prepared",
    "QcoreError",
    "Released",
    "Skipped",
    "Stopped",
    "SystemClock",
    "TimeoutExceededError",
    "UnknownConnectionError",
    "UnknownJobError",
    "UnsupportedError",
    "Worker",
    "WorkerOptions",
    "bulk",
    "current_delivery",
    "dispatch",
    "dispatch_if",
    "dispatch_sync",
    "dispatch_unless",
    "job",
    "route",
]

current.build_with(App.from_configuration)
