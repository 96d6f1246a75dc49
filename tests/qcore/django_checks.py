"""Jobs and the transactions of Django, on real connections. Run by `test_django.py`, in a process of its own.

Django's settings are those of a whole process, and cannot be taken back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import django
import pytest
from django.conf import settings
from django.db import connection, connections, models, transaction

from qcore import App, Config, ConfigError, DriverError, Job, UnsupportedError, batch, bulk, chain
from qcore.driver import pending
from qcore.events import JobHeld, JobQueued, JobQueueing
from qcore.unique import key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.events import Event

FOLDER = Path(tempfile.mkdtemp())
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(FOLDER / f"{alias}.sqlite3"),
        "OPTIONS": {"timeout": 0.1},
    }
    for alias in ("default", "reports")
}
settings.configure(DATABASES=DATABASES, INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()


class Order(models.Model):  # type: ignore[misc]
    name = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "orders"

    def __str__(self) -> str:
        return str(self.name)


class Say(Job):
    def __init__(self, what: object = "hello") -> None:
        self.what = what

    def handle(self) -> None:
        said.append(self.what)


class Waits(Say, after_commit=True):
    pass


class Once(Say, unique=True):
    def unique_id(self) -> object:
        return self.what


class RefusedError(Exception):
    pass


said: list[object] = []


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    said.clear()
    for each in connections.all():
        with each.schema_editor() as editor:
            editor.create_model(Order)
    yield
    for each in connections.all():
        each.close()
        Path(each.settings_dict["NAME"]).unlink()


def waiting(app: App) -> list[str]:
    return [each.payload.id for each in app.connection().listed("default")]


def lock_of(app: App, name: str = "hello") -> str | None:
    return app.connections.store.get(key_of(Once(name)))


def roll_back() -> None:
    raise RefusedError


def test_a_job_is_pushed_when_the_atomic_block_has_committed(app: App, events: list[Event]) -> None:
    """DSP-41. No source is needed."""
    with transaction.atomic():
        job_id = Waits().dispatch()
        assert waiting(app) == []
        assert [type(event) for event in events] == [JobHeld]

    assert waiting(app) == [job_id]
    assert [type(event) for event in events] == [JobHeld, JobQueueing, JobQueued]


def test_a_rollback_leaves_neither_job_nor_lock(app: App) -> None:
    """DSP-42. Django tells nobody of a rollback, and yet the lock is free at once."""
    with pytest.raises(RefusedError), transaction.atomic():  # noqa: PT012 - it ends the block
        job_id = str(Once().dispatch(after_commit=True))
        assert lock_of(app) == pending(job_id)
        assert Once().dispatch() is None
        roll_back()

    assert (waiting(app), lock_of(app)) == ([], None)


def test_a_savepoint_takes_along_what_was_dispatched_inside(app: App) -> None:
    with transaction.atomic():
        kept = [Once("outside").dispatch(after_commit=True)]
        with pytest.raises(RefusedError), transaction.atomic():  # noqa: PT012 - it ends the block
            Once("inside").dispatch(after_commit=True)
            with transaction.atomic():
                Once("released inside").dispatch(after_commit=True)
            roll_back()
        assert (lock_of(app, "inside"), lock_of(app, "released inside")) == (None, None)
        with transaction.atomic():
            kept.append(Once("released").dispatch(after_commit=True))
        assert waiting(app) == []

    assert waiting(app) == kept
    assert lock_of(app, "outside") == kept[0]


def test_without_an_atomic_block_it_is_pushed_at_once(app: App) -> None:
    Order.objects.create(name="first")
    for given in (True, connection):
        Say().dispatch(after_commit=given)

    assert len(waiting(app)) == 2


def test_a_connection_can_be_named(app: App) -> None:
    with transaction.atomic("default"), transaction.atomic("reports"):
        Say("reports").dispatch(after_commit=connections["reports"])
        Say("default").dispatch(after_commit=connection)
        bulk([Say("default"), Once("default")], after_commit=connection)
    assert len(waiting(app)) == 4


def test_another_database_is_found_too_and_the_default_one_comes_first(app: App) -> None:
    with transaction.atomic("reports"):
        Waits(1).dispatch()
        assert waiting(app) == []
    assert len(waiting(app)) == 1
    with transaction.atomic("default"):
        with transaction.atomic("reports"):
            Waits(2).dispatch()
        assert len(waiting(app)) == 1
    assert len(waiting(app)) == 2


def test_a_transaction_by_hand_is_refused(app: App) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(UnsupportedError, match=r"use transaction\.atomic\(\), or say after_commit=False"):
            Waits().dispatch()
        Waits().dispatch(after_commit=False)
    finally:
        transaction.rollback()
        transaction.set_autocommit(True)

    assert len(waiting(app)) == 1


def test_an_error_in_the_push_is_logged_and_loses_nothing_else(
    app: App, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    send, broken = app.connection().send, DriverError("broken")

    def sent(prepared: list[tuple[object, Job]]) -> list[str]:
        if getattr(prepared[0][1], "what", "") == "trouble":
            raise broken
        return send(prepared)  # type: ignore[arg-type] # as it was given

    monkeypatch.setattr(app.connection(), "send", sent)
    with transaction.atomic():
        Once("trouble").dispatch(after_commit=True)
        Say("fine").dispatch(after_commit=True)
        transaction.on_commit(lambda: called.append("the user's own"))

    assert (len(waiting(app)), called) == (1, ["the user's own"])
    assert lock_of(app, "trouble") is None
    assert "broken" in caplog.text


def test_the_sync_connection_runs_the_job_behind_the_commit(app: App) -> None:
    """DSP-43."""
    with transaction.atomic():
        Say().dispatch(after_commit=True, connection="sync")
        assert said == []

    assert said == ["hello"]


def test_chains_and_batches_wait(app: App) -> None:
    with transaction.atomic():
        chain(Say(), Say()).dispatch(after_commit=True)
        batch([Say(), Say()]).dispatch(after_commit=True)
        assert waiting(app) == []

    assert len(waiting(app)) == 3


@pytest.fixture
def shared() -> Iterator[App]:
    """An App whose queues live in Django's own database."""
    app = App(Config(connections={"database": {"url": f"sqlite:///{DATABASES['default']['NAME']}"}}, root=FOLDER))
    app.connection().size()
    with app.activate():
        yield app
    app.close()


def test_a_job_is_written_by_the_transaction_itself(shared: App) -> None:
    with transaction.atomic():
        Order.objects.create(name="first")
        job_id = Once().dispatch(within=connection)
        assert Once().dispatch(within=connection) is None
        assert waiting(shared) == []

    assert waiting(shared) == [job_id]
    assert lock_of(shared) == job_id


def test_a_rollback_undoes_what_was_written(shared: App) -> None:
    with pytest.raises(RefusedError), transaction.atomic():  # noqa: PT012 - it ends the block
        Order.objects.create(name="first")
        Once().dispatch(within=connection)
        roll_back()

    assert (waiting(shared), lock_of(shared), Order.objects.count()) == ([], None, 0)


def test_within_needs_an_atomic_block_on_that_database(shared: App) -> None:
    with pytest.raises(ConfigError, match=r"dispatch inside transaction\.atomic\(\)"):
        Say().dispatch(within=connection)
    with transaction.atomic("reports"), pytest.raises(ConfigError, match=r"reports\.sqlite3: bind it to that file"):
        Say().dispatch(within=connections["reports"])


def test_after_commit_takes_the_lock_inside_the_transaction(shared: App, caplog: pytest.LogCaptureFixture) -> None:
    with transaction.atomic():
        Order.objects.create(name="first")
        with pytest.raises(RefusedError), transaction.atomic():  # noqa: PT012 - it ends the block
            Once("inside").dispatch(after_commit=True)
            roll_back()
        job_id = Once().dispatch(after_commit=True)
        assert Once().dispatch(after_commit=True) is None
        assert lock_of(shared) is None

    assert waiting(shared) == [job_id]
    assert (lock_of(shared), lock_of(shared, "inside")) == (job_id, None)
    assert caplog.records == []


def test_a_lock_that_lives_apart_stays_with_a_job_that_was_pushed(shared: App) -> None:
    app = App(Config(default="memory", store="database", root=FOLDER))
    with app.activate(), transaction.atomic():
        job_id = str(Once().dispatch(after_commit=True))

    assert lock_of(app) == pending(job_id)
    app.close()
