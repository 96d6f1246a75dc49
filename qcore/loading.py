"""Brings the user's modules in: the job modules of the configuration, and what ``--app`` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from qcore.errors import ConfigError, QcoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

DEFAULT = "jobs"
"""The package or module that is loaded when the configuration names none."""


def load_jobs(imports: Sequence[str], root: Path, source: str) -> None:
    """Import the job modules, packages with all that is in them.

    :raises ConfigError: names the module that cannot be imported and says why.
    """
    look_first_in(root)
    if imports:
        for name in imports:
            _load(name, f"imports of {source}")
    elif _is_there(root / DEFAULT):
        _load(DEFAULT, f"the job modules in {root}")
        _refuse_namesake(root)


def load_attribute(spec: str, root: Path) -> object:
    """Give what ``pkg.module:attr`` names.

    :raises ConfigError: when there is no such thing, or its module cannot be imported.
    """
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute:
        raise ConfigError(f"--app {spec!r} names no app: write --app pkg.module:attr")
    look_first_in(root)
    module = _import(module_name, f"--app {spec}")
    try:
        return getattr(module, attribute)
    except AttributeError:
        known = _nearest(attribute, module)
        raise ConfigError(f"--app {spec}: the module {module_name!r} has no {attribute!r}{known}") from None


def look_first_in(root: Path) -> None:
    """Let modules in the project's folder be found, before any other of the same name."""
    folder = str(root)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)


def _is_there(place: Path) -> bool:
    return place.with_suffix(".py").is_file() or any(place.glob("*.py"))


def _refuse_namesake(root: Path) -> None:
    """Find out when Python took another package: a folder without ``__init__.py`` comes last, wherever it is."""
    module = sys.modules[DEFAULT]
    places = [Path(place) for place in (module.__file__, *getattr(module, "__path__", ())) if place]
    if not any(place.resolve().is_relative_to(root.resolve()) for place in places):
        hidden = root / DEFAULT
        raise ConfigError(f"{places[0]} hides the jobs in {hidden}: add {hidden / '__init__.py'}, or name your imports")


def _load(name: str, asked_by: str) -> None:
    module = _import(name, asked_by)
    path = getattr(module, "__path__", None)
    if path is None:
        return
    import pkgutil  # only a package is walked

    for found in pkgutil.iter_modules(path, f"{name}."):
        if not found.name.endswith(".__main__"):  # a program: importing it would run it
            _load(found.name, asked_by)


def _import(name: str, asked_by: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"cannot import {name!r} ({asked_by}): {_reason(name, error)}") from error


def _reason(name: str, error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
        return f"there is no module {error.name!r} in {sys.path[0]}, and none is installed"
    reason = str(error) if isinstance(error, QcoreError) else f"{type(error).__name__}: {error}"
    return reason if isinstance(error, SyntaxError) else f"{reason}{_place(error)}"


def _place(error: BaseException) -> str:
    """Say which line of the user's raised it: the last one that is not the import machinery's or qcore's."""
    import traceback  # only a failing import needs it

    ours = str(Path(__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(("<", ours)) and frame.filename != importlib.__file__
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _nearest(name: str, module: ModuleType) -> str:
    import difflib  # only a failing look-up needs it

    close = difflib.get_close_matches(name, vars(module), n=3)
    return f" (did you mean {' or '.join(close)}?)" if close else ""
