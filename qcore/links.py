"""Payloads that wait inside other payloads: the links of a chain, and callbacks. Pure functions on JSON texts.

A link is an opaque text to all but this module: the payload that holds it neither reads nor nests it, so that the
size of a chain grows with the number of its links and no faster.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from qcore.driver import Lock, LockRule, Payload, Push
from qcore.errors import PayloadError
from qcore.payload import FAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Link = str
"""Where a payload is to be pushed, and its body with its id: JSON in an alphabet that JSON has not to escape."""


class Outer(TypedDict):
    """Members of a batch that wait for another batch, which is before them in their chain."""

    batch: str
    connection: str
    members: list[str]


class Chain(TypedDict):
    """The field ``chain`` of a payload: what follows the job that carries it."""

    id: str
    links: str
    """The links, one after the other; read with ``split``, written with ``joined``."""
    catch: list[Link]
    """Callbacks for the link that fails."""
    connection: str | None
    """Where links go that are added while the chain runs and say nothing themselves."""
    queue: str | None
    broken: NotRequired[list[Link]]
    """Callbacks for the batch that the chain waits for, when the chain does not go on because of it."""
    outer: NotRequired[Outer]
    """The batch that the links of the chain are members of, while they wait for a batch."""


BatchOptions = TypedDict(
    "BatchOptions",
    {
        "allowFailures": bool,
        "progress": list[Link],
        "failure": list[Link],
        "catch": list[Link],
        "then": list[Link],
        "finally": list[Link],
        # The chain that the batch is a link of: it goes on when the batch is finished.
        "chain": Chain | None,
    },
)
"""What the builder of a batch wrote beside its counts."""

_BETWEEN = "~"
"""Stands between two links, and in none."""


def written(connection: str, queue: str, delay: float, body: Mapping[str, Any], *, due: float | None = None) -> Link:
    """Write a link. ``body`` bears its id; it is due ``delay`` seconds after its push, or at ``due`` if that is given.

    ``due`` is in seconds since 1970.
    """
    fields = {"connection": connection, "queue": queue, "delay": delay, "body": body}
    return _opaque(fields if due is None else {**fields, "due": due})


def connection_of(link: Link) -> str:
    """Tell which connection a link is to be pushed to."""
    name: str = fields_of(link)["connection"]
    return name


def id_of(link: Link) -> str:
    """Tell the id of the job in a link."""
    job_id: str = fields_of(link)["body"]["id"]
    return job_id


def placed(link: Link, connection: str, queue: str) -> Link:
    """Move a link to another connection, and to that queue of it; one that goes there already stays as it is."""
    fields = fields_of(link)
    return link if fields["connection"] == connection else _opaque({**fields, "connection": connection, "queue": queue})


def joined(links: Iterable[Link]) -> str:
    """Write links one after the other, as a chain holds them."""
    return _BETWEEN.join(links)


def split(text: str) -> list[Link]:
    """Give the links of a chain apart."""
    return text.split(_BETWEEN) if text else []


def first(text: str) -> Link:
    """Give the first link of a chain that has some."""
    return text.partition(_BETWEEN)[0]


def derived_id(*parts: str) -> str:
    """Make the id that always follows from the same parts: a UUID of version 5."""
    import hashlib

    digits = hashlib.sha1("\0".join(parts).encode(), usedforsecurity=False).hexdigest()
    return (
        f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{'89ab'[int(digits[16], 16) & 3]}{digits[17:20]}-{digits[20:32]}"
    )


def head(link: Link, rest: Chain, at: float, rule: LockRule = LockRule.SHARE) -> tuple[str, Push]:
    """Make a link ready to be pushed, with what follows it; gives its connection, too.

    ``rule`` says what a lock in other hands means.
    """
    fields = fields_of(link)
    return fields["connection"], _push(fields, at, chain=rest, rule=rule)


def following(chain: Chain, at: float, rule: LockRule = LockRule.SHARE) -> tuple[str, Push] | None:
    """Give the next link of a chain, ready to be pushed, and its connection; None at the end."""
    if not chain["links"]:
        return None
    first, _, rest = chain["links"].partition(_BETWEEN)
    return head(first, {**chain, "links": rest}, at, rule)


def failure(name: str, said: str, traceback: str, body: str) -> str:
    """Write down a failure for the callbacks that hear of it: the exception's parts, and the failed job's payload."""
    return _text({"type": name, "message": said, "traceback": traceback, "body": body})


def caught(chain: Chain, at: float, told: str, salt: str) -> list[tuple[str, Push]]:
    """Give the callbacks of a chain one of whose links failed, and the connection of each."""
    return [called(link, {"event": "catch", "failure": json.loads(told)}, at, salt) for link in chain["catch"]]


def called(link: Link, callback: dict[str, Any], at: float, salt: str) -> tuple[str, Push]:
    """Give a callback, ready to be pushed, and its connection; its id follows from its own and the ``salt``."""
    fields = fields_of(link)
    body = fields["body"]
    body["id"] = body["uuid"] = derived_id(body["id"], salt)
    body["callback"] = callback
    return fields["connection"], _push(fields, at)


def batch_options(text: str) -> BatchOptions:
    """Read what the builder of a batch wrote."""
    options: BatchOptions = json.loads(text)
    return options


def batch_callback(batch_id: str, event: str, link: Link, at: float, *, member: str = "", told: str = "") -> Push:
    """Give a callback of a batch. Its id follows from the batch, the event and the member that it is about."""
    fields: dict[str, Any] = {"event": event, "batch": batch_id}
    if told:
        fields["failure"] = json.loads(told)
    return called(link, fields, at, f"{batch_id}:{event}:{member}")[1]


def after_batch(chain: Chain | None, at: float, *, cancelled: bool, told: str, salt: str) -> tuple[Push, ...]:
    """Let the chain that a batch is a link of go on, or hear that the batch failed.

    All of it goes to the connection of the batch: whoever made the batch a link saw to that.
    """
    if chain is None:
        return ()
    broken = chain.get("broken", [])
    if cancelled:
        event: dict[str, Any] = {"event": "catch"}
        if told:
            event["failure"] = json.loads(told)
        return tuple(called(link, event, at, salt)[1] for link in (chain["catch"] if told else []) + broken)
    rest = chain.copy()
    rest.pop("broken", None)
    rest.pop("outer", None)
    next_link = following(rest, at)
    return () if next_link is None else (next_link[1],)


class LockField(NamedTuple):
    """The field ``unique`` of a payload: the lock that its job takes."""

    key: str
    ttl: float | None
    """Seconds from when the job is due, None for ever."""
    rule: LockRule | None = None
    """SHARE: it was pushed whoever held the lock. REPLACE: it is debounced. None: it was pushed with its lock."""
    until_processing: bool = False
    """The lock is freed when the handler begins."""
    max_wait: float | None = None
    """See ``Unique.max_wait``."""


_RULES = {None: None, "share": LockRule.SHARE, "replace": LockRule.REPLACE}


def lock_field(body: Mapping[str, Any]) -> LockField | None:
    """Read the field ``unique`` of a payload; None when it has none.

    :raises PayloadError: when it has one that makes no sense: the job must not run without its lock.
    """
    if "unique" not in body:
        return None
    field = body["unique"]
    if type(field) is not dict:
        raise wrong("unique is a JSON object", field)
    key, ttl, rule, max_wait = (field.get(name) for name in ("key", "ttl", "rule", "maxWait"))
    # Printable, so that every database takes it: no lone surrogate, no zero.
    if type(key) is not str or not 0 < len(key) <= _LONGEST_KEY or not key.isprintable():
        raise wrong(f"unique: its key is a text of 1 to {_LONGEST_KEY} printable characters", key)
    for name, each in (("ttl", ttl), ("maxWait", max_wait)):
        if each is not None and not (type(each) in (int, float) and 0 <= each < FAR):
            raise wrong(f"unique: its {name} is a number of seconds, 0 or more", each)
    if rule is not None and (type(rule) is not str or rule not in _RULES):
        raise wrong("unique: its rule is share or replace, or not there", rule)
    until_processing = field.get("untilProcessing", False)
    if type(until_processing) is not bool:
        raise wrong("unique: its untilProcessing is true or false", until_processing)
    return LockField(key, ttl, _RULES[rule], until_processing, max_wait)


_LONGEST_KEY = 255


def wrong(expected: str, found: object) -> PayloadError:
    """Make the error for a damaged field of a payload: says what was expected, and what is there."""
    there = "nothing" if found is None else f"{found!r:.40} ({type(found).__name__})"
    return PayloadError(f"the payload's {expected}, this one has {there}")


def _sound_lock(body: Mapping[str, Any]) -> LockField | None:
    """Read the field ``unique`` where it is too late to refuse it: that is done when the payload is delivered."""
    try:
        return lock_field(body)
    except PayloadError:
        return None


def lock_of(body: Mapping[str, Any], delay: float, rule: LockRule) -> Lock | None:
    """Give the lock that a payload takes when it is pushed; None, too, when its field is damaged."""
    field = _sound_lock(body)
    if field is None:
        return None
    return Lock(field.key, body["id"], None if field.ttl is None else delay + field.ttl, field.rule or rule)


def with_rule(body: dict[str, Any], rule: LockRule) -> None:
    """Note in a payload that it is pushed whoever holds its lock, so that this is looked at when it is delivered."""
    if rule is LockRule.SHARE and _sound_lock(body) is not None:
        body["unique"].setdefault("rule", rule.value)


def _push(fields: dict[str, Any], at: float, *, chain: Chain | None = None, rule: LockRule = LockRule.SHARE) -> Push:
    body, delay = fields["body"], fields["delay"]
    if "due" in fields:
        delay = max(fields["due"] - at, 0)
    if body.get("retryUntil") is not None:
        # The time a job has counts from its push: the links before it may take as long as they like.
        body["retryUntil"] += at - body["createdAt"]
    body["createdAt"] = at
    with_rule(body, rule)
    text = _text(body)
    if chain is not None and (chain["links"] or chain["catch"]):
        text = _with_chain(text, chain)
    return Push(fields["queue"], Payload(body["id"], text.encode("ascii")), delay, lock_of(body, delay, rule))


def _with_chain(text: str, chain: Chain) -> str:
    """Add the field ``chain`` to a body. The links are copied as they are: all of them come by here once for each."""
    links = chain["links"]
    kept = _text({name: value for name, value in chain.items() if name != "links"})
    quoted = f'"{links}"' if links.isascii() and '"' not in links and "\\" not in links else _text(links)
    return f'{text[:-1]},"chain":{kept[:-1]},"links":{quoted}}}}}'


def _text(structure: object) -> str:
    return json.dumps(structure, separators=(",", ":"))


# What would have to be escaped in a JSON text inside another one takes the place of characters that never occur in
# it, because they are escaped themselves: a link is copied and read without looking at its characters one by one.
_AWAY = str.maketrans({'"': "'", "\\": "`"})
_BACK = str.maketrans({"'": '"', "`": "\\"})


def _opaque(structure: object) -> str:
    text = _text(structure)
    for character in "'`" + _BETWEEN:
        if character in text:
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text.translate(_AWAY)


def fields_of(link: Link) -> dict[str, Any]:
    """Read a link that was checked.

    :raises ValueError: when it was not, and is no JSON.
    """
    fields: dict[str, Any] = json.loads(link.translate(_BACK))
    return fields
