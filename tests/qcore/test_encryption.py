"""Encrypted jobs: nobody without a key reads what they hold, or writes one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from qcore import App, Config, ConfigError, Failed, Job, JobDefinitionError, PayloadError, chain, closure, job, registry
from qcore.driver import Payload
from qcore.errors import MissingExtraError
from qcore.events import JobProcessing
from qcore.payload import decode
from qcore.sealing import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.failed import FailedJob
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock
    from tests.backends import Backend

ONE = "one-" + "1" * 40
TWO = "two-" + "2" * 40
CARD = "visa-4111"
ran: list[Any] = []


class Charge(Job, encrypted=True):
    def __init__(self, card: str) -> None:
        self.card = card

    def handle(self) -> None:
        ran.append(self.card)


class Refund(Job, encrypted=True):
    def __init__(self, card: str) -> None:
        self.card = card

    def handle(self) -> None:
        ran.append(("refund", self.card))


class ChargeLater(Charge):
    pass


class Open(Charge, encrypted=False):
    pass


class Failing(Charge, tries=1):
    def handle(self) -> None:
        raise ValueError("the bank is closed")


class Telling(Charge):
    def handle(self) -> None:
        message = f"the keys are {ONE},{TWO}"
        raise ValueError(message)


@dataclass(slots=True)
class SlottedCharge(Job, encrypted=True):
    card: str

    def handle(self) -> None:
        ran.append(self.card)


@dataclass(frozen=True)
class FrozenCharge(Job, encrypted=True):
    card: str

    def handle(self) -> None:
        ran.append(self.card)


@attrs.define
class AttrsCharge(Job, encrypted=True):
    card: str

    def handle(self) -> None:
        ran.append(self.card)


class ModelCharge(BaseModel, Job, encrypted=True):
    card: str

    def handle(self) -> None:
        ran.append(self.card)


@job(encrypted=True)
def charge(card: str) -> None:
    ran.append(card)


@pytest.fixture
def app(backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    app = App(backend.config(tmp_path, keys=[ONE]), clock=clock)
    ran.clear()
    with app.activate():
        yield app
    app.close()


def body_of(app: App) -> dict[str, Any]:
    [waits] = app.connection().listed()
    body: dict[str, Any] = json.loads(waits.payload.body)
    return body


def push_changed(app: App, job_id: str = "forged", **data: object) -> Payload:
    """Put in the place of the only payload one that says something else."""
    body = body_of(app)
    body |= {"uuid": job_id, "id": job_id, "data": body["data"] | data}
    app.connection().clear()
    payload = Payload(job_id, json.dumps(body).encode())
    app.connection().push_raw(payload)
    return payload


def the_failure(app: App, work: Callable[[], object]) -> FailedJob:
    work()
    [record] = app.failed.list()
    return record


def rekeyed(app: App, *secrets: str) -> App:
    """The same stores, with other keys."""
    other = App(replace(app.config, keys=secrets), clock=app.clock)
    other.connections = app.connections
    return other


# It works, and shows nothing.


@pytest.mark.parametrize(
    "made",
    [Charge, ChargeLater, SlottedCharge, FrozenCharge, AttrsCharge, lambda card: ModelCharge(card=card), charge.job],
)
def test_an_encrypted_job_runs_with_what_it_held(
    made: Callable[[str], Job], app: App, work: Callable[..., Stopped]
) -> None:
    """DSP-34."""
    job_id = made(CARD).dispatch()
    body = body_of(app)

    assert type(body["data"]["command"]) is str
    assert CARD not in json.dumps(body)
    assert (job_id, job_id) == (body["uuid"], body["id"])
    assert body["displayName"]
    assert body["data"]["commandName"] == type(made(CARD)).__job__.name
    work()
    assert [CARD] == ran


def test_the_keyword_is_inherited_and_can_be_taken_back(app: App) -> None:
    Open(CARD).dispatch()

    assert {"card": CARD} == body_of(app)["data"]["command"]


@pytest.mark.parametrize("wrong", [1, "yes", "False", []])
def test_the_keyword_is_true_or_false(wrong: Any) -> None:  # noqa: ANN401
    with pytest.raises(JobDefinitionError, match="Wrong: encrypted is True or False, got"):

        class Wrong(Job, encrypted=wrong):
            def handle(self) -> None: ...


def test_it_belongs_to_the_class_and_is_no_option_of_a_call() -> None:
    with pytest.raises(JobDefinitionError, match="encrypted is no option"):
        Charge(CARD).with_options(encrypted=False)
    with pytest.raises(JobDefinitionError, match="encrypted is no option"):
        closure(lambda: None, encrypted=True)
    with pytest.raises(JobDefinitionError, match=r"class Wrong\(Job, encrypted=True\)"):

        class Wrong(Job):
            encrypted = True


def test_sync_runs_make_the_whole_round_trip(app: App) -> None:
    Charge(CARD).dispatch_sync()
    charge.job("2").dispatch(connection="sync")

    assert [CARD, "2"] == ran


def test_neither_the_job_nor_its_failure_shows_what_it_holds(app: App, work: Callable[..., Stopped]) -> None:
    Failing(CARD).dispatch()
    record = the_failure(app, work)

    assert CARD not in record.exception
    assert CARD not in repr(Charge(CARD)) + repr(charge.job(CARD)) + repr(Charge(CARD).with_options(tries=2))
    assert "Charge(encrypted)" == repr(Charge(CARD))
    assert Charge(CARD) == Charge(CARD) != Charge("other")


def test_it_is_encrypted_in_a_chain_too(app: App, work: Callable[..., Stopped]) -> None:
    chain(Open("first"), Charge(CARD), charge.job("last-visa")).dispatch()
    [waits] = app.connection().listed()

    assert b"visa" not in waits.payload.body
    work()
    assert ["first", CARD, "last-visa"] == ran


# What is refused.


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"command": {"card": "forged"}}, "can be read and written by anybody, and Charge is encrypted"),
        ({"command": {}}, "can be read and written by anybody"),
        ({"command": ""}, "was not encrypted by a key of this process"),
        ({"command": "{}"}, "was not encrypted by a key of this process"),
        ({"command": "gAAAAAB"}, "was not encrypted by a key of this process"),
        ({"command": "é\0\u202e"}, "was not encrypted by a key of this process"),
        ({"command": "\ud800"}, "was not encrypted by a key of this process"),
        ({"command": Keys([TWO]).encrypt(b"[]", what="")}, "was not encrypted by a key of this process"),
        ({"command": Keys([ONE]).sign(b"[]", purpose="closure", what="")}, "was not encrypted by a key"),
        ({"commandName": Refund.__job__.name}, "was encrypted for another job class"),
        ({"commandName": ChargeLater.__job__.name}, "was encrypted for another job class"),
        ({"commandName": Open.__job__.name}, "holds sealed text, and Open is not encrypted"),
        ({"commandName": "qcore:closure"}, "was not signed by a key of this process"),
    ],
)
def test_what_is_forged_never_runs_and_is_kept_byte_for_byte(
    data: dict[str, Any], reason: str, app: App, work: Callable[..., Stopped]
) -> None:
    Charge(CARD).dispatch()
    forged = push_changed(app, **data)
    record = the_failure(app, work)

    assert [] == ran
    assert reason in record.exception
    assert CARD not in record.exception
    assert forged == record.payload


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(where=st.integers(min_value=0), bit=st.integers(0, 6))
def test_a_flipped_bit_anywhere_is_refused(app: App, where: int, bit: int) -> None:
    command = app.job_codec.data_of(Charge(CARD))["command"]
    at = where % len(command)
    damaged = command[:at] + chr(ord(command[at]) ^ (1 << bit)) + command[at + 1 :]
    Charge(CARD).dispatch()
    push_changed(app, command=damaged)

    assert isinstance(app.worker().run_next_job(), Failed)
    assert [] == ran


def test_encrypted_text_for_a_plain_class_is_refused(app: App, work: Callable[..., Stopped]) -> None:
    Charge(CARD).dispatch()
    sealed = body_of(app)["data"]["command"]
    app.connection().clear()
    Open("x").dispatch()
    push_changed(app, command=sealed)

    assert "holds sealed text, and Open is not encrypted" in the_failure(app, work).exception
    assert [] == ran


def test_an_alias_reads_what_was_encrypted_under_the_old_name(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dict(registry._classes)
    monkeypatch.setattr(registry, "_classes", {**known})

    class Old(Job, name="shop:OldCharge", encrypted=True):
        def handle(self) -> None: ...

    Old().dispatch()
    [waits] = app.connection().listed()
    monkeypatch.setattr(registry, "_classes", known)

    class New(Job, aliases=["shop:OldCharge"], encrypted=True):
        def handle(self) -> None: ...

    assert isinstance(app.job_codec.restored(decode(waits.payload.body, app.codec)), New)


def test_a_state_that_does_not_fit_is_refused_without_being_quoted(app: App, work: Callable[..., Stopped]) -> None:
    ModelCharge(card=CARD).dispatch()
    content = app.codec.dumps([ModelCharge.__job__.name, {"card": {"$uuid": CARD}}], what="")
    push_changed(app, command=Keys([ONE]).encrypt(content, what=""))
    record = the_failure(app, work)

    assert "what ModelCharge holds does not fit ModelCharge as it is today" in record.exception
    assert CARD not in record.exception


# Keys.


def test_without_a_key_nothing_is_pushed(clock: FrozenClock, tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path), clock=clock)
    with app.activate():
        for push in (Charge(CARD).dispatch, Charge(CARD).dispatch_sync, lambda: app.bulk([Open(CARD), Charge(CARD)])):
            with pytest.raises(ConfigError, match=r"Charge cannot be encrypted, there is no key: .*`qcore make-key`"):
                push()

    assert 0 == app.connection().size()


def test_without_the_extra_nothing_is_pushed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)

    with pytest.raises(MissingExtraError, match=r"qcore-queue\[encryption\]"):
        Charge(CARD).dispatch()
    assert 0 == app.connection().size()


def test_a_worker_without_the_key_fails_the_job_and_a_retry_with_it_runs_it(app: App) -> None:
    job_id = str(Charge(CARD).dispatch())
    for other, reason in (
        (rekeyed(app), "cannot be decrypted, there is no key"),
        (rekeyed(app, TWO), "was not encrypted"),
    ):
        assert isinstance(other.worker().run_next_job(), Failed)
        [record] = app.failed.list()
        assert reason in record.exception
        before = record.payload
        # Who cannot read it pushes it as it is.
        assert [job_id] == other.failed.retry([job_id]).ids
        assert before == app.connection().listed()[0].payload
    app.worker().run_next_job()

    assert [CARD] == ran


def test_a_retry_encrypts_anew_with_the_first_key(app: App, work: Callable[..., Stopped]) -> None:
    job_id = str(Failing(CARD).dispatch())
    work()
    both = rekeyed(app, TWO, ONE)
    both.failed.retry([job_id])
    command = body_of(app)["data"]["command"]

    assert Keys([TWO]).decrypt(command, what="")
    with pytest.raises(PayloadError):
        Keys([ONE]).decrypt(command, what="")
    assert "the bank is closed" in the_failure(rekeyed(app, TWO), rekeyed(app, TWO).worker().run_next_job).exception


def test_a_key_that_a_job_puts_into_its_error_is_not_kept(app: App, work: Callable[..., Stopped]) -> None:
    Telling(CARD).dispatch()
    both = rekeyed(app, ONE, TWO)

    assert "ValueError: the keys are [key],[key]\n" in the_failure(app, both.worker().run_next_job).exception


def test_the_events_of_a_refused_job_tell_nothing_of_it(app: App, work: Callable[..., Stopped]) -> None:
    told: list[JobProcessing] = []
    app.listen(JobProcessing, told.append)
    Charge(CARD).dispatch()
    push_changed(app, command={"card": "forged"})
    work()

    assert ["Charge"] == [event.delivery.name for event in told]
    assert told[0].delivery.job is None
