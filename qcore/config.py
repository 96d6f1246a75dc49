"""Configuration: what the environment, ``qcore.toml`` or ``[tool.qcore]`` say, over the defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qcore.errors import ConfigError, JobDefinitionError
from qcore.hiding import SECRET_KEYS, driver_for, shown
from qcore.options import checked_name
from qcore.sealing import Keys

Settings = Mapping[str, Any]

_BUILT_IN: dict[str, dict[str, Any]] = {
    "database": {"driver": "database"},
    "memory": {"driver": "memory"},
    "sync": {"driver": "sync"},
    "null": {"driver": "null"},
}
_TABLES = {
    "connections": None,
    "payload": ("max_bytes", "max_depth"),
    "worker": (
        "backoff", "max_jobs", "max_time", "memory", "name", "queue", "rest", "sleep", "timeout", "tries",
    ),
    "redact": ("keys",),
}  # fmt: skip
_NAMES = ("default", "failed", "store")
_SCALARS = (*_NAMES, "imports", "keys")
_CONNECTION_KEYS = (
    "driver", "queue", "after_commit", "retry_after", "url", "synchronous", "prefix", "block_for", "cluster",
    "username", "password", "socket_timeout", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile",
    "ssl_check_hostname", "ssl_cert_reqs",
)  # fmt: skip
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NUMBERS = (
    "retry_after",
    "block_for",
    "socket_timeout",
    "max_bytes",
    "max_depth",
    "max_jobs",
    "max_time",
    "memory",
    "rest",
    "sleep",
    "timeout",
    "tries",
)
_READ_ELSEWHERE = ("QCORE_APP", "QCORE_CONFIG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of an App.

    ``connections`` adds to the built-in ones (``database``, ``memory``, ``sync``, ``null``) or changes them;
    each names its ``driver``, which those have already, and gives the driver's own settings.
    """

    default: str = "database"
    """The connection of jobs that name none."""
    connections: Mapping[str, Settings] = field(default_factory=dict)
    failed: str = "default"
    """Where failed jobs are kept: ``default`` (where the default connection lives), a connection, or ``null``."""
    store: str = "default"
    """Where locks, counters and signals are kept: ``default`` or a connection."""
    imports: tuple[str, ...] = ()
    """Modules that define jobs; packages are walked. Empty: the package ``jobs``, if there is one."""
    keys: Keys | Sequence[str] = ()
    """Secrets for encrypted jobs and closures: the first one writes, all of them read. ``Keys`` once it is checked."""
    payload: Settings = field(default_factory=dict)
    worker: Settings = field(default_factory=dict)
    redact: Settings = field(default_factory=lambda: {"keys": SECRET_KEYS})
    root: Path = field(default_factory=Path.cwd)
    """The folder of the project: relative paths start here, and modules are looked for here."""
    source: str = "the defaults"
    """Where the settings come from, for messages."""

    def __post_init__(self) -> None:
        """Check the settings that do not belong to a driver.

        :raises ConfigError: names what is wrong and what would be right.
        """
        _check_tables(self)
        for name in _NAMES:
            if not isinstance(getattr(self, name), str):
                message = f"{self.source}: {name} is the name of a connection, got {shown(getattr(self, name))}"
                raise ConfigError(message)
        given = self.redact.get("keys", SECRET_KEYS)
        settings = {
            "connections": {name: _connection(self, name) for name in {**_BUILT_IN, **self.connections}},
            "imports": _listed(self.imports, f"{self.source}: imports"),
            "keys": Keys.made_of(self.keys, source=f"{self.source}: keys"),
            "redact": {"keys": _listed(given, f"{self.source}: [redact] keys")},
            "root": Path(self.root).absolute(),
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    @classmethod
    def load(cls, folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
        """Read the configuration that holds in ``folder`` (the current one by default).

        :raises ConfigError: for a file that cannot be read and for settings that do not exist.
        """
        environ = os.environ if environ is None else environ
        root, source, settings = _read(folder or _here(), environ)
        settings = _over(settings, _from_environment(environ, settings))
        unknown = sorted(set(settings) - set(_TABLES) - set(_SCALARS))
        if unknown:
            message = f"{source}: {', '.join(unknown)} is no setting; there are {', '.join((*_SCALARS, *_TABLES))}"
            raise ConfigError(message)
        return cls(root=root, source=source, **settings)

    def with_default(self, connection: str) -> Config:
        """Give the same settings with another default connection."""
        return replace(self, default=connection)

    def elsewhere(self, connections: Mapping[str, Settings], *, failed: str) -> Config:
        """Give the same settings with other connections, all of which are complete: nothing is checked again."""
        other = copy(self)
        object.__setattr__(other, "connections", connections)
        object.__setattr__(other, "failed", failed)
        return other


def _check_tables(config: Config) -> None:
    for table, known in _TABLES.items():
        settings = getattr(config, table)
        if not isinstance(settings, Mapping):
            message = f"{config.source}: {table} is a table of settings, got {shown(settings)}"
            raise ConfigError(message)
        unknown = sorted(set(settings) - set(known)) if known else []
        if unknown:
            message = f"{config.source}: [{table}] has no {', '.join(unknown)}; it has {', '.join(known or ())}"
            raise ConfigError(message)


def _connection(config: Config, name: str) -> dict[str, Any]:
    """Give the settings of one connection, over those of the built-in one of that name."""
    try:
        checked_name(name, "connection")
    except JobDefinitionError as error:
        raise ConfigError(f"{config.source}: {error}") from None
    given: object = config.connections.get(name, {})
    settings = {**_BUILT_IN.get(name, {}), **given} if isinstance(given, Mapping) else {}
    if not isinstance(settings.get("driver"), str):
        raise ConfigError(f"{config.source}: the connection {name!r} {_how_to_name_a_driver(name, given, settings)}")
    return settings


def _how_to_name_a_driver(name: str, given: object, settings: Settings) -> str:
    driver = driver_for(settings.get("url"))
    if "driver" in settings or not driver:
        return f"is a table that names its driver, got {shown(given)}"
    import difflib

    close = difflib.get_close_matches(name, _BUILT_IN, n=1)
    meant = f", or is the connection {close[0]!r} meant?" if close else ""
    return f'names no driver: write driver = "{driver}" below [connections.{name}]{meant}'


def _here() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        message = "the current folder does not exist any more: go to that of your project"
        raise ConfigError(message) from error


def _read(folder: Path, environ: Mapping[str, str]) -> tuple[Path, str, dict[str, Any]]:
    """Find the configuration file: the one named, else the nearest one here or above."""
    named = environ.get("QCORE_CONFIG")
    if named:
        path = Path(named).resolve()
        return path.parent, path.name, _section(path)
    for place in (folder.resolve(), *folder.resolve().parents):
        if (place / "qcore.toml").is_file():
            return place, "qcore.toml", _section(place / "qcore.toml")
        if (place / "pyproject.toml").is_file():
            return place, "pyproject.toml", _section(place / "pyproject.toml")
    return _with_a_queue(folder.resolve()), "the defaults", {}


def _with_a_queue(folder: Path) -> Path:
    """Give the nearest folder, here or above, in which the default queue was made already; else this one.

    That of a home folder is for commands in that very folder, and not for every project below.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises where there is none
    for place in (folder, *folder.parents):
        if (place / ".qcore").is_dir() and (place == folder or place != home):
            return place
        if place == home:
            break
    return folder


def _section(path: Path) -> dict[str, Any]:
    import tomllib  # only a process that uses the configuration pays for it

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise ConfigError(message) from error
    if path.name != "pyproject.toml":
        return content
    tools = content.get("tool", {})
    section = tools.get("qcore", {}) if isinstance(tools, dict) else tools
    if not isinstance(section, dict):
        message = f"{path}: [tool.qcore] is a table of settings, got {shown(section)}"
        raise ConfigError(message)
    return section


def _from_environment(environ: Mapping[str, str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``QCORE_*``: one variable for each setting, tables and keys joined by underscores."""
    found: dict[str, Any] = {}
    if environ.get("QUEUE_CONNECTION"):
        found["default"] = environ["QUEUE_CONNECTION"]
    for variable, value in sorted(environ.items()):
        if variable.startswith("QCORE_") and variable not in _READ_ELSEWHERE and value:
            _set_from_variable(found, variable, value, settings)
    return found


def _set_from_variable(found: dict[str, Any], variable: str, value: str, settings: Mapping[str, Any]) -> None:
    name = variable.removeprefix("QCORE_").lower()
    if name in ("connection", "default"):
        found["default"] = value
    elif name == "keys":
        found[name] = Keys(value, source=variable)
    elif name in _SCALARS:
        found[name] = value
    elif name.startswith("connections_"):
        connection, key = _connection_key(name.removeprefix("connections_"), variable, settings)
        found.setdefault("connections", {}).setdefault(connection, {})[key] = _value(key, value)
    else:
        table, _, key = name.partition("_")
        if key not in (_TABLES.get(table) or ()):
            message = f"the environment variable {variable} is no setting of qcore; there are {_variables()}"
            raise ConfigError(message)
        found.setdefault(table, {})[key] = _value(key, value)


def _variables() -> str:
    tables = [f"{table}_{key}" for table, keys in _TABLES.items() for key in keys or ("<name>_<setting>",)]
    return ", ".join(f"QCORE_{name.upper()}" for name in ("connection", *_SCALARS, *tables))


def _connection_key(name: str, variable: str, settings: Mapping[str, Any]) -> tuple[str, str]:
    for key in _CONNECTION_KEYS:
        if name.endswith(f"_{key}"):
            wanted = name.removesuffix(f"_{key}")
            known = [*_BUILT_IN, *_table(settings.get("connections"))]
            exact = [each for each in known if each.lower().replace("-", "_") == wanted]
            return (exact[0] if exact else wanted), key
    message = f"the environment variable {variable} ends with no setting of a connection: {', '.join(_CONNECTION_KEYS)}"
    raise ConfigError(message)


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value(key: str, text: str) -> str | int | float:
    """Read a number or flag where one is expected; what is none is refused by those who know what it is for."""
    if key in {"after_commit", "cluster", "ssl_check_hostname"}:
        return _FLAGS.get(text.lower(), text)
    for kind in (int, float) if key in _NUMBERS else ():
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _listed(value: object, what: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list | tuple) and all(isinstance(part, str) and part.strip() for part in value):
        return tuple(value)
    message = f"{what} is a list of names, got {shown(value)}"
    raise ConfigError(message)


def _over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Lay one tree of settings over another."""
    merged = dict(base)
    for name, value in top.items():
        below = merged.get(name)
        merged[name] = _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
