"""What ``qcore.middleware`` offers, and that it costs nothing before it is asked for."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest

import qcore
from qcore import middleware
from qcore.layers import Middleware
from qcore.middleware import _SHIPPED


@pytest.mark.parametrize("name", middleware.__all__)
def test_a_name_is_there_and_says_what_it_is_for(name: str) -> None:
    exported = getattr(middleware, name)

    assert name in dir(middleware)
    if isinstance(exported, type):
        assert exported.__doc__
        assert not exported.__doc__.startswith(f"{name}("), "only the docstring that a dataclass makes"


@pytest.mark.parametrize("name", _SHIPPED)
def test_what_is_shipped_can_stand_in_a_payload(name: str) -> None:
    shipped = getattr(middleware, name)

    assert issubclass(shipped, Middleware)
    assert is_dataclass(shipped)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(AttributeError, match=r"'qcore\.middleware' has no attribute 'RateLimit'"):
        _ = middleware.RateLimit


def test_importing_the_package_loads_none_of_them() -> None:
    program = "import sys, qcore.middleware; print([name for name in sys.modules if name.startswith('qcore.')])"
    root = Path(qcore.__file__).parents[1]
    ran = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "['qcore.current', 'qcore.middleware']"


def test_a_middleware_that_does_not_say_what_it_does_cannot_be_called() -> None:
    with pytest.raises(NotImplementedError):
        Middleware()(None, print)
