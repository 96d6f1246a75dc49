"""Payloads: the shape that is written, yesterday's shapes that are read, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pydantic
import pytest

from qcore import Job, job, payload
from qcore.codec import Codec
from qcore.driver import Payload
from qcore.errors import PayloadError
from qcore.events import JobProcessing
from qcore.job_state import state_of
from qcore.options import job_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock

GOLDEN = Path(__file__).parent / "golden"
WHEN = datetime(2026, 11, 21, 8, 49, 56, tzinfo=UTC)
UNTIL = datetime(2035, 1, 1, tzinfo=UTC)
codec = Codec()
ran: list[object] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


class Recorded(Job):
    """Keeps what was run: the job itself, restored from its payload."""

    def handle(self) -> None:
        ran.append(self)


class ImportCsv(Recorded, name="golden:ImportCsv", aliases=["golden:Import", "App\\Jobs\\ImportCsv"]):
    def __init__(self, path: str, options: dict[str, Any] | None = None) -> None:
        self.path = path
        self.options = options


class Everything(
    Recorded,
    name="golden:Everything",
    queue="imports",
    tries=5,
    max_exceptions=2,
    backoff=(1, 5, 10),
    timeout=60,
    fail_on_timeout=True,
):
    def __init__(self, items: list[int]) -> None:
        self.items = items

    def retry_until(self) -> datetime:
        return UNTIL

    def tags(self) -> list[str]:
        return ["import", "items:2"]

    def display_name(self) -> str:
        return "Import of 2 items"


@dataclass(frozen=True)
class Invoice(Recorded, name="golden:Invoice"):
    """Once it had a field `currency`; `lines` and `note` came later."""

    number: int
    due: datetime
    lines: list[str] = field(default_factory=lambda: ["none"])
    note: str = "unsaid"


@attrs.frozen
class Shipment(Recorded, name="golden:Shipment"):
    parcel: str
    weight: float = 1.5
    stops: list[str] = attrs.field(factory=list)


class Signup(pydantic.BaseModel, Recorded, name="golden:Signup"):
    email: str
    plan: str = "free"
    roles: list[str] = pydantic.Field(default_factory=lambda: ["user"])


@job(name="golden:send_mail")
def send_mail(user_id: int, subject: str = "Hello", *lines: str, **headers: str) -> None:
    ran.append((user_id, subject, lines, headers))


@job(name="golden:charge")
def charge(customer: int, amount: int = 10) -> None:
    ran.append((customer, amount))


EXPECTED: dict[str, object] = {
    "today": ImportCsv("a.csv", {"delimiter": ";"}),
    "every_option": Everything([1, 2]),
    "minimal": ImportCsv("a.csv"),
    "unknown_fields": ImportCsv("a.csv"),
    "seed": ImportCsv("a.csv"),
    "alias": ImportCsv("a.csv"),
    "dataclass": Invoice(7, WHEN, ["line"], "note"),
    "dataclass_of_yesterday": Invoice(7, WHEN, ["none"], "unsaid"),
    "attrs": Shipment("p", 2.5, ["Berlin"]),
    "attrs_of_yesterday": Shipment("p", 1.5, []),
    "pydantic": Signup(email="a@example.com", plan="pro", roles=["admin"]),
    "pydantic_of_yesterday": Signup(email="a@example.com"),
    "function": (42, "Hi", ("one", "two"), {"reply_to": "b@example.com"}),
    "function_of_yesterday": (42, 10),
}


def test_every_golden_file_is_expected_to_be_something() -> None:
    assert sorted(EXPECTED) == sorted(path.stem for path in GOLDEN.glob("*.json"))


@pytest.mark.parametrize("name", EXPECTED)
def test_yesterdays_payload_still_decodes_and_runs(name: str, app: App, work: Callable[..., Stopped]) -> None:
    body = (GOLDEN / f"{name}.json").read_bytes()
    app.connection().push_raw(Payload(json.loads(body)["uuid"], body))

    stopped = work(tries=3)

    assert (1, 0) == (stopped.jobs, stopped.errors)
    assert [EXPECTED[name]] == ran
    assert not isinstance(ran[0], Job) or state_of(ran[0]).keys() >= state_of(EXPECTED[name]).keys()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "written"), [("today", EXPECTED["today"]), ("every_option", EXPECTED["every_option"])]
)
def test_what_is_written_today_is_the_golden_file(name: str, written: Job, app: App, clock: FrozenClock) -> None:
    """A change of the shape is seen here: write a new golden file then, and keep the old one."""
    expected = json.loads((GOLDEN / f"{name}.json").read_bytes())
    queue = app.connection()

    job_id = written.dispatch(queue="default")
    [listed] = queue.listed()

    body = json.loads(listed.payload.body)
    assert list(expected) == list(body)
    assert {**expected, "uuid": job_id, "id": job_id, "createdAt": clock.now()} == body


def test_an_option_of_a_payload_counts_as_it_was_written() -> None:
    body = payload.decode((GOLDEN / "every_option.json").read_bytes(), codec)

    assert (5, 2, [1, 5, 10], 60, UNTIL.timestamp()) == body[5:10]
    assert (True, ["import", "items:2"], "Import of 2 items") == (body.fail_on_timeout, body.tags, body.display_name)


def test_what_a_payload_does_not_say_is_nothing() -> None:
    body = payload.decode((GOLDEN / "minimal.json").read_bytes(), codec)

    assert (None, None, None, None, None, False, []) == (*body[5:10], body.fail_on_timeout, body.tags)


def test_unknown_fields_of_a_payload_are_kept_and_shown(app: App, work: Callable[..., Stopped]) -> None:
    """A newer version, or a hook, may have written them."""
    shown: list[object] = []
    app.listen(JobProcessing, lambda event: shown.append(event.delivery.body and event.delivery.body.raw["traceId"]))
    body = (GOLDEN / "unknown_fields.json").read_bytes()
    app.connection().push_raw(Payload("id", body))
    work()

    assert ["4bf92f3577b34da6"] == shown


GOOD: dict[str, Any] = json.loads((GOLDEN / "minimal.json").read_bytes())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"uuid": None}, "uuid"),
        ({"uuid": 5}, "uuid"),
        ({"displayName": ""}, "displayName"),
        ({"job": None}, "job"),
        ({"data": None}, "data"),
        ({"data": [1]}, "data"),
        ({"data": {"command": {}}}, "commandName"),
        ({"data": {"commandName": "x"}}, "command"),
        ({"data": {"commandName": "x", "command": ["O:3:..."]}}, "command"),
        ({"maxTries": "3"}, "maxTries"),
        ({"maxTries": -1}, "maxTries"),
        ({"maxTries": True}, "maxTries"),
        ({"maxTries": 1 << 63}, "maxTries"),
        ({"maxExceptions": 1.5}, "maxExceptions"),
        ({"backoff": "1,5"}, "backoff"),
        ({"backoff": [1, None, "5"]}, "backoff"),
        ({"backoff": {"1": 1}}, "backoff"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": 1e12}, "timeout"),
        ({"retryUntil": "tomorrow"}, "retryUntil"),
        ({"retryUntil": 1e300}, "retryUntil"),
    ],
)
def test_a_payload_with_a_wrong_field_is_refused_by_its_name(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(PayloadError, match=f"payload's {reason} is"):
        payload.decode(json.dumps({**GOOD, **changes}).encode(), codec)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff\xfe", b'{"uuid": "x"', b'"text"', b"O:3:{}"])
def test_bytes_that_are_no_payload_are_refused(body: bytes) -> None:
    with pytest.raises(PayloadError):
        payload.decode(body, codec)


def test_fields_that_are_no_fields_are_refused(app: App, work: Callable[..., Stopped]) -> None:
    """A tag where the state of a job should be is no state."""
    body = json.dumps({**GOOD, "data": {"commandName": "golden:ImportCsv", "command": {"$set": ["ab"]}}}).encode()
    app.connection().push_raw(Payload(GOOD["uuid"], body))
    work()

    [failed] = app.failed.list()
    assert "where its fields should be" in failed.exception
    assert [] == ran


@pytest.mark.parametrize(
    "options",
    [{"tries": (1 << 63) - 1}, {"timeout": 9.9e11}, {"backoff": [0, 9.9e11]}, {"max_exceptions": (1 << 63) - 1}],
)
def test_whatever_options_accept_a_payload_can_hold(options: dict[str, Any], app: App) -> None:
    job_options(**options)
    ImportCsv("a.csv").with_options(**options).dispatch()
    [listed] = app.connection().listed()

    assert payload.decode(listed.payload.body, codec)
