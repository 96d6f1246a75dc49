"""The pytest kit of qcore: deterministic time, and the promises that every driver keeps."""

from qtest.clock import FrozenClock

__all__ = ["FrozenClock"]
