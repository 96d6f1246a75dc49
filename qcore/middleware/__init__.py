"""Middleware: what stands around a job. The shipped ones, one file each, and what they are made with.

::

    from qcore.middleware import RateLimited, WithoutOverlapping

Names are loaded when they are first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qcore.layers import Layer, Middleware, Next
    from qcore.middleware.fail_on_exception import FailOnException
    from qcore.middleware.rate_limited import RateLimited
    from qcore.middleware.release import Release
    from qcore.middleware.skip import Skip
    from qcore.middleware.skip_if_batch_cancelled import SkipIfBatchCancelled
    from qcore.middleware.throttles_exceptions import ThrottlesExceptions
    from qcore.middleware.without_overlapping import WithoutOverlapping
    from qcore.rate_limits import Limit, Unlimited

__all__ = [
    "FailOnException",
    "Layer",
    "Limit",
    "Middleware",
    "Next",
    "RateLimited",
    "Release",
    "Skip",
    "SkipIfBatchCancelled",
    "ThrottlesExceptions",
    "Unlimited",
    "WithoutOverlapping",
]

_SHIPPED = {
    "FailOnException": "qcore.middleware.fail_on_exception",
    "RateLimited": "qcore.middleware.rate_limited",
    "Release": "qcore.middleware.release",
    "Skip": "qcore.middleware.skip",
    "SkipIfBatchCancelled": "qcore.middleware.skip_if_batch_cancelled",
    "ThrottlesExceptions": "qcore.middleware.throttles_exceptions",
    "WithoutOverlapping": "qcore.middleware.without_overlapping",
}
_MODULES = _SHIPPED | dict.fromkeys(("Layer", "Middleware", "Next"), "qcore.layers")
_MODULES |= dict.fromkeys(("Limit", "Unlimited"), "qcore.rate_limits")


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        message = f"module 'qcore.middleware' has no attribute {name!r}"
        raise AttributeError(message)
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load() -> None:
    """Import all that a payload may name: a name is looked up among the modules that are imported already."""
    for module in _SHIPPED.values():
        import_module(module)
