"""The names of the keys on a server.

Those of a queue are what operators know: ``queues:default`` is a list of the ids that wait since their push,
``queues:default:delayed`` and ``queues:default:reserved`` are sorted by the millisecond at which they are due, and
``queues:default:notify`` wakes idle workers. Everything else begins with ``qcore:``.
"""

from __future__ import annotations

import re

from qcore.errors import DriverError

_LIKE_A_PART = re.compile(r":(?:delayed|reserved|notify):*\Z")

LONGEST = 512
"""Bytes of the name of a queue, an id or a key of the store: more is a mistake, and each costs memory."""


def place(queue: str) -> bytes:
    """Write the name of a queue so that no key of it is one of another queue.

    ``default:delayed`` would be a part of ``default``; it, and what looks like its result, gets a colon at the end.

    :raises DriverError: for a name that cannot be written as UTF-8, or is too long.
    """
    return name(queue + ":" if _LIKE_A_PART.search(queue) else queue, "the name of a queue")


def queue_of(place: bytes) -> str:
    """Read what ``place`` wrote."""
    text = place.decode(errors="replace")
    return text[:-1] if text.endswith(":") and _LIKE_A_PART.search(text) else text


def name(text: str, what: str) -> bytes:
    """Write an id or a name.

    :raises DriverError: when it cannot be written as UTF-8, or is too long.
    """
    try:
        written = text.encode()
    except UnicodeEncodeError as error:
        raise DriverError(f"redis cannot hold {text[:60]!r} as {what}: it is not quite text") from error
    if len(written) > LONGEST:
        raise DriverError(f"{text[:60]!r}... cannot be {what}: it has {len(written)} bytes, {LONGEST} are allowed")
    return written


def rooted(prefix: str, *, cluster: bool) -> str:
    """Give what all keys of a connection begin with; on a cluster it holds the tag that keeps them on one node."""
    if not cluster or re.search(r"\{[^}]+\}", prefix):
        return prefix
    return f"{{{prefix.rstrip(':') or 'qcore'}}}:"
