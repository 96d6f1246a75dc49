"""The fields of payloads that are more than one job: all of them are checked here, once, before the job runs.

What is found only when the job has ended comes too late: it would neither succeed nor fail, and come back for ever.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from qcore import links
from qcore.errors import JobDefinitionError, PayloadError
from qcore.links import wrong
from qcore.options import checked_name
from qcore.payload import FAR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from qcore.links import Chain

_LONGEST_ID = 190
_LONGEST_DELAY = 3e11
"""Seconds; a ``datetime`` is never further away. What is due later was never meant, and would wait for ever."""
_EVENTS = ("then", "catch", "finally", "progress", "failure")
_FAILURE = ("type", "message", "traceback", "body")


def checked(raw: Mapping[str, Any]) -> Chain | None:
    """Check the fields ``chain``, ``batchId``, ``callback`` and ``unique`` of a payload; gives its chain.

    Of a chain the next link is checked, of one in a batch every link: if the job fails, all of them are counted.

    :raises PayloadError: names the field, and says what was expected in it.
    """
    if "batchId" in raw:
        _check_id(raw["batchId"], "batchId")
    if "unique" in raw:
        links.lock_field(raw)
    if "callback" in raw:
        _check_callback(raw["callback"])
    return chain_of(raw["chain"], whole="batchId" in raw) if "chain" in raw else None


def sound(raw: Mapping[str, Any]) -> tuple[dict[str, Any], Chain | None]:
    """Give a payload without the fields that are damaged, and what can be read of its chain: for what a failure does.

    Links that can be read are counted in the batch, and callbacks that can be read are called.
    """
    kept = dict(raw)
    for name in ("batchId", "unique", "callback"):
        if name in raw and damage_of(checked, {name: raw[name]}) is not None:
            del kept[name]
    chain = raw.get("chain")
    return kept, _rest_of(chain) if type(chain) is dict else None


def chain_of(raw: Any, *, whole: bool = False) -> Chain:  # noqa: ANN401 - what it is is found out here
    """Check the field ``chain`` of a payload: its callbacks and its next link, or the ``whole`` of it.

    :raises PayloadError: says what is wrong with it.
    """
    if type(raw) is not dict:
        raise wrong("chain is a JSON object", raw)
    chain: Chain = raw  # type: ignore[assignment] # that it is one is found out here
    _check_texts(raw)
    if type(raw.get("catch")) is not list:
        raise wrong("chain has the list catch", raw.get("catch"))
    for link in chain["catch"]:
        _check_link(link, "chain: a link in its catch")
    if chain["links"]:
        for link in links.split(chain["links"]) if whole else [links.first(chain["links"])]:
            _check_link(link, "chain: a link")
    return chain


def _check_texts(chain: Mapping[str, Any]) -> None:
    for name in ("id", "links"):
        if type(chain.get(name)) is not str:
            raise wrong(f"chain has the text {name}", chain.get(name))
    for name in ("connection", "queue"):
        if name not in chain:
            raise wrong(f"chain has a {name}, or null", None)
        if chain[name] is not None:
            _check_name(chain[name], f"chain: its {name}")
    for name in ("broken", "outer"):  # the chain of a batch has them, which is kept with the batch
        if name in chain:
            raise wrong(f"chain has no {name}", chain[name])


def check_batch(state: Mapping[str, Any]) -> None:
    """Check what a batch that is a link of a chain holds.

    :raises PayloadError: says what is wrong with it.
    """
    _check_place(state)
    if type(state.get("batch_name")) is not str:
        raise wrong("batch has a text as its name", state.get("batch_name"))
    if state.get("queue") != "":
        _check_name(state.get("queue"), "batch: its queue")
    members = state.get("members")
    if type(members) is not list:
        raise wrong("batch has a list of members", members)
    for member in members:
        if not chain_of(member, whole=True)["links"]:
            raise wrong("batch has members of one link or more", member)
    _check_options(state.get("callbacks"))


def check_dropped(state: Mapping[str, Any]) -> None:
    """Check what the job holds that counts members which will not run.

    :raises PayloadError: says what is wrong with it.
    """
    _check_place(state)
    members = state.get("members")
    if type(members) is not list or not members:
        raise wrong("batch has a list of one member or more", members)
    for member in members:
        _check_id(member, "batch: a member of it")


def damage_of(check: Callable[[Any], object], value: object) -> PayloadError | None:
    """Give what a check finds wrong; None when it finds nothing."""
    try:
        check(value)
    except PayloadError as error:
        return error
    return None


def _check_place(state: Mapping[str, Any]) -> None:
    _check_id(state.get("batch_id"), "batch: its id")
    _check_name(state.get("connection"), "batch: its connection")


def _check_options(text: object) -> None:
    try:
        options = json.loads(text) if type(text) is str else None
    except (RecursionError, ValueError):
        options = None
    if type(options) is not dict or type(options.get("allowFailures")) is not bool:
        raise wrong("batch has the JSON of its callbacks, and whether it allows failures", text)
    for event in _EVENTS:
        if type(options.get(event)) is not list:
            raise wrong(f"batch has a list of callbacks for {event}", options.get(event))
        for link in options[event]:
            _check_link(link, f"batch: a callback for {event}")


def _check_callback(field: object) -> None:
    if type(field) is not dict:
        raise wrong("callback is a JSON object", field)
    if field.get("event") not in _EVENTS:
        raise wrong(f"callback has an event, one of {', '.join(_EVENTS)}", field.get("event"))
    if "batch" in field:
        _check_id(field["batch"], "callback: its batch")
    if "failure" in field:
        failure = field["failure"]
        if type(failure) is not dict or any(type(failure.get(name)) is not str for name in _FAILURE):
            raise wrong(f"callback: its failure is a JSON object with the texts {', '.join(_FAILURE)}", failure)


def _check_link(link: object, what: str) -> None:
    """Check a link, such that nothing can go wrong when it is pushed."""
    try:
        fields = links.fields_of(link) if type(link) is str else None
    except (RecursionError, ValueError):
        fields = None
    body = fields.get("body") if type(fields) is dict else None
    if type(fields) is not dict or type(body) is not dict:
        raise wrong(f"{what} is a payload and where it is pushed to, written as JSON", link)
    _check_id(body.get("id"), f"{what}: its id")
    for name in ("connection", "queue"):
        _check_name(fields.get(name), f"{what}: its {name}")
    _check_seconds(fields.get("delay"), f"{what}: its delay", _LONGEST_DELAY)
    _check_seconds(body.get("createdAt"), f"{what}: its createdAt")
    _check_seconds(fields.get("due", 0), f"{what}: its due", _LONGEST_DELAY)
    if body.get("retryUntil") is not None:
        _check_seconds(body["retryUntil"], f"{what}: its retryUntil")
    links.lock_field(body)


def _check_seconds(value: Any, what: str, limit: float = FAR) -> None:  # noqa: ANN401 - what it is is found out here
    if type(value) not in (int, float) or not 0 <= value < limit:
        raise wrong(f"{what} is a number of seconds from 0 to {limit:g}", value)


def _check_name(value: Any, what: str) -> None:  # noqa: ANN401 - what it is is found out here
    try:
        checked_name(value, "queue")
    except JobDefinitionError as error:
        raise wrong(f"{what} is a name that a queue can have", value) from error


def _check_id(value: object, what: str) -> None:
    # Printable, so that every database takes it: no lone surrogate, no zero.
    if type(value) is not str or not 0 < len(value) <= _LONGEST_ID or not value.isprintable():
        raise wrong(f"{what} is a text of 1 to {_LONGEST_ID} printable characters", value)


def _rest_of(chain: Mapping[str, Any]) -> Chain | None:
    """Give a chain of what is whole in a damaged one."""
    text, catch = chain.get("links"), chain.get("catch")
    kept = [link for link in links.split(text) if _is_whole(link)] if type(text) is str else []
    heard = [link for link in catch if _is_whole(link)] if type(catch) is list else []
    if not kept and not heard:
        return None
    return {"id": "", "links": links.joined(kept), "catch": heard, "connection": None, "queue": None}


def _is_whole(link: object) -> bool:
    return damage_of(lambda each: _check_link(each, "chain"), link) is None
