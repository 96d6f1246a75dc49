"""The pytest kit of qcore: a fake queue, deterministic time, and the promises that every driver keeps.

Names are loaded when they are first asked for: pytest loads the plugin in every run of every user.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtest.clock import FrozenClock
    from qtest.drained import Drained, Livelock
    from qtest.expecting import ExpectationError, like
    from qtest.job_interactions import interactions
    from qtest.queue_fake import QueueFake, fake
    from qtest.times import at_least, at_most, between

__all__ = [
    "Drained",
    "ExpectationError",
    "FrozenClock",
    "Livelock",
    "QueueFake",
    "at_least",
    "at_most",
    "between",
    "fake",
    "interactions",
    "like",
]

_MODULES = {
    "clock": ("FrozenClock",),
    "drained": ("Drained", "Livelock"),
    "expecting": ("ExpectationError", "like"),
    "job_interactions": ("interactions",),
    "queue_fake": ("QueueFake", "fake"),
    "times": ("at_least", "at_most", "between"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        message = f"module 'qtest' has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"qtest.{_MODULE_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
