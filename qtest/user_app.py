"""The App of the user, however a project gives it: as it is, as a Config, or as a function that makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.app import App
from qcore.config import Config
from qcore.errors import ConfigError
from qcore.loading import load_attribute

if TYPE_CHECKING:
    from pathlib import Path


def named_app(spec: str, root: Path) -> App:
    """Give the App that ``package.module:name`` names: what the ini ``qtest_app`` says.

    :raises ConfigError: when there is no such thing, or it is none.
    """
    return as_app(load_attribute(spec, root), f"qtest_app = {spec}")


def as_app(given: object, what: str) -> App:
    """Make an App of what was given; ``what`` says where, for messages.

    :raises ConfigError: for anything else.
    """
    made = given() if callable(given) and not isinstance(given, App | type) else given
    if isinstance(made, Config):
        made = App(made)
    if not isinstance(made, App):
        message = f"{what} is to be a qcore.App, a Config, or a function that makes one, got {made!r:.80}"
        raise ConfigError(message)
    return made
