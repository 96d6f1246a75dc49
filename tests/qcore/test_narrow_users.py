"""An App whose user may no more on the server than the pages about redis and databases say."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, Job, WorkerOptions, batch
from qcore.errors import DriverError
from qcore.sql import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from qtest.servers import MariaServer, PostgresServer, RedisServer

DOCUMENTS = Path(__file__).parents[2] / "docs"

ran: list[str] = []


class Step(Job, unique=True, tries=1):
    def __init__(self, name: str) -> None:
        self.name = name

    def unique_id(self) -> str:
        return self.name

    def handle(self) -> None:
        ran.append(self.name)
        if self.name == "broken":
            raise ValueError(self.name)


def said(page: str, start: str) -> list[str]:
    """Give the lines of a page that begin so."""
    lines = re.findall(rf"^{start}.*$", (DOCUMENTS / page).read_text(), re.MULTILINE)
    assert lines
    return lines


@pytest.fixture
def on_redis(redis_server: RedisServer) -> Iterator[dict[str, Any]]:
    url = redis_server.fresh()
    [line] = said("redis.md", "ACL SETUSER")
    redis_server.say(line)
    yield {"driver": "redis", "url": url, "username": "worker", "password": "secret"}
    redis_server.say("ACL DELUSER worker")


@pytest.fixture
def on_postgres(postgres_server: PostgresServer) -> Iterator[dict[str, Any]]:
    url = postgres_server.fresh()
    postgres_server.say("CREATE ROLE worker LOGIN")
    with closing(Database(url)) as owned:
        owned.create_all()
        for line in said("databases.md", "GRANT (?!.* shop[.])"):
            owned.connection().say(line)
        yield {"driver": "database", "url": url.replace("qcore@", "worker@")}
        owned.connection().say("DROP OWNED BY worker")
    postgres_server.say("DROP ROLE worker")


@pytest.fixture
def on_maria(maria_server: MariaServer) -> Iterator[dict[str, Any]]:
    url = maria_server.fresh()
    with closing(Database(url)) as owned:
        owned.create_all()
    maria_server.say("CREATE USER worker")
    for line in said("databases.md", "GRANT .* shop[.]"):
        maria_server.say(line.replace("shop.", f"{url.partition('?')[0].rpartition('/')[2]}."))
    yield {"driver": "database", "url": url.replace("root@", "worker@")}
    maria_server.say("DROP USER worker")


@pytest.fixture(params=["on_redis", "on_postgres", "on_maria"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    ran.clear()
    connections = {"server": request.getfixturevalue(request.param)}
    with closing(App(Config(default="server", connections=connections, root=tmp_path))) as app, app.activate():
        yield app


def test_the_user_of_the_page_may_do_all_that_an_app_does(app: App) -> None:
    Step("one").dispatch()
    Step("broken").dispatch()
    started = batch([Step("two"), Step("three")]).dispatch()
    app.signals.pause("mail")
    app.signals.resume("mail")
    app.worker(options=WorkerOptions(memory=0, stop_when_empty=True)).run()

    assert ["one", "broken", "two", "three"] == ran
    assert ["broken"] == [record.exception.split()[-1] for record in app.failed.list()]
    found = started.fresh()
    assert found is not None
    assert found.finished
    assert 1 == len(app.failed.retry_all().ids)
    assert 1 == app.connection().clear()
    assert (0, 1) == (app.failed.flush(), app.batches.prune(hours=0))


@pytest.mark.parametrize("server", ["on_postgres", "on_maria"])
def test_the_user_of_the_page_makes_no_tables(server: str, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue(server)["url"]

    with (
        closing(Database(url)) as home,
        pytest.raises(DriverError, match=r"permission denied|command denied|must be owner"),
    ):
        home.create_all()
