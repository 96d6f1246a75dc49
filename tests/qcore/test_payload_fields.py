"""Damaged fields of payloads that are more than one job: found before the job runs, and no worker stumbles over one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from qcore import Job, batch, chain, job, links
from qcore.driver import Payload
from qcore.handlers import handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.worker import Stopped

    Work = Callable[..., Stopped]
    Damage = Callable[[dict[str, Any]], object]

log: list[object] = []

LONE = "\ud800"
"""Half of a character: JSON can say it, no database can keep it."""


class Step(Job, tries=1):
    def __init__(self, name: str = "a") -> None:
        self.name = name

    def handle(self) -> None:
        log.append(self.name)
        if self.name == "asks":
            log.append(self.batch())

    def failed(self, error: BaseException) -> None:
        log.append("failed")


@job
def called(error: object, failed: object) -> None:
    log.append("called")


@handler(name="damaged-handler")
class Raw:
    def fire(self, job: object, data: object) -> None:
        log.append("fired")


@pytest.fixture(autouse=True)
def _no_log() -> None:
    log.clear()


def damage(app: App, how: Damage) -> None:
    """Take what waits, and push it back damaged."""
    waiting = [each.payload for each in app.connection().listed()]
    app.connection().clear()
    for payload in waiting:
        body = json.loads(payload.body)
        how(body)
        app.connection().push_raw(Payload(payload.id, json.dumps(body).encode()))


def reason(app: App) -> str:
    """Give the only failure, of a job that did not run and is not there any more."""
    assert (0, []) == (app.connection().size(), log)
    [record] = app.failed.list()
    return record.exception.strip().splitlines()[-1]


def of_link(**changes: Any) -> Damage:
    def change(body: dict[str, Any]) -> None:
        first, *others = links.split(body["chain"]["links"])
        fields = links.fields_of(first)
        fields["body"] |= changes.get("body", {})
        fields |= {name: value for name, value in changes.items() if name != "body"}
        # As a stranger would write it.
        text = json.dumps(fields).replace('"', "'").replace("\\", "`")
        body["chain"]["links"] = links.joined([text, *others])

    return change


def in_chain(**changes: Any) -> Damage:
    return lambda body: body["chain"].update(changes)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (in_chain(links="~~x"), "chain: a link is a payload and where it is pushed to"),
        (lambda body: in_chain(links="odd" + body["chain"]["links"])(body), "chain: a link is a payload"),
        (of_link(queue=LONE), "chain: a link: its queue is a name that a queue can have"),
        (of_link(queue=""), "chain: a link: its queue is a name that a queue can have"),
        (of_link(queue="a,b"), "chain: a link: its queue is a name that a queue can have"),
        (of_link(queue=5), "chain: a link: its queue is a name that a queue can have"),
        (of_link(connection=LONE), "chain: a link: its connection is a name"),
        (of_link(body={"id": LONE}), "chain: a link: its id is a text of 1 to 190 printable characters"),
        (of_link(body={"id": ""}), "chain: a link: its id is a text"),
        (of_link(body={"id": "x" * 191}), "chain: a link: its id is a text"),
        (of_link(delay=True), "chain: a link: its delay is a number of seconds from 0 to 3e+11, this one has True"),
        (of_link(delay=9e11), "chain: a link: its delay is a number of seconds from 0"),
        (of_link(delay=-5), "chain: a link: its delay is a number of seconds from 0"),
        (of_link(delay="5"), "chain: a link: its delay is a number of seconds from 0"),
        (of_link(due=True), "chain: a link: its due is a number of seconds"),
        (of_link(body={"createdAt": -9e300}), "chain: a link: its createdAt is a number of seconds"),
        (of_link(body={"retryUntil": "5"}), "chain: a link: its retryUntil is a number of seconds"),
        (of_link(body={"unique": {"key": LONE, "ttl": 5}}), "unique: its key is a text of 1 to 255 printable"),
        (in_chain(id=5), "chain has the text id, this one has 5 (int)"),
        (in_chain(links=None), "chain has the text links, this one has nothing"),
        (in_chain(catch={"a": 1}), "chain has the list catch"),
        (in_chain(catch=["junk"]), "chain: a link in its catch is a payload"),
        (in_chain(queue=LONE), "chain: its queue is a name that a queue can have"),
        (in_chain(broken=5), "chain has no broken, this one has 5"),
        (lambda body: body.update(chain=5), "chain is a JSON object, this one has 5 (int)"),
        (lambda body: body.update(chain=None), "chain is a JSON object, this one has nothing"),
    ],
)
def test_a_chain_that_cannot_go_on_fails_before_its_job_runs(app: App, work: Work, how: Damage, says: str) -> None:
    chain(Step("a"), Step("b")).dispatch()
    damage(app, how)
    work()

    assert f"PayloadError: the payload's {says}" in reason(app)


def test_a_damaged_later_link_is_found_when_it_is_next(app: App, work: Work) -> None:
    chain(Step("a"), Step("b"), Step("c"), Step("d")).dispatch()
    damage(app, lambda body: in_chain(links=body["chain"]["links"][:-10])(body))
    work()

    assert (["a", "b"], 1, 0) == (log, len(app.failed.list()), app.connection().size())


def test_a_damaged_chain_still_calls_the_callbacks_that_can_be_read(app: App, work: Work) -> None:
    chain(Step("a"), Step("b")).catch(called).dispatch()
    damage(app, lambda body: in_chain(links="~~")(body) if "chain" in body else None)
    work()

    assert (["called"], 1) == (log, len(app.failed.list()))


def test_a_damaged_link_of_a_chain_in_a_batch_is_found_before_the_first_one_runs(app: App, work: Work) -> None:
    """What can be read of the chain is counted with the failure; for the link that cannot, the batch still waits."""
    made = batch([[Step("a"), Step("b"), Step("c")]]).dispatch()
    damage(app, lambda body: in_chain(links=body["chain"]["links"][:-10])(body))
    work()

    assert "the payload's chain: a link is a payload" in reason(app)
    found = app.find_batch(made.id)
    assert found is not None
    assert (3, 1, 1, True) == (found.total, found.failed, found.pending, found.cancelled)


@pytest.mark.parametrize("field", [[], {}, 5, True, None, "", "x" * 191, "a\0b", LONE])
def test_a_batch_id_that_is_none_fails_the_job_before_it_runs(app: App, work: Work, field: object) -> None:
    Step().dispatch()
    damage(app, lambda body: body.update(batchId=field))
    work()

    assert "PayloadError: the payload's batchId is a text of 1 to 190 printable characters" in reason(app)


def test_a_batch_that_nobody_knows_stops_nothing(app: App, work: Work) -> None:
    Step().dispatch()
    damage(app, lambda body: body.update(batchId="unknown"))
    work()

    assert (["a"], [], 0) == (log, app.failed.list(), app.connection().size())


FAILURE = {"type": "E", "message": "m", "traceback": "", "body": "junk"}


@pytest.mark.parametrize(
    ("field", "says"),
    [
        (5, "callback is a JSON object, this one has 5 (int)"),
        (None, "callback is a JSON object, this one has nothing"),
        ([], "callback is a JSON object"),
        ({}, "callback has an event, one of then, catch, finally, progress, failure, this one has nothing"),
        ({"event": ["then"]}, "callback has an event"),
        ({"event": "then", "batch": ["x"]}, "callback: its batch is a text"),
        ({"event": "then", "batch": LONE}, "callback: its batch is a text"),
        ({"event": "catch", "failure": 5}, "callback: its failure is a JSON object with the texts type"),
        ({"event": "catch", "failure": {}}, "callback: its failure is a JSON object with the texts type"),
        ({"event": "catch", "failure": {**FAILURE, "body": 7}}, "callback: its failure is a JSON object"),
    ],
)
def test_a_callback_that_cannot_be_told_what_happened_fails_before_it_runs(
    app: App, work: Work, field: object, says: str
) -> None:
    Step("asks").dispatch()
    damage(app, lambda body: body.update(callback=field))
    work()

    assert f"PayloadError: the payload's {says}" in reason(app)


def test_a_callback_whose_failed_job_cannot_be_restored_runs(app: App, work: Work) -> None:
    Step("asks").dispatch()
    damage(app, lambda body: body.update(callback={"event": "catch", "batch": "unknown", "failure": FAILURE}))
    work()

    assert (["asks", None], []) == (log, app.failed.list())


def test_one_damaged_field_does_not_hide_what_the_others_ask_for(app: App, work: Work) -> None:
    made = batch([Step("a"), Step("b")]).dispatch()
    damage(app, lambda body: body.update(unique=5, callback=5) if body["data"]["command"]["name"] == "a" else None)
    work()

    found = app.find_batch(made.id)
    assert found is not None
    assert (["b"], 1, 0) == (log, found.failed, found.pending)


BATCH: dict[str, Any] = {
    "batch_id": "x",
    "batch_name": "",
    "connection": "memory",
    "queue": "",
    "callbacks": json.dumps(
        {"allowFailures": False, "then": [], "catch": [], "finally": [], "progress": [], "failure": []}
    ),
    "members": [],
}


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("qcore:batch", {}, "batch: its id is a text"),
        ("qcore:batch", BATCH | {"connection": 5}, "batch: its connection is a name"),
        ("qcore:batch", BATCH | {"queue": None}, "batch: its queue is a name"),
        ("qcore:batch", BATCH | {"batch_name": 5}, "batch has a text as its name"),
        ("qcore:batch", BATCH | {"members": 5}, "batch has a list of members"),
        ("qcore:batch", BATCH | {"members": [5]}, "chain is a JSON object"),
        ("qcore:batch", BATCH | {"callbacks": 5}, "batch has the JSON of its callbacks"),
        ("qcore:batch", BATCH | {"callbacks": "{"}, "batch has the JSON of its callbacks"),
        ("qcore:batch", BATCH | {"callbacks": '{"allowFailures":true}'}, "batch has a list of callbacks for then"),
        ("qcore:rest-dropped", {}, "batch: its id is a text"),
        ("qcore:rest-dropped", {**BATCH, "members": []}, "batch has a list of one member or more"),
        ("qcore:rest-dropped", {**BATCH, "members": [LONE]}, "batch: a member of it is a text"),
    ],
)
def test_a_job_of_qcore_itself_with_foreign_state_fails_at_once(
    app: App, work: Work, name: str, state: dict[str, Any], says: str
) -> None:
    Step().dispatch()
    damage(app, lambda body: body.update(maxTries=0, data={"commandName": name, "command": state}))
    work()

    assert f"PayloadError: the payload's {says}" in reason(app)


@pytest.mark.parametrize("state", [{}, {"handler": "damaged-handler", "data": {}}])
def test_a_payload_cannot_ask_for_a_handler_as_if_it_were_a_job(app: App, work: Work, state: dict[str, Any]) -> None:
    Step().dispatch()
    damage(app, lambda body: body.update(data={"commandName": "qcore:handler", "command": state}))
    work()

    assert "UnknownJobError: no job named 'qcore:handler'" in reason(app)
