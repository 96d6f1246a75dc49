"""Redis as operators set it up: behind TLS, with a Sentinel that promotes a replica."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from redis import Redis

from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.drivers.redis import RedisDriver
from qcore.errors import ConfigError, DriverError
from qcore.redis.client import client_of
from qcore.redis.home import RedisHome
from qtest.contract_base import reserved
from qtest.servers import RedisServer
from qtest.servers.ports import free_port
from qtest.servers.server import wait_for
from tests.qcore.certificates import certificate_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


def home_at(**settings: Any) -> RedisHome:
    return RedisHome(client_of(settings))


# TLS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate of 127.0.0.1 that signs itself, and its key."""
    return certificate_for("127.0.0.1", tmp_path_factory.mktemp("tls"))


@pytest.fixture
def behind_tls(authority: Path) -> Iterator[str]:
    port = free_port()
    files = {"tls_cert_file": str(authority / "cert.pem"), "tls_key_file": str(authority / "key.pem")}
    server = RedisServer(
        tls_port=str(port), tls_ca_cert_file=str(authority / "cert.pem"), tls_auth_clients="no", **files
    )
    try:
        server.start()
    except DriverError as error:
        if "QTEST_REDIS_SERVER" in os.environ and re.search("tls-port|TLS support", str(error)):
            pytest.skip("this server was built without TLS")
        raise
    yield f"rediss://127.0.0.1:{port}/0"
    server.stop()


def test_jobs_go_through_tls(behind_tls: str, authority: Path) -> None:
    home = home_at(url=behind_tls, ssl_ca_certs=str(authority / "cert.pem"))
    driver = RedisDriver(home, SystemClock())

    driver.push("default", Payload("job", b"body"))

    assert ("job", b"body") == reserved(driver).payload
    home.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(behind_tls: str) -> None:
    said = trouble_at(url=behind_tls)

    assert "it has a certificate that is not trusted (" in said
    assert said.endswith("): name its CA by ssl_ca_certs")


def test_a_certificate_of_another_host_is_told(behind_tls: str, authority: Path) -> None:
    url = behind_tls.replace("127.0.0.1", "localhost")

    said = trouble_at(url=url, ssl_ca_certs=str(authority / "cert.pem"))

    assert said.startswith("it has the certificate of another host (")


def test_a_server_behind_tls_that_is_asked_without_is_told(behind_tls: str) -> None:
    said = trouble_at(url=behind_tls.replace("rediss", "redis"))

    assert said.startswith("it cannot be reached (")
    assert said.endswith("): is it running, and does it want TLS there? rediss:// is with")


@pytest.mark.parametrize("setting", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_of_a_certificate_that_is_missing_is_named(setting: str) -> None:
    with pytest.raises(ConfigError, match=rf"^redis: {setting} names the file '/no/such\.pem', which is not there"):
        home_at(url="rediss://127.0.0.1:1/0", **{setting: "/no/such.pem"})


def test_whether_a_certificate_is_wanted_is_one_of_three_words() -> None:
    with pytest.raises(ConfigError, match=r"^redis: ssl_cert_reqs is none, optional or required, got 'nope'"):
        home_at(url="rediss://127.0.0.1:1/0", ssl_cert_reqs="nope")


def trouble_at(**settings: Any) -> str:
    """Give what using a server says; its address is ``it``."""
    home = home_at(**settings)
    with pytest.raises(DriverError) as caught:
        RedisDriver(home, SystemClock()).size("default")
    home.close()
    return str(caught.value).replace(home.place, "it")


# A replica that is promoted.


class Sentinel(RedisServer):
    """Watches one primary."""

    def __init__(self, settings: Path) -> None:
        super().__init__()
        self.settings = settings

    def _command(self) -> list[str]:
        return [self.path(), str(self.settings), "--sentinel", "--port", str(self.port)]


def takes(server: RedisServer, command: str) -> bool:
    try:
        server.say(command)
    except DriverError:  # it knows the replica, and not yet what it is like
        return False
    return True


def test_jobs_go_on_where_a_sentinel_says_that_the_primary_is_now(tmp_path: Path) -> None:
    with RedisServer() as primary, RedisServer() as replica:
        replica.say(f"REPLICAOF 127.0.0.1 {primary.port}")
        assert wait_for(lambda: "master_link_status:up" in replica.say("INFO replication"))
        settings = tmp_path / "sentinel.conf"
        watched = f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        settings.write_text(f"{watched}sentinel known-replica main 127.0.0.1 {replica.port}\n")
        with Sentinel(settings) as sentinel:
            home = home_at(url=f"redis+sentinel://127.0.0.1:{sentinel.port}/main/0")
            driver = RedisDriver(home, SystemClock())
            driver.push("default", Payload("job", b""))
            assert wait_for(lambda: replica.say("EXISTS qcore:job:job") == "1")  # what it has not heard of, it forgets
            with Redis(port=sentinel.port, decode_responses=True) as watcher:
                assert wait_for(lambda: ["slave"] == [each["flags"] for each in watcher.sentinel_slaves("main")])
                assert wait_for(lambda: takes(sentinel, "SENTINEL FAILOVER main"))
                assert wait_for(lambda: replica.port == watcher.sentinel_masters()["main"]["port"])
            primary.kill()

            assert "job" == reserved(driver).payload.id
            home.close()
