"""Throwaway servers start, die, come back with their data, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from qcore.errors import DriverError
from qtest.servers import MariaServer, MissingServerError, PostgresServer, RedisCluster, RedisServer, Server
from qtest.servers.server import _is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    AnyServer = RedisServer | PostgresServer | MariaServer

WRITE = {
    "redis": ("SET number 7", "GET number", "7"),
    "postgres": ("CREATE TABLE numbers AS SELECT 7 AS number", "SELECT number FROM numbers", [(7,)]),
    "maria": ("CREATE TABLE test.numbers SELECT 7 AS number", "SELECT number FROM test.numbers", [(7,)]),
}


@pytest.fixture(params=["redis", "postgres", "maria"])
def kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def server(kind: str) -> Iterator[AnyServer]:
    made: dict[str, AnyServer] = {"redis": RedisServer(), "postgres": PostgresServer(), "maria": MariaServer()}
    server = made[kind]
    try:
        server.start()
    except MissingServerError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    yield server
    server.stop()


def test_what_it_has_confirmed_is_there_after_a_crash(server: AnyServer, kind: str) -> None:
    write, read, expected = WRITE[kind]
    server.say(write)
    url, pid = server.url, server.pid

    server.kill()
    server.restart()

    assert expected == server.say(read)
    assert url == server.url
    assert pid != server.pid


def test_a_paused_server_takes_connections_and_does_not_answer(server: AnyServer, kind: str) -> None:
    server.pause()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as link:
        link.settimeout(0.2)
        link.sendall(b"PING\r\n")
        with pytest.raises(TimeoutError):
            link.recv(1)

    server.resume()

    write, read, expected = WRITE[kind]
    server.say(write)
    assert expected == server.say(read)


def test_nothing_is_left_of_it(server: AnyServer) -> None:
    folder, port = server.folder, server.port
    family = list(server._family())

    server.stop()

    assert not folder.exists()
    assert not [pid for pid in family if _is_alive(pid)]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_killed_server_can_be_stopped_and_says_that_it_does_not_run(server: AnyServer) -> None:
    server.kill()

    with pytest.raises(DriverError, match=r"does not run: start\(\) it, or restart\(\) it"):
        server.kill()
    server.stop()

    assert not Path(server._folder or "/nowhere").exists()


def test_a_fresh_one_is_empty(server: AnyServer, kind: str) -> None:
    write, read, _ = WRITE[kind]
    server.say(write)

    url = server.fresh()

    assert url.startswith({"redis": "redis://", "postgres": "postgresql+psycopg://", "maria": "mysql+pymysql://"}[kind])
    if isinstance(server, RedisServer):
        assert "" == server.say(read)
    else:
        assert url != server.url


def test_a_cluster_shares_its_slots(redis_cluster: RedisCluster) -> None:
    assert 3 == len({node.pid for node in redis_cluster.nodes})
    assert ["cluster_state:ok"] * 3 == [node.say("CLUSTER INFO").split()[0] for node in redis_cluster.nodes]
    with pytest.raises(DriverError, match="MOVED"):
        [node.say("SET number 7") for node in redis_cluster.nodes]

    assert redis_cluster.fresh() == redis_cluster.url


def test_a_server_dies_with_the_process_that_started_it() -> None:
    script = "from qtest.servers import RedisServer; print(RedisServer().start().pid, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        handle = os.pidfd_open(pid)
        starter.send_signal(signal.SIGKILL)

    import select

    assert ([handle], [], []) == select.select([handle], [], [], 30)
    os.close(handle)


class Absent(RedisServer):
    program: ClassVar[str] = "no-such-server"
    package: ClassVar[str] = "no-such-package"


class Refusing(RedisServer):
    def __init__(self) -> None:
        super().__init__(nonsense="yes")


def test_a_forked_process_that_ends_leaves_the_server_to_the_one_that_started_it() -> None:
    script = (
        "import os, sys; from qtest.servers import RedisServer; server = RedisServer().start()\n"
        "if not (child := os.fork()): sys.exit()\n"
        "os.waitpid(child, 0); print(server.say('PING'))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert "PONG\n" == ended.stdout, ended.stderr


def test_a_server_with_a_password_starts_and_takes_commands() -> None:
    with RedisServer(requirepass="secret") as server:
        assert "OK" == server.say("SET number 7")


def test_a_server_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QTEST_REDIS_SERVER", raising=False)
    with pytest.raises(MissingServerError, match="no-such-server is not installed: apt-get install no-such-package"):
        Absent().start()


@pytest.mark.parametrize("kind", [MariaServer, PostgresServer])
def test_what_makes_the_data_of_a_server_has_to_be_installed_too(
    kind: type[MariaServer | PostgresServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "helpers", ("no-such-program",))

    with pytest.raises(MissingServerError, match="no-such-program is not installed: apt-get install "):
        kind.path()


def test_a_variable_names_another_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = tmp_path / "valkey-server"
    other.symlink_to(RedisServer.path())
    monkeypatch.setenv("QTEST_REDIS_SERVER", str(other))
    assert str(other) == RedisServer.path()

    monkeypatch.setenv("QTEST_REDIS_SERVER", "/nowhere/redis-server")
    with pytest.raises(MissingServerError, match="QTEST_REDIS_SERVER is '/nowhere/redis-server', and that is no prog"):
        RedisServer().start()


def test_a_server_that_does_not_start_shows_the_end_of_its_log() -> None:
    server = Refusing()

    with pytest.raises(DriverError, match=r"(?s)redis-server did not start on port \d+; the end of its log:.*nonsense"):
        server.start()

    server.stop()


def test_only_what_a_server_says_of_itself_is_needed_for_another_kind() -> None:
    with pytest.raises(NotImplementedError):
        _ = Server().url
