"""Whatever stands in a name or a payload: it is refused with a clear error or carried unchanged, on every backend."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import pytest

from qcore import Job, find_batch
from qcore.config import Config
from qcore.driver import Payload
from qcore.errors import ConfigError, DriverError, JobDefinitionError
from qcore.events import JobProcessing
from qcore.middleware import WithoutOverlapping
from tests.attack_inputs import ALIASES, CARRIED_BODIES, NAMES, REFUSED, REFUSED_BODIES, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.layers import Layer
    from qcore.worker import Stopped

    Work = Callable[..., Stopped]

ran: list[str] = []


class Victim(Job, name="attacked:Victim"):
    def __init__(self, name: str) -> None:
        self.name = name

    def tags(self) -> list[str]:
        return [self.name]

    def handle(self) -> None:
        ran.append(self.name)

    def _secret(self) -> None:
        ran.append("the secret")


class Only(Victim, unique=True, name="attacked:Only"):
    def unique_id(self) -> str:
        return self.name


class Apart(Victim, name="attacked:Apart"):
    def middleware(self) -> list[Layer]:
        return [WithoutOverlapping(self.name)]


class Abstract(Job, abc.ABC, name="attacked:Base"):
    @abc.abstractmethod
    def handle(self) -> None: ...


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


each_name = pytest.mark.parametrize(("kind", "name"), NAMES.items(), ids=NAMES.keys())


@each_name
def test_a_queue_name_is_carried_or_refused_when_it_is_said(app: App, work: Work, kind: str, name: str) -> None:
    Victim("bystander").dispatch(queue="x")
    if kind in REFUSED:
        with pytest.raises(JobDefinitionError, match="cannot be a queue name: use 1 to 190 printable characters"):
            Victim("mine").dispatch(queue=name)
    else:
        Victim("mine").dispatch(queue=name)
        assert 1 == app.connection().size(name)
        work(queues=(name,))

    assert ([] if kind in REFUSED else ["mine"]) == ran
    assert 1 == app.connection().size("x")


@each_name
def test_a_connection_name_is_carried_or_refused(kind: str, name: str) -> None:
    def config() -> Config:
        return Config(connections={name: {"driver": "memory"}})

    if kind in REFUSED:
        with pytest.raises(ConfigError, match=r"\A[^\n]* cannot be a connection name: use 1 to 190 printable[^\n]*\Z"):
            config()
    else:
        assert name in config().connections


@each_name
def test_a_unique_id_keeps_only_its_like_away(app: App, work: Work, kind: str, name: str) -> None:
    Only("x").dispatch()

    first, second = Only(name).dispatch(), Only(name).dispatch()
    work()

    assert first is not None
    assert second is None
    assert ["x", name] == ran
    assert Only(name).dispatch() is not None, "its lock was freed"


@each_name
def test_a_key_of_a_middleware_keeps_only_its_like_away(app: App, work: Work, kind: str, name: str) -> None:
    Apart("x").dispatch()
    Apart(name).dispatch()
    work()

    assert ["x", name] == ran


@each_name
def test_a_tag_and_an_argument_are_carried_unchanged(app: App, work: Work, kind: str, name: str) -> None:
    Victim(name).dispatch()
    tags: list[str] = []
    app.listen(JobProcessing, lambda event: tags.extend(event.delivery.body.tags if event.delivery.body else []))
    work()

    assert ([name], [name], []) == (ran, tags, app.failed.list())


MAY_BE_REFUSED = ("a lone surrogate", "NUL", "10 kB")
"""Names that a home may refuse to look for."""


@each_name
def test_a_batch_of_any_id_is_not_there(app: App, kind: str, name: str) -> None:
    try:
        found = find_batch(name)
    except DriverError:
        assert kind in MAY_BE_REFUSED
    else:
        assert found is None


@each_name
def test_a_failed_job_of_any_id_is_not_there(app: App, kind: str, name: str) -> None:
    try:
        found = app.failed.find(name)
    except DriverError:
        assert kind in MAY_BE_REFUSED
    else:
        assert (None, False, [name]) == (found, app.failed.forget(name), app.failed.retry([name]).missing)


@pytest.mark.parametrize("alias", ALIASES, ids=[f"{alias!a:.30}" for alias in ALIASES])
def test_a_name_in_a_payload_runs_no_code_that_is_no_job(app: App, work: Work, alias: str) -> None:
    payload = Payload("attack", written(data={"commandName": alias, "command": {"name": "echo owned"}}))
    app.connection().push_raw(payload)
    work()

    [record] = app.failed.list()
    assert ([], payload, 0) == (ran, record.payload, app.connection().size())
    assert "PayloadError: " in record.exception or "UnknownJobError: no job named" in record.exception


@pytest.mark.parametrize("body", REFUSED_BODIES.values(), ids=REFUSED_BODIES.keys())
def test_a_payload_that_is_no_job_is_kept_and_the_next_one_runs(app: App, work: Work, body: bytes) -> None:
    app.connection().push_raw(Payload("attack", body))
    Victim("next").dispatch()
    work(tries=1)

    [record] = app.failed.list()
    assert (["next"], Payload("attack", body)) == (ran, record.payload)
    assert "PayloadError: " in record.exception


@pytest.mark.parametrize("body", CARRIED_BODIES.values(), ids=CARRIED_BODIES.keys())
def test_a_strange_payload_runs_once_as_what_it_is(app: App, work: Work, body: bytes) -> None:
    app.connection().push_raw(Payload("attack", body))
    work(tries=1)

    assert (["a"], [], 0) == (ran, app.failed.list(), app.connection().size())


@pytest.mark.parametrize(
    "state", [{"name": "a", "handle": "x"}, {"_secret": 1}, {"__class__": "os.system"}, {"name": 1}]
)
def test_a_state_replaces_no_code_of_a_job(app: App, work: Work, state: dict[str, Any]) -> None:
    app.connection().push_raw(Payload("attack", written(data={"commandName": "attacked:Victim", "command": state})))
    work()

    assert "the secret" not in ran
    assert all(type(each) in (str, int) for each in ran)
    assert len(ran) + len(app.failed.list()) == 1
    assert Victim.handle.__qualname__ == "Victim.handle"
