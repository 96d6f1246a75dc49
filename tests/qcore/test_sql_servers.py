"""What a user can do wrong with a database on a server: one line that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Payload
from qcore.drivers.database import DatabaseDriver
from qcore.errors import ConfigError, DriverError, MissingExtraError, QcoreError
from qcore.sql import Database
from qtest.servers.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtest.servers import MariaServer, PostgresServer

ROOT = Path(__file__).parents[2]


def trouble(url: str) -> str:
    """Give what using a database says."""
    with pytest.raises(QcoreError) as caught:
        Database(url).connection()
    said = str(caught.value)
    assert "\n" not in said
    assert "secret" not in said
    return said


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "postgresql://me:secret@host:port/db",
            "the URL of the postgresql database cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        ("mysql://me:secret@host", "mysql://host names no database: add /DATABASE"),
        (
            "postgresql+asyncpg://me:secret@host/db",
            "qcore speaks to postgresql by psycopg: write postgresql+psycopg://",
        ),
        ("mysql+mysqldb://me:secret@host/db", "qcore speaks to mysql by pymysql: write mysql+pymysql://"),
    ],
)
def test_a_wrong_url_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(url).connection()

    assert said == str(caught.value)


def test_a_setting_of_sqlite_is_refused_elsewhere() -> None:
    with pytest.raises(ConfigError, match="synchronous is a setting of SQLite, and postgresql has none of that name"):
        Database("postgresql://host/db", synchronous="FULL")


@pytest.mark.parametrize("setting", ["nonsense=1", "connect_timeout=soon"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_wrong_setting_in_the_url_is_told(scheme: str, setting: str) -> None:
    assert setting.partition("=")[0] in trouble(f"{scheme}://me:secret@127.0.0.1:{free_port()}/db?{setting}")


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_a_server_that_is_not_there_is_named(scheme: str) -> None:
    port = free_port()

    said = trouble(f"{scheme}://me:secret@127.0.0.1:{port}/db")

    assert said.startswith(f"cannot connect to the {scheme} database 'db' at 127.0.0.1:{port}: ")


def test_a_database_that_is_not_there_is_named(postgres_server: PostgresServer, maria_server: MariaServer) -> None:
    for url in (postgres_server.url_of("nowhere"), maria_server.url_of("nowhere")):
        said = trouble(url)
        assert said.startswith("cannot connect to the ")
        assert "nowhere" in said.rpartition(": ")[2]


def test_a_wrong_password_is_told(maria_server: MariaServer) -> None:
    maria_server.say("CREATE OR REPLACE USER someone IDENTIFIED BY 'right'")

    said = trouble(maria_server.url.replace("root@", "someone:secret@"))

    assert "Access denied for user 'someone'" in said


@pytest.mark.parametrize(
    ("scheme", "module", "extra"), [("postgresql", "psycopg", "postgres"), ("mysql", "pymysql", "mysql")]
)
def test_a_missing_module_is_told_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    driver = DatabaseDriver(Database(f"{scheme}://me@127.0.0.1/db"), SystemClock())

    with pytest.raises(MissingExtraError) as caught:
        driver.push("default", Payload("job", b""))

    expected = f"a {scheme} database needs {module}: pip install 'qcore-queue[{extra}]'"
    assert expected == str(caught.value)


def test_a_command_says_it_and_ends_with_2(
    postgres_server: PostgresServer, maria_server: MariaServer, tmp_path: Path
) -> None:
    for url in (postgres_server.fresh(), maria_server.fresh()):
        (tmp_path / "qcore.toml").write_text(f'[connections.database]\nurl = "{url}"\n')
        codes, said = [], []
        for arguments in (("work", "--once"), ("db", "create"), ("work", "--once"), ("db", "create")):
            done = subprocess.run(
                [sys.executable, "-m", "qcore", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            codes.append(done.returncode)
            said.append(done.stdout + done.stderr)

        assert [2, 0, 0, 0] == codes, said
        assert said[0].endswith("has no tables of qcore, or old ones: run `qcore db create`\n")
        assert len(said[0].splitlines()) == 1
        assert said[1].startswith("The tables are there: database (")


def test_a_server_whose_tables_are_newer_is_left_alone(postgres_server: PostgresServer) -> None:
    url = postgres_server.fresh()
    database = Database(url)
    database.create_all()
    database.connection().say("UPDATE qcore_schema SET version = 99")
    database.close()

    assert "was made by a newer qcore (tables 99, known 2): upgrade" in trouble(url)


def test_sqlite_imports_nothing_of_the_servers() -> None:
    script = """
import sys, qcore, qcore.sql, qcore.drivers.database, qcore.stores.database, qcore.stores.database_batches
from qcore.sql import Database
Database("sqlite:///q.sqlite3").connection().close()
print([name for name in ("sqlalchemy", "psycopg", "pymysql") if name in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"


def network_settings(url: str) -> list[int]:
    """Ask the system how it watches the network of a connection."""
    with closing(Database(url).dialect.connect()) as connection:
        raw = connection.raw
        number = raw.fileno() if hasattr(raw, "fileno") else raw._sock.fileno()
        with socket.socket(fileno=os.dup(number)) as connected:
            probed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            names = "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"
            found = [connected.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names]
        return [probed, *found]


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="an option of Linux")
def test_a_network_that_dies_in_silence_is_noticed_within_twelve_seconds(
    postgres_server: PostgresServer, maria_server: MariaServer
) -> None:
    expected = [1, 6, 2, 3, 12_000]

    assert [expected] * 2 == [network_settings(server.fresh()) for server in (postgres_server, maria_server)]
    own = f"{postgres_server.fresh()}?keepalives_idle=60&tcp_user_timeout=5000"
    assert [1, 60, 2, 3, 5_000] == network_settings(own)


def test_mariadb_is_reached_by_its_unix_socket(maria_server: MariaServer) -> None:
    database = Database(f"mysql://root@/test?unix_socket={maria_server.folder / 'socket'}")

    with closing(database.dialect.connect()) as connection:
        assert [(1,)] == list(connection.say("SELECT 1"))


@pytest.fixture
def _small_packets(maria_server: MariaServer) -> Iterator[None]:
    [(usual,)] = maria_server.say("SELECT @@global.max_allowed_packet")
    maria_server.say(f"SET GLOBAL max_allowed_packet = {16 << 20}")
    yield
    maria_server.say(f"SET GLOBAL max_allowed_packet = {usual}")


@pytest.mark.usefixtures("_small_packets")
def test_a_payload_that_the_server_does_not_take_is_told(maria_server: MariaServer) -> None:
    database = Database(maria_server.fresh())
    database.create_all()
    driver = DatabaseDriver(database, SystemClock())

    for body in (b"x" * (17 << 20), b"'" * (9 << 20)):  # the latter is sent with a backslash before each byte
        with pytest.raises(DriverError, match=r"is larger than the .* takes: raise its max_allowed_packet"):
            driver.push("default", Payload("job", body))
    driver.push("default", Payload("job", b"x" * (1 << 20)))
    assert driver.size("default") == 1
    database.close()
