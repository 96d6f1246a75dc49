"""Where a redis server is: what connections may say, and what is told about what is wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import fakeredis
import pytest
import redis
import redis.asyncio
from redis.exceptions import ResponseError

from qcore import App, Config
from qcore.clock import SystemClock
from qcore.commands.endings import USAGE, exit_code
from qcore.commands.listing import place_of
from qcore.commands.project import Project
from qcore.driver import Payload
from qcore.drivers.redis import RedisDriver
from qcore.errors import ConfigError, DriverError, QcoreError
from qcore.limits import WorkerOptions
from qcore.redis.client import Client, client_of
from qcore.redis.home import RedisHome
from qcore.redis.keys import rooted
from qcore.redis.script import packed
from qcore.redis.trouble import explained
from qcore.stores.redis import RedisFailedStore, RedisStore
from qtest.contract_base import reserved
from qtest.servers import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def app_on(settings: dict[str, Any], **more: Any) -> App:
    return App(Config(default="redis", connections={"redis": {"driver": "redis", **settings}}, **more))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://127.0.0.1/0", r"'http://127\.0\.0\.1/0' is no address of a redis server: write redis://HOST"),
        ("localhost:6379", "is no address of a redis server"),
        ("redis://:secret@127.0.0.1:port/0", r"'redis://127\.0\.0\.1:port/0' has the host '127\.0\.0\.1:port'"),
        ("redis://127.0.0.1:0/0", "has the host"),
        ("redis://127.0.0.1/jobs", "names the database 'jobs', which is no number"),
        ("unix://", "names no socket"),
        ("redis+sentinel://127.0.0.1:26379", "names no Sentinel, or no primary"),
        ("redis+sentinel:///primary", "names no Sentinel, or no primary"),
        ("redis+sentinel://a:1,b:x/primary", r"has the host 'b:\*\*\*'"),
    ],
)
def test_a_wrong_url_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"the connection 'redis': .*{said}") as info:
        app_on({"url": url}).connection("redis").driver.retry_after  # noqa: B018 - it is built

    assert "secret" not in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"block_for": -1}, "block_for of the connection 'redis' is a number of seconds"),
        ({"cluster": "yes"}, "cluster of the connection 'redis' is true or false"),
        ({"prefix": 5}, "prefix of the connection 'redis' is a text"),
        ({"ssl_ca_certs": 5}, "ssl_ca_certs of the connection 'redis' is a text"),
        ({"ssl_check_hostname": "maybe"}, "ssl_check_hostname of the connection 'redis' is true or false"),
        (
            {"hostname": "x"},
            "has no setting hostname; the driver 'redis' takes driver, queue, retry_after, url, prefix",
        ),
    ],
)
def test_a_wrong_setting_is_told(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        app_on(settings)


def test_the_environment_can_name_all_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {
        "CONNECTION": "cache",
        "CONNECTIONS_CACHE_DRIVER": "redis",
        "CONNECTIONS_CACHE_URL": "rediss://example.org/1",
        "CONNECTIONS_CACHE_PREFIX": "shop:",
        "CONNECTIONS_CACHE_BLOCK_FOR": "2.5",
        "CONNECTIONS_CACHE_CLUSTER": "no",
        "CONNECTIONS_CACHE_SSL_CA_CERTS": "/ca.pem",
        "CONNECTIONS_CACHE_SSL_CERT_REQS": "none",
        "CONNECTIONS_CACHE_SSL_CHECK_HOSTNAME": "no",
    }.items():
        monkeypatch.setenv(f"QCORE_{name}", value)

    assert {
        "driver": "redis",
        "url": "rediss://example.org/1",
        "prefix": "shop:",
        "block_for": 2.5,
        "cluster": False,
        "ssl_ca_certs": "/ca.pem",
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    } == Config.load(tmp_path).connections["cache"]


def test_a_deployment_on_redis_needs_nothing_else() -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    app = app_on({"client": client})
    home = app.connection("redis").driver.home

    assert isinstance(app.connections.failed_store, RedisFailedStore)
    assert isinstance(app.connections.store, RedisStore)
    batches = app.connections.batch_store("redis")
    assert batches is not None
    assert home is app.connections.failed_store.home is app.connections.store.home is batches.home


def test_connections_share_a_home_when_their_keys_are_the_same() -> None:
    client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
    settings = {"driver": "redis", "client": client}
    others = {"again": {**settings, "retry_after": 5}, "apart": {**settings, "prefix": "x:"}}
    app = App(Config(default="redis", connections={"redis": settings, **others}))
    homes = {name: app.connection(name).driver.home for name in ("redis", "again", "apart")}

    assert homes["redis"] is homes["again"]
    assert homes["redis"] is not homes["apart"]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [True, False])
def test_a_client_of_the_user_is_used_whatever_it_is_set_to(
    redis_server: RedisServer, protocol: int, *, decode: bool
) -> None:
    """Only its address is: how answers are read and repeated is our own business."""
    given = redis.Redis.from_url(redis_server.fresh(), decode_responses=decode, protocol=protocol)
    home = RedisHome(client_of({"client": given}))
    driver = RedisDriver(home, SystemClock())
    driver.push("default", Payload("job", b"\xff\0"))

    assert b"\xff\0" == reserved(driver).payload.body
    assert given.ping()
    home.close()
    given.close()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (redis.asyncio.Redis, "redis.asyncio"),
        (object, "a redis client is wanted"),
        (lambda: "redis://", "a redis client is wanted"),
    ],
)
def test_what_is_no_client_is_refused(make: Callable[[], object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        app_on({"client": make()}).connection("redis").driver.retry_after  # noqa: B018 - it is built


def test_a_socket_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with RedisServer(unixsocket=str(path)):
        home = RedisHome(client_of({"url": f"unix://{path}"}))
        driver = RedisDriver(home, SystemClock())
        driver.push("default", Payload("job", b""))

        assert "job" == reserved(driver).payload.id
        home.close()


def test_a_user_and_a_password_can_be_given_apart_from_the_url(redis_server: RedisServer) -> None:
    url = redis_server.fresh()
    redis_server.say("ACL SETUSER worker on >secret ~* +@all")
    homes = [
        RedisHome(client_of({"url": url, "username": "worker", "password": password}))
        for password in ("secret", "wrong")
    ]
    right, wrong = (RedisDriver(home, SystemClock()) for home in homes)

    assert 0 == right.size("default")
    with pytest.raises(DriverError, match="refuses the user or password"):
        wrong.size("default")
    redis_server.say("ACL DELUSER worker")
    for home in homes:
        home.close()


def test_a_user_who_may_not_is_told(redis_server: RedisServer) -> None:
    """Who may not ask for the version works all the same."""
    url = redis_server.fresh()
    redis_server.say("ACL SETUSER narrow on >secret ~queues:* ~qcore:* +@all -info")
    homes = [
        RedisHome(client_of({"url": url, "username": "narrow", "password": "secret"}), prefix=prefix)
        for prefix in ("", "elsewhere:")
    ]
    mine, elsewhere = (RedisDriver(home, SystemClock()) for home in homes)

    mine.push("default", Payload("job", b""))
    assert "job" == reserved(mine).payload.id
    with pytest.raises(DriverError, match="does not let this user do that"):
        elsewhere.size("default")
    redis_server.say("ACL DELUSER narrow")
    for home in homes:
        home.close()


def test_a_number_of_a_database_that_the_server_does_not_have_is_told(redis_server: RedisServer) -> None:
    host = redis_server.url.rpartition("/")[0]

    with pytest.raises(DriverError, match=r"/99 has no database of that number: the url ends with one"):
        app_on({"url": f"{host}/99"}).connection().size()


def test_a_server_that_does_not_answer_behind_tls_may_have_none(redis_server: RedisServer) -> None:
    host = redis_server.url.rpartition("/")[0].removeprefix("redis")

    with pytest.raises(DriverError, match=r"did not answer in time .*: does it speak TLS there\? redis:// is without"):
        app_on({"url": f"rediss{host}/0", "socket_timeout": 0.1}).connection().size()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "redis://127.0.0.1:1/0?foo=bar"}, "redis-py does not take this setting there: .*'foo'"),
        (
            {"url": "redis://127.0.0.1:1/0", "ssl_cert_reqs": "none"},
            "does not take this setting there: .*'ssl_cert_reqs'",
        ),
        (
            {"url": "redis://:secret@127.0.0.1:1/0?db=x"},
            "the url of redis://127.0.0.1:1/0 has a setting that is wrong: ",
        ),
        ({"url": "redis://127.0.0.1:1/0?socket_timeout=x"}, "Invalid value for 'socket_timeout'"),
        (
            {"url": "redis+sentinel://127.0.0.1:1,127.0.0.1:2/main"},
            "is no Sentinel that answers and knows this primary",
        ),
    ],
)
def test_a_setting_or_server_that_is_wrong_is_told_by_the_first_call(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(QcoreError, match=said) as info:
        app_on(settings).connection().size()

    assert "secret" not in str(info.value)
    assert "\n" not in str(info.value)


def test_a_connection_without_a_server_is_refused() -> None:
    with pytest.raises(ConfigError, match="names no server: write redis://HOST:6379/0"):
        app_on({}).connection().size()


@pytest.mark.parametrize("what", ["SENTINEL", "EVALSHA"])
def test_a_server_of_the_other_kind_is_told(what: str) -> None:
    """A plain server is asked as a Sentinel, and a Sentinel as a plain server."""
    said = explained(ResponseError(f"unknown command '{what}', with args beginning with: "), "redis://here:1/0")

    assert "Sentinel" in str(said)


def test_where_a_connection_is_can_be_told_without_asking_the_server() -> None:
    queue = app_on({"url": "redis://ann:secret@127.0.0.1:1/3"}).connection()

    assert "redis (redis://127.0.0.1:1/3)" == place_of(queue)


def test_a_server_that_is_too_old_is_refused(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    home = RedisHome(client_of({"url": redis_server.fresh()}))
    monkeypatch.setattr(RedisHome, "_info", lambda *_: "# Server\r\nredis_version:5.0.14\r\n")

    with pytest.raises(DriverError, match=r"is redis 5\.0\.14: qcore needs 6\.2 or newer"):
        RedisDriver(home, SystemClock()).size("default")
    home.close()


def test_a_worker_tells_of_a_server_that_throws_jobs_away(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer(maxmemory_policy="allkeys-lru") as server:
        app = app_on({"url": server.url})
        with caplog.at_level(logging.WARNING, "qcore"):
            app.worker(options=WorkerOptions(memory=0, stop_when_empty=True)).run()
        app.close()

    assert [True] == ["set its maxmemory-policy to noeviction" in record.message for record in caplog.records]


def test_a_worker_says_nothing_about_a_server_that_is_set_up_right(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_on({"url": redis_server.fresh()})
    app.worker(options=WorkerOptions(memory=0, stop_when_empty=True)).run()
    app.close()

    assert [] == caplog.records


def test_a_primary_is_found_through_sentinel(redis_server: RedisServer, tmp_path: Path) -> None:
    """And found again after it was lost."""
    redis_server.fresh()
    (tmp_path / "sentinel.conf").write_text(f"sentinel monitor primary 127.0.0.1 {redis_server.port} 1\n")
    with Sentinel(tmp_path / "sentinel.conf") as sentinel:
        home = RedisHome(client_of({"url": f"redis+sentinel://127.0.0.1:{sentinel.port}/primary/0"}))
        driver = RedisDriver(home, SystemClock())
        driver.push("default", Payload("job", b""))
        redis_server.say("CLIENT KILL TYPE normal")

        assert "job" == reserved(driver).payload.id
        home.close()

        unknown = RedisHome(client_of({"url": f"redis+sentinel://127.0.0.1:{sentinel.port}/nobody"}))
        with pytest.raises(DriverError, match=r"/nobody is no Sentinel that answers and knows this primary"):
            RedisDriver(unknown, SystemClock()).size("default")


class Sentinel(RedisServer):
    """A sentinel that watches one primary."""

    def __init__(self, settings: Path) -> None:
        super().__init__()
        self.settings = settings

    def _command(self) -> list[str]:
        return [self.path(), str(self.settings), "--sentinel", "--port", str(self.port)]


@pytest.mark.parametrize(
    ("prefix", "cluster", "root"),
    [
        ("", False, ""),
        ("shop:", False, "shop:"),
        ("", True, "{qcore}:"),
        ("shop:", True, "{shop}:"),
        ("{shop}:jobs:", True, "{shop}:jobs:"),
        ("a{}b", True, "{a{}b}:"),
    ],
)
def test_on_a_cluster_all_keys_have_one_tag(prefix: str, root: str, *, cluster: bool) -> None:
    assert root == rooted(prefix, cluster=cluster)


def test_a_command_is_packed_as_the_server_reads_it() -> None:
    assert b"*3\r\n$1\r\na\r\n$2\r\n\xff\0\r\n$2\r\n-5\r\n" == packed(("a", b"\xff\0", -5))


def test_the_command_line_ends_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    app = app_on({"url": "redis://:secret@127.0.0.1:1/0"})

    code = exit_code(lambda: _size(app), Project())

    assert USAGE == code
    said = capsys.readouterr().err
    assert said.startswith("error: redis://127.0.0.1:1/0 cannot be reached (")
    assert 1 == said.count("\n")


def _size(app: App) -> int:
    driver = app.connection("redis").driver
    assert isinstance(driver, RedisDriver)
    return driver.size("default")


def test_a_fake_server_that_is_away_is_told() -> None:
    server = fakeredis.FakeServer()
    home = RedisHome(lambda: Client(fakeredis.FakeRedis(server=server), "the fake server"))
    driver = RedisDriver(home, SystemClock())
    driver.push("default", Payload("job", b""))
    server.connected = False
    with pytest.raises(DriverError, match="the fake server cannot be reached"):
        driver.size("default")
    server.connected = True

    assert 1 == driver.size("default")
    home.close()
