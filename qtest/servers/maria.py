"""A throwaway MariaDB."""

from __future__ import annotations

import itertools
import os
from typing import ClassVar

from qtest.servers.server import Server


class MariaServer(Server):
    """Its root has no password. What it has confirmed survives a ``kill()``, though not a power cut."""

    program: ClassVar[str] = "mariadbd"
    package: ClassVar[str] = "mariadb-server"
    helpers: ClassVar[tuple[str, ...]] = ("mariadb-install-db",)

    def __init__(self, **settings: str) -> None:
        """``settings`` are those of my.cnf; a ``-`` is written ``_``."""
        super().__init__()
        # A payload may be larger than the 16 MB that a server takes by itself.
        self._settings = {"innodb-flush-log-at-trx-commit": "2", "max-connections": "200", "max-allowed-packet": "64M"}
        self._settings |= {name.replace("_", "-"): value for name, value in settings.items()}
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The address of a database that is always there."""
        return self.url_of("test")

    def url_of(self, database: str) -> str:
        """Give the address of one of its databases."""
        # It offers no TLS, and what pymysql would read to be ready for it takes longer than a test.
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?ssl_disabled=true"

    def fresh(self) -> str:
        """Make a new database, and give its address."""
        name = f"fresh_{next(self._numbers)}"
        self.say(f"CREATE DATABASE {name}")
        return self.url_of(name)

    def say(self, sql: str) -> list[tuple[object, ...]]:
        """Run a statement on a connection of its own, as root."""
        import pymysql

        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True, connect_timeout=10, ssl_disabled=True
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def _prepare(self) -> None:
        self._say(
            *self.helpers,
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--user={_me()}",
            "--auth-root-authentication-method=normal",
            "--skip-name-resolve",
            # The data are made for one session of tests.
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-log-file-size=8M",
        )

    def _command(self) -> list[str]:
        settings = {
            "datadir": str(self.folder / "data"),
            "user": _me(),
            "port": str(self.port),
            "bind-address": "127.0.0.1",
            "socket": str(self.folder / "socket"),
            "pid-file": str(self.folder / "pid"),
            "skip-name-resolve": "ON",
            **self._settings,
        }
        return [self.path(), "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]

    def _answers(self) -> bool:
        import pymysql

        try:
            self.say("CREATE DATABASE IF NOT EXISTS test")
        except pymysql.OperationalError:
            return False
        return True


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
