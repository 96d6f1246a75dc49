"""What must not be read in messages: the passwords in settings and addresses."""

from __future__ import annotations

import re
from collections.abc import Mapping

SECRET_KEYS = ("password", "passwd", "secret", "token", "api_key", "apikey", "authorization", "credential")
HIDDEN = "[redacted]"

HOW_TO_WRITE = "a password is written with %40 for @, %2F for /, %3F for ?, %23 for #, %3A for : and %25 for %"
"""What helps who put a password into a URL as it is."""

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*(?=:?/|:)")
_BEGIN = re.compile(r"[A-Za-z][\w+.-]*(?::/{0,2}|//)")
_NO_PORT = re.compile(r":(?!\d+(?:,|$)|$)[^,]*")
_DRIVERS = {
    "redis": ("redis", "rediss", "unix"),
    "database": ("sqlite", "postgresql", "postgres", "mysql", "mariadb"),
}


def is_secret(name: str, keys: tuple[str, ...] = SECRET_KEYS) -> bool:
    """Tell whether the values of that name are to be hidden."""
    name = name.lower().replace("-", "_")
    return any(key in name for key in keys)


def without_password(url: str) -> str:
    """Give an address without user, password and settings, also one that is written wrongly."""
    begin = found.group() if (found := _BEGIN.match(url)) else ""
    _, parted, place = url[len(begin) :].rpartition("@")
    place = place.partition("?")[0]
    if not parted:
        host, slash, path = place.partition("/")
        # What stands where the port should may be a password that ends where the host is said to begin.
        place = f"{host if '[' in host else _NO_PORT.sub(':***', host)}{slash}{path}"
    return f"{begin}{place}"


def shown(value: object, name: str = "") -> str:
    """Write the value of a setting for a message; ``name`` is that of the setting."""
    if is_secret(name):
        return HIDDEN
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {shown(each, str(key))}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(each, name) for each in value) + "]"
    return repr(without_password(value) if isinstance(value, str) and _looks_like_an_address(value) else value)


def _looks_like_an_address(text: str) -> bool:
    return "@" in text or "//" in text


def driver_for(url: object) -> str:
    """Name the driver that an address is one for; empty when nobody can tell."""
    found = _SCHEME.match(url) if isinstance(url, str) else None
    kind = found.group().lower().partition("+")[0] if found else ""
    return next((driver for driver, kinds in _DRIVERS.items() if kind in kinds), "")
