"""Every exception of qcore, and how they are related.

::

    QcoreError
    ├── ConfigError                 the project is set up wrongly: the CLI exits with 2
    │   ├── UnknownConnectionError
    │   ├── MissingExtraError       an optional package is not installed
    │   └── JobDefinitionError      a job class or function is declared wrongly
    │       └── DuplicateJobError
    ├── PayloadError                a job cannot be written into, or read from, a payload
    │   └── UnknownJobError         the payload names a job that this process does not know
    ├── DriverError                 the backend answered with trouble
    │   └── UnsupportedError        the driver cannot do what was asked, and says so
    ├── NotRunningError             release(), fail(), ... on a job that no worker is running
    └── JobError                    how a job ended; never raised into user code
        ├── MaxAttemptsExceededError
        │   └── TimeoutExceededError
        ├── ManuallyFailedError
        └── StoredError             an exception of another process or time, as text

Two signals are not errors, so that ``except Exception`` in a job does not swallow them:
``TimeLimitReached`` and ``JobInterrupted`` derive from ``BaseException``.
"""

from __future__ import annotations


class QcoreError(Exception):
    """Base of all errors of qcore. Its message ends with what to do."""


class ConfigError(QcoreError):
    """The configuration, an option or a name given by the user is wrong."""


class UnknownConnectionError(ConfigError):
    """No connection of that name is configured."""


class MissingExtraError(ConfigError):
    """A package that this feature needs is not installed."""


class JobDefinitionError(ConfigError):
    """A job class or function is declared in a way that cannot work."""


class DuplicateJobError(JobDefinitionError):
    """Two jobs claim the same name, so a payload could mean either."""


class PayloadError(QcoreError):
    """A job cannot be encoded, or bytes cannot be decoded into a job."""


class UnknownJobError(PayloadError):
    """The payload names a job that is not registered in this process."""


class DriverError(QcoreError):
    """The backend refused or failed an operation."""


class UnsupportedError(DriverError):
    """The driver has no such ability; it says so instead of pretending."""


class NotRunningError(QcoreError):
    """The job is not being run, so there is nothing to release, fail or delete."""


class JobError(QcoreError):
    """Why a job ended without success, when no exception of its own says it."""


class MaxAttemptsExceededError(JobError):
    """The job was reserved more often than it may be tried."""


class TimeoutExceededError(MaxAttemptsExceededError):
    """The job ran longer than its time limit."""


class ManuallyFailedError(JobError):
    """The job called ``fail()`` without an exception of its own."""


class StoredError(JobError):
    """Why a job failed, as it was stored: what callbacks are given in place of the exception itself."""

    def __init__(self, type_name: str, text: str, traceback: str) -> None:
        """Keep the parts of the exception."""
        super().__init__(type_name, text, traceback)
        self.type_name = type_name
        """The name of its class, without the module."""
        self.text = text
        """What ``str()`` of it was."""
        self.traceback = traceback
        """The exception with its traceback, as Python prints it."""

    def __str__(self) -> str:
        """Give the message of the exception."""
        return self.text

    def __repr__(self) -> str:
        """Show which exception it was."""
        return f"StoredError({self.type_name}: {self.text})"


class TimeLimitReached(BaseException):
    """Raised inside a running job when its time limit is over."""


class JobInterrupted(BaseException):
    """Raised inside a running job when the worker was told a second time to stop."""
