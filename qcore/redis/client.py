"""Where a server is: how its connections are made, from a URL and settings or from a client of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from qcore.errors import ConfigError
from qcore.hiding import HOW_TO_WRITE, driver_for, shown, without_password
from qcore.redis import TLS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SCHEMES = ("redis://", "rediss://", "unix://", "redis+sentinel://", "rediss+sentinel://")
_EXAMPLE = "write redis://HOST:6379/0, rediss:// for TLS, unix:///PATH, or redis+sentinel://HOST:26379,HOST2:26379/NAME"

ANSWER_WITHIN = 5.0
"""Seconds in which a server has to answer, unless the settings say otherwise."""

_OURS = {"decode_responses": False, "protocol": 2, "health_check_interval": 0}
"""What connections have to be like, whatever the client they are made from is set to."""

_CERT_REQS = ("none", "optional", "required")

_NOT_OURS = ("maint_notifications", "orig_", "oss_cluster", "maintenance", "retry")


class Client:
    """Makes connections to the server that holds the keys of one connection."""

    def __init__(self, raw: Any, where: str, *, made_here: bool = False) -> None:  # noqa: ANN401 - redis-py, valkey, fakeredis
        """Use a client of redis-py's kind: it is asked where its server is, and its pool is left alone."""
        self.where = where
        self._raw = raw
        self._made_here = made_here
        self.is_cluster = hasattr(raw, "get_node_from_key")
        if not self.is_cluster and not hasattr(raw, "connection_pool"):
            kind = type(raw).__qualname__
            raise ConfigError(f"{where}: a redis client is wanted, such as redis.Redis(...), got {kind}")
        if _is_async(raw):
            raise ConfigError(f"{where}: the client is one of redis.asyncio; qcore wants redis.Redis or RedisCluster")

    @property
    def can_block(self) -> bool:
        """False for a fake server, whose blocking commands would hang where time stands still."""
        return not type(self._raw).__module__.startswith("fakeredis")

    def connection(self, key: bytes) -> Any:  # noqa: ANN401 - a connection of redis-py, not opened yet
        """Make a connection to the node that holds ``key``."""
        pool = self._pool(key)
        settings = {
            name: value for name, value in pool.connection_kwargs.items() if not name.startswith(_NOT_OURS)
        } | _OURS
        if settings.get("socket_timeout") is None:
            settings["socket_timeout"] = ANSWER_WITHIN
        if settings.get("socket_connect_timeout") is None:
            settings["socket_connect_timeout"] = ANSWER_WITHIN
        try:
            return pool.connection_class(**settings, retry=_no_retry())
        except TypeError as error:
            what = str(error).rpartition("() ")[2]
            raise ConfigError(f"{self.where}: redis-py does not take this setting there: {what}") from error

    def _pool(self, key: bytes) -> Any:  # noqa: ANN401 - a pool of redis-py
        if not self.is_cluster:
            return self._raw.connection_pool
        return self._raw.get_redis_connection(self._raw.get_node_from_key(key)).connection_pool

    def look_again(self) -> None:
        """Ask a cluster anew which node holds what."""
        if self.is_cluster:
            self._raw.nodes_manager.initialize()

    def close(self) -> None:
        """Close what the client itself holds open, if it was made here."""
        if self._made_here:
            self._raw.close()


def _no_retry() -> Any:  # noqa: ANN401 - redis-py's Retry
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Retry(NoBackoff(), 0)


def _is_async(raw: Any) -> bool:  # noqa: ANN401 - any client
    return any("asyncio" in each.__module__ or "aioredis" in each.__module__ for each in type(raw).__mro__)


def client_of(settings: Mapping[str, Any], source: str = "redis") -> Callable[[], Client]:
    """Give what makes the client that the settings of a connection describe; what is wrong with them raises here.

    :raises ConfigError: when the URL is none.
    """
    if (given := settings.get("client")) is not None:
        client = Client(given, f"{source}: the server of the given client")
        return lambda: client
    if not (url := settings.get("url")):
        raise ConfigError(f"{source} names no server: {_EXAMPLE}")
    try:
        where = checked_url(url)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    _check_tls(settings, source)
    options = {name: settings[name] for name in (*TLS, "username", "password", "socket_timeout") if name in settings}
    if url.startswith("rediss") and settings.get("ssl_cert_reqs") != "none" and "ssl_cert_reqs=none" not in url:
        options = {"ssl_check_hostname": True} | options  # which redis-py 5 leaves out
    if "+sentinel" in url.partition(":")[0]:
        return lambda: Client(_sentinel(url, options), where, made_here=True)
    return lambda: Client(_plain(url, options, cluster=settings.get("cluster", False)), where, made_here=True)


def _check_tls(settings: Mapping[str, Any], source: str) -> None:
    """Name a file that is not there: redis-py would only say that there is none."""
    for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"):
        if name in settings and not Path(settings[name]).is_file():
            raise ConfigError(f"{source}: {name} names the file {settings[name]!r}, which is not there")
    wanted = settings.get("ssl_cert_reqs")
    if isinstance(wanted, str) and wanted not in _CERT_REQS:
        raise ConfigError(f"{source}: ssl_cert_reqs is none, optional or required, got {wanted!r}")


def checked_url(url: str) -> str:
    """Give the address without its password, or say what is wrong with it.

    :raises ConfigError: when it is no URL of a redis server.
    """
    if not url.startswith(_SCHEMES):
        is_other = driver_for(url) == "database"
        way = f'write driver = "database", or {_EXAMPLE.removeprefix("write ")}' if is_other else _EXAMPLE
        raise ConfigError(f"{shown(url)} is no address of a redis server: {way}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"{shown(url)} cannot be read; {HOW_TO_WRITE}, and %5B for [") from None
    _check_password(parts)
    hosts = parts.netloc.rpartition("@")[2]
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ConfigError(f"{shown(url)} names no socket: {_EXAMPLE}")
    elif "+sentinel" in parts.scheme:
        if not hosts or not parts.path.strip("/"):
            raise ConfigError(f"{shown(url)} names no Sentinel, or no primary: {_EXAMPLE}")
        _hosts(hosts, url)
    else:
        _hosts(hosts or "127.0.0.1", url)
    database = parts.path.rpartition("/")[2]
    if parts.scheme in {"redis", "rediss"} and database and not database.isdecimal():
        raise ConfigError(f"{shown(url)} names the database {database!r}, which is no number: {_EXAMPLE}")
    return without_password(url)


def _check_password(parts: SplitResult) -> None:
    """Refuse an address in which a part of the password is taken for the host."""
    misread = "@" in parts.query and "@" not in parts.netloc and "=" not in parts.query.partition("@")[0]
    if parts.scheme != "unix" and (misread or "@" in parts.path + parts.fragment):
        raise ConfigError(f"the url has a password that cannot be read: {HOW_TO_WRITE}")


def _hosts(text: str, url: str, default: int = 6379) -> list[tuple[str, int]]:
    found = []
    for each in text.split(","):
        host, port = each, str(default)
        if not each.endswith("]") and ":" in each:
            host, _, port = each.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
            named = each if "@" in url else without_password(f"redis://{each}").removeprefix("redis://")
            raise ConfigError(f"{shown(url)} has the host {named!r}: {_EXAMPLE}")
        found.append((host.strip("[]"), int(port)))
    return found


def _plain(url: str, options: dict[str, Any], *, cluster: bool) -> Any:  # noqa: ANN401 - a client of redis-py
    import redis

    from qcore.redis.trouble import TROUBLE, explained

    try:
        if cluster:
            # It asks its nodes while it is made: nothing else would wait for a host that does not answer.
            return redis.RedisCluster.from_url(url, protocol=2, **{"socket_timeout": ANSWER_WITHIN} | options)
        return redis.Redis.from_url(url, protocol=2, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the url of {without_password(url)} has a setting that is wrong: {error}") from error
    except TROUBLE as error:
        raise explained(error, without_password(url)) from error


def _sentinel(url: str, options: dict[str, Any]) -> Any:  # noqa: ANN401 - a client of redis-py
    from redis import sentinel as redis_sentinel

    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.strip("/").partition("/")
    login, _, password = user.partition(":")
    if login:
        options = {"username": unquote(login)} | options
    if password:
        options = {"password": unquote(password)} | options
    tls = {"ssl": True} if parts.scheme.startswith("rediss") else {}
    only_tls = {key: value for key, value in options.items() if key in TLS}
    sentinel_class: Any = redis_sentinel.Sentinel  # it has no types
    sentinel = sentinel_class(
        _hosts(hosts, url, 26379), socket_timeout=ANSWER_WITHIN, sentinel_kwargs={**tls, **only_tls, "protocol": 2}
    )
    return sentinel.master_for(
        name, db=int(database or 0), protocol=2, **tls, **{"socket_timeout": ANSWER_WITHIN} | options
    )
