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
    name: str = _fields(link)["connection"]
    return name


def id_of(link: Link) -> str:
    """Tell the id of the job in a link."""
    job_id: str = _fields(link)["body"]["id"]
    return job_id


def opened(link: Link) -> Mapping[str, Any]:
    """Show a link: its ``connection``, ``queue``, ``delay`` and ``body``, and ``due`` when it waits for an instant."""
    return _fields(link)


def placed(link: Link, connection: str, queue: str) -> Link:
    """Move a link to another connection, and to that queue of it; one that goes there already stays as it is."""
    fields = _fields(link)
    return link if fields["connection"] == connection else _opaque({**fields, "connection": connection, "queue": queue})


def joined(links: Iterable[Link]) -> str:
    """Write links one after the other, as a chain holds them."""
    return _BETWEEN.join(links)


def split(text: str) -> list[Link]:
    """Give the links of a chain apart."""
    return text.split(_BETWEEN) if text else []


def chain_of(raw: Any) -> Chain:  # noqa: ANN401 - what it is is found out here
    """Check the field ``chain`` of a payload before its job runs: when the chain is to go on it is too late.

    :raises PayloadError: says what is wrong with it.
    """
    try:
        chain: Chain = raw
        texts = [chain["id"], chain["links"], *(chain[name] or "" for name in ("connection", "queue"))]
        read = [_fields(link) for link in (*chain["catch"], *split(chain["links"].partition(_BETWEEN)[0]))]
        wrong = any(type(text) is not str for text in texts) or not all(map(_is_whole, read))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise PayloadError(f"the payload's chain cannot be read: {error!r}") from error
    if wrong:
        raise PayloadError("the payload's chain holds a link that is none")
    return chain


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
    fields = _fields(link)
    return fields["connection"], _push(fields, at, chain=rest, rule=rule)


def following(chain: Chain, at: float, rule: LockRule = LockRule.SHARE) -> tuple[str, Push] | None:
    """Give the next link of a chain, ready to be pushed, and its connection; None at the end."""
    if not chain["links"]:
        return None
    first, _, rest = chain["links"].partition(_BETWEEN)
    return head(first, {**chain, "links": rest}, at, rule)


def failure(name: str, message: str, traceback: str, body: str) -> str:
    """Write down a failure for the callbacks that hear of it: the exception's parts, and the failed job's payload."""
    return _text({"type": name, "message": message, "traceback": traceback, "body": body})


def caught(chain: Chain, at: float, told: str, salt: str) -> list[tuple[str, Push]]:
    """Give the callbacks of a chain one of whose links failed, and the connection of each."""
    return [called(link, {"event": "catch", "failure": json.loads(told)}, at, salt) for link in chain["catch"]]


def called(link: Link, callback: dict[str, Any], at: float, salt: str) -> tuple[str, Push]:
    """Give a callback, ready to be pushed, and its connection; its id follows from its own and the ``salt``."""
    fields = _fields(link)
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
    """Read the field ``unique`` of a payload; None when there is none that makes sense."""
    field = body.get("unique")
    if type(field) is not dict:
        return None
    key, ttl, rule, max_wait = (field.get(name) for name in ("key", "ttl", "rule", "maxWait"))
    if type(key) is not str or not 0 < len(key) <= _LONGEST_KEY or (type(rule) is not str and rule is not None):
        return None
    if rule not in _RULES or not all(
        each is None or (type(each) in (int, float) and 0 <= each < FAR) for each in (ttl, max_wait)
    ):
        return None
    return LockField(key, ttl, _RULES[rule], field.get("untilProcessing") is True, max_wait)


_LONGEST_KEY = 255


def lock_of(body: Mapping[str, Any], delay: float, rule: LockRule) -> Lock | None:
    """Give the lock that a payload takes when it is pushed."""
    field = lock_field(body)
    if field is None:
        return None
    return Lock(field.key, body["id"], None if field.ttl is None else delay + field.ttl, field.rule or rule)


def with_rule(body: dict[str, Any], rule: LockRule) -> None:
    """Note in a payload that it is pushed whoever holds its lock, so that this is looked at when it is delivered."""
    if rule is LockRule.SHARE and lock_field(body) is not None:
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


def _fields(link: Link) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(link.translate(_BACK))
    return fields


def _is_whole(fields: dict[str, Any]) -> bool:
    body = fields["body"]
    texts = [fields["connection"], fields["queue"], body["id"]]
    numbers = [fields["delay"] + 0.0, body["createdAt"] + 0.0, fields.get("due"), body.get("retryUntil")]
    return all(type(text) is str for text in texts) and all(
        number is None or (type(number) in (int, float) and 0 <= number < FAR) for number in numbers
    )
