"""No message about a wrong setting holds a password, however wrongly it is written; it says what to write."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config
from qcore.errors import QcoreError
from qcore.hiding import shown, without_password

if TYPE_CHECKING:
    from collections.abc import Mapping


def said_of(**config: Any) -> str:
    """Give the one line that using such a configuration ends with; no piece of the password GEHEIM is in it.

    Nor in the traceback, which -vv shows.
    """
    with pytest.raises(QcoreError) as caught:
        App(Config(**config)).connection().size()
    line = str(caught.value)
    assert "\n" not in line
    shows = "".join(traceback.format_exception(caught.value))
    assert [] == [piece for piece in ("GEH", "HEIM", "GE@", "12345") if piece in shows], shows
    return line


def connected(**settings: Any) -> Mapping[str, Any]:
    return {"default": "mine", "connections": {"mine": settings}}


URL = "postgresql://shop:GEHEIM@host/shop"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"connections": {"mine": {"url": URL}}},
            'names no driver: write driver = "database" below [connections.mine]',
        ),
        (
            {"connections": {"databse": {"url": URL}}},
            "write driver = \"database\" below [connections.databse], or is the connection 'database' meant?",
        ),
        (
            {"connections": {"mine": {"url": "redis://:GEHEIM@h"}}},
            'names no driver: write driver = "redis" below [connections.mine]',
        ),
        ({"connections": {"mine": {"url": "redis://:GEHEIM@h", "driver": 3}}}, "got {'url': 'redis://h', 'driver': 3}"),
        ({"connections": {"mine": {"driver": 3, "password": "GEHEIM"}}}, "'password': [redacted]"),
        ({"connections": {"mine": URL}}, "is a table that names its driver, got 'postgresql://host/shop'"),
        ({"connections": URL}, "connections is a table of settings, got 'postgresql://host/shop'"),
        ({"default": URL}, "there is no connection 'postgresql://host/shop'"),
        ({"default": {"url": URL}}, "default is the name of a connection, got {'url': 'postgresql://host/shop'}"),
        ({"imports": {"url": URL}}, "imports is a list of names, got {'url': 'postgresql://host/shop'}"),
        (connected(driver=URL), "wants the driver 'postgresql://host/shop'; there are"),
        (connected(driver="redis", url=[URL]), "url of the connection 'mine' is a text, got ['postgresql://host"),
        (connected(driver="redis", password=12345), "password of the connection 'mine' is a text, got [redacted]"),
        (connected(driver="redis", password=["GEHEIM"]), "password of the connection 'mine' is a text, got [redacted]"),
    ],
)
def test_a_wrong_setting_is_told_without_a_password(config: dict[str, Any], said: str) -> None:
    assert said in said_of(**config)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis//:GEHEIM@127.0.0.1:1/3", "'redis//127.0.0.1:1/3' is no address of a redis server"),
        ("redis:/:GEHEIM@127.0.0.1:1/3", "'redis:/127.0.0.1:1/3' is no address of a redis server"),
        (":GEHEIM@127.0.0.1:1/3", "'127.0.0.1:1/3' is no address of a redis server"),
        ("redis://:GEHEIM", "has the host ':***'"),
        ("redis://:GE/HEIM@127.0.0.1:1/3", "%2F for /"),
        ("redis://:GE?HEIM@127.0.0.1:1/3", "%3F for ?"),
        ("redis://:GE#HEIM@127.0.0.1:1/3", "%23 for #"),
        ("redis://shop:12/GEHEIM@127.0.0.1:1/3", "%2F for /"),
        ("redis://shop:12#GEHEIM@127.0.0.1:1/3", "%23 for #"),
        ("redis://shop:12/GEHEIM@127.0.0.1:1", "%2F for /"),
        ("redis://:GEHEIM@127.0.0.1:x/3", "has the host '127.0.0.1:x'"),
        ("redis+sentinel://:GE/HEIM@127.0.0.1:1/main", "%2F for /"),
        (URL, "'postgresql://host/shop' is no address of a redis server: write driver = \"database\", or "),
    ],
)
def test_a_wrong_address_of_redis_is_told_without_its_password(url: str, said: str) -> None:
    assert said in said_of(**connected(driver="redis", url=url))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://shop:GEHEIM@x/y", "'sqlite://x/y' names a host"),
        ("sqlite:shop:GEHEIM@x/y", "'sqlite:x/y' is no database URL"),
        ("shop:GEHEIM@x", "is no database URL"),
        ("postgresql//shop:GEHEIM@x/y", "'postgresql//x/y' is no database URL, it has no ://"),
        ("postgresql:/shop:GEHEIM@x/y", "'postgresql:/x/y' is no database URL, it has no ://"),
        ("mysql//shop:GEHEIM@x/y", "'mysql//x/y' is no database URL, it has no ://"),
        ("redis//:GEHEIM@x/3", "'redis//x/3' is no database URL but one of redis: write driver = \"redis\""),
        ("redis://:GEHEIM@x/3", "'redis://x/3' is no database URL but one of redis: write driver = \"redis\""),
        ("oracle://shop:GEHEIM@x/y", "'oracle' databases are not supported"),
        *[
            (f"{kind}://shop:{rest}", said)
            for kind in ("postgresql", "mysql")
            for rest, said in {
                "GE@HEIM@127.0.0.1:1/shop": "%40 for @",
                "GE@HE/IM@127.0.0.1:1/shop": "%40 for @",
                "GE@HE?IM@127.0.0.1:1/shop": "%40 for @",
                "GEHEIM@127.0.0.1:1": "://127.0.0.1:1 names no database",
                "GEHEIM@127.0.0.1:x/shop": "cannot be read",
                "GEHEIM": "cannot be read",
                "GE/HEIM@127.0.0.1:1/shop": "cannot connect to the",
            }.items()
        ],
    ],
)
def test_a_wrong_address_of_a_database_is_told_without_its_password(url: str, said: str) -> None:
    assert said in said_of(**connected(driver="database", url=url))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("redis://h:1/3", "redis://h:1/3"),
        ("redis://u:p@h:1/3?a=b", "redis://h:1/3"),
        ("redis+sentinel://:p@a:1,b:2/main/0", "redis+sentinel://a:1,b:2/main/0"),
        ("redis://[::1]:1/3", "redis://[::1]:1/3"),
        ("postgresql+psycopg://u:p@[::1]:1/d", "postgresql+psycopg://[::1]:1/d"),
        ("unix:///tmp/redis.sock", "unix:///tmp/redis.sock"),
        ("redis://h:1/3?password=p", "redis://h:1/3"),
    ],
)
def test_an_address_without_its_password_is_still_one(address: str, expected: str) -> None:
    assert expected == without_password(address)


def test_other_values_are_shown_as_they_are() -> None:
    assert "{'a': 3, 'b': ['x', None]}" == shown({"a": 3, "b": ("x", None)})
