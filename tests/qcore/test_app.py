"""The App joins what the configuration describes, opens it on first use, and each thing once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, ConfigError, Job, SystemClock, UnknownConnectionError, WorkerOptions
from qcore.connections import DriverRow
from qcore.drivers.database import DatabaseDriver
from qcore.drivers.memory import MemoryDriver
from qcore.drivers.null import NullDriver
from qcore.memory import Memory
from qcore.stores.memory import MemoryFailedStore
from qcore.stores.null import NullFailedStore
from qcore.sync import SyncDriver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.worker import Stopped
    from qtest.clock import FrozenClock


class Send(Job):
    def handle(self) -> None: ...


class Failing(Job):
    def handle(self) -> None:
        raise ValueError


def test_an_app_needs_nothing_said(an_empty_folder: Path) -> None:
    app = App()

    assert ("database", an_empty_folder) == (app.config.default, app.config.root)
    assert isinstance(app.clock, SystemClock)


def test_nothing_is_opened_before_it_is_used(an_empty_folder: Path) -> None:
    app = App()
    app.connection("database")
    app.worker()
    assert [] == list(an_empty_folder.iterdir())
    app.dispatch(Send())
    app.close()

    assert (an_empty_folder / ".qcore" / "queue.sqlite3").is_file()


def test_a_closed_app_opens_again(app: App) -> None:
    app.dispatch(Send())
    app.close()

    assert 1 == app.connection().size()


@pytest.mark.parametrize(
    ("name", "driver"),
    [("memory", MemoryDriver), ("database", DatabaseDriver), ("sync", SyncDriver), ("null", NullDriver)],
)
def test_four_connections_are_built_in(name: str, driver: type, app: App) -> None:
    assert isinstance(app.connection(name).driver, driver)


def test_a_connection_is_made_once(app: App) -> None:
    """DRV-60."""
    assert app.connection() is app.connection(app.config.default)
    assert app.connections.driver("memory") is app.connection("memory").driver


def test_an_unknown_connection_lists_what_exists(app: App) -> None:
    for ask in (app.connection, app.worker):
        with pytest.raises(
            UnknownConnectionError, match=r"no connection 'rabbit'.*there are database, memory, null,.* sync"
        ):
            ask("rabbit")


def test_two_connections_in_memory_are_two_places(tmp_path: Path) -> None:
    app = App(Config(default="a", connections={"a": {"driver": "memory"}, "b": {"driver": "memory"}}, root=tmp_path))
    app.dispatch(Send(), connection="a")

    assert (1, 0) == (app.connection("a").size(), app.connection("b").size())


def test_two_connections_with_one_address_are_one_place(tmp_path: Path) -> None:
    """So a job that fails on one is moved to the failed store of the other in one step."""
    connections = {"fast": {"driver": "database", "retry_after": 5}, "slow": {"driver": "database", "retry_after": 900}}
    app = App(Config(default="fast", connections=connections, root=tmp_path))
    app.dispatch(Send(), connection="slow")

    assert 1 == app.connection("fast").size()
    assert (5, 900) == tuple(app.connection(name).driver.retry_after for name in ("fast", "slow"))
    assert app.connection("fast").driver.home is app.connection("slow").driver.home
    assert app.connections.failed_store.home is app.connection("slow").driver.home
    app.close()


def test_failed_jobs_live_where_the_default_connection_lives(app: App) -> None:
    assert app.connections.failed_store.home is app.connection().driver.home
    assert app.connections.store.home is app.connection().driver.home


@pytest.mark.parametrize(
    ("failed", "kind"), [("null", NullFailedStore), ("memory", MemoryFailedStore), ("default", MemoryFailedStore)]
)
def test_where_failed_jobs_are_kept_is_a_setting(failed: str, kind: type, tmp_path: Path) -> None:
    app = App(Config(default="memory", failed=failed, root=tmp_path))

    assert isinstance(app.connections.failed_store, kind)


def test_failed_jobs_of_a_connection_in_memory_can_be_kept_in_a_file(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(Config(default="memory", failed="database", store="database", root=tmp_path), clock=clock)
    app.dispatch(Failing())
    app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()
    app.close()

    again = App(Config(root=tmp_path))
    assert ["Failing"] == [again.failed.display_name(record) for record in again.failed.list()]
    assert "memory" == again.failed.list()[0].connection
    again.close()


def test_a_driver_of_ones_own_is_a_kind_like_the_others(tmp_path: Path) -> None:
    def build(_: Any, name: str, settings: Any) -> MemoryDriver:  # noqa: ANN401 - not looked at
        return MemoryDriver(Memory(), SystemClock(), retry_after=len(name) + settings["lanes"])

    connections = {"mine": {"driver": "lanes", "lanes": 7}}
    app = App(
        Config(default="mine", connections=connections, root=tmp_path), drivers={"lanes": DriverRow(("lanes",), build)}
    )
    app.dispatch(Send())

    assert (1, 11) == (app.connection().size(), app.connection().driver.retry_after)


def test_an_unknown_driver_or_setting_of_a_driver_lists_what_exists(tmp_path: Path) -> None:
    def made(**settings: object) -> App:
        return App(Config(connections={"mine": settings}, root=tmp_path))

    with pytest.raises(
        ConfigError, match="'mine' wants the driver 'kafka'; there are database, memory, null, redis, sync"
    ):
        made(driver="kafka")
    with pytest.raises(
        ConfigError, match="'mine' has no setting host, port; the driver 'database' takes driver, queue, url"
    ):
        made(driver="database", port=1, host="x")


def test_a_worker_works_on_the_queue_of_its_connection(tmp_path: Path, clock: FrozenClock) -> None:
    app = App(
        Config(default="a", connections={"a": {"driver": "memory", "queue": "imports"}}, root=tmp_path), clock=clock
    )
    app.dispatch(Send())

    assert ("imports",) == app.worker().options.queues
    assert app.worker().run_next_job() is not None


def test_two_apps_do_not_know_each_other(app: App, tmp_path: Path) -> None:
    other = App(Config(default="memory", root=tmp_path / "other"))
    app.dispatch(Send())
    other.before_push(lambda *_: False)
    other.route(Send, queue="elsewhere")

    assert (1, 0) == (app.connection().size(), other.connection().size())
    assert app.dispatch(Send()) is not None


def test_an_app_serves_many_threads(app: App, work: Callable[..., Stopped]) -> None:
    threads = [threading.Thread(target=lambda: [app.dispatch(Send()) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 40 == work().jobs


def test_an_app_of_the_project_is_built_from_its_files(an_empty_folder: Path) -> None:
    (an_empty_folder / "pyproject.toml").write_text(
        '[tool.qcore]\ndefault = "memory"\n[tool.qcore.payload]\nmax_depth = 3'
    )
    app = App.from_configuration()

    assert ("memory", 3) == (app.config.default, app.codec.max_depth)


@pytest.mark.parametrize("payload", [{"max_bytes": 0}, {"max_bytes": "1M"}, {"max_depth": True}, {"max_depth": 1000}])
def test_a_limit_of_payloads_that_cannot_be_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(payload))):
        App(Config(default="memory", payload=payload))


def test_the_words_of_secrets_are_a_setting(tmp_path: Path, clock: FrozenClock) -> None:
    class Leaking(Job):
        def handle(self) -> None:
            message = "card=4111 password=x"
            raise ValueError(message)

    def text(config: Config) -> str:
        app = App(config, clock=clock)
        app.dispatch(Leaking())
        app.worker(options=WorkerOptions(stop_when_empty=True, memory=0)).run()
        return app.failed.list()[0].exception.splitlines()[-1]

    assert "ValueError: card=4111 password=[redacted]" == text(Config(default="memory", redact={}))
    assert "ValueError: card=[redacted] password=x" == text(Config(default="memory", redact={"keys": ["card"]}))
