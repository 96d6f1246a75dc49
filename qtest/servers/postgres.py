"""A throwaway PostgreSQL."""

from __future__ import annotations

import itertools
import signal
from typing import ClassVar

from qtest.servers.server import Server


class PostgresServer(Server):
    """Trusts everybody on this machine. What it has confirmed survives a ``kill()``, though not a power cut."""

    program: ClassVar[str] = "postgres"
    package: ClassVar[str] = "postgresql"
    helpers: ClassVar[tuple[str, ...]] = ("initdb",)
    folders: ClassVar[tuple[str, ...]] = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
    # An immediate shutdown: backends end where they are, and the next start recovers from the log. After a
    # SIGKILL of the first process alone, the others would hold on to the shared memory for a moment.
    crash: ClassVar[signal.Signals] = signal.SIGQUIT
    account: ClassVar[str | None] = "postgres"

    def __init__(self, **settings: str) -> None:
        """``settings`` are those of postgresql.conf."""
        super().__init__()
        self._settings = {"fsync": "off", "full_page_writes": "off", "max_connections": "200"}
        # Shared memory in its folder goes with it; elsewhere, that of a server which is killed stays for good.
        self._settings |= {"dynamic_shared_memory_type": "mmap", **settings}
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The address of the database that every server has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Give the address of one of its databases."""
        return f"postgresql+psycopg://qcore@127.0.0.1:{self.port}/{database}"

    def fresh(self) -> str:
        """Make a new database, and give its address."""
        name = f"fresh_{next(self._numbers)}"
        self.say(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def say(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement on a connection of its own, as the server's superuser."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="qcore", dbname="postgres", autocommit=True, connect_timeout=10
        ) as connection:
            cursor = connection.execute(sql.encode())
            return [] if cursor.description is None else cursor.fetchall()

    def _prepare(self) -> None:
        self._say("initdb", "-D", str(self.folder / "data"), "-U", "qcore", "-A", "trust", "-E", "UTF8", "--no-sync")

    def _command(self) -> list[str]:
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder),
            **self._settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self.path(), "-D", str(self.folder / "data"), *options]

    def _answers(self) -> bool:
        import psycopg

        try:
            self.say("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
