"""A script as it is sent: by its hash, with its arguments packed into one piece."""

from __future__ import annotations

import hashlib
import threading
from itertools import count
from os import getpid, urandom
from typing import TYPE_CHECKING

from qcore.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument = bytes | str | int

_calls = count()


class _Caller(threading.local):
    """Names this thread of this process."""

    def __init__(self) -> None:
        self.process = getpid()
        self.name = urandom(8).hex()


_caller = _Caller()


def call_id() -> bytes:
    """Name a call, so that a script can tell its repetition from another call of the same kind."""
    if _caller.process != getpid():
        _caller.__init__()  # type: ignore[misc]
    return b"%b.%d" % (_caller.name.encode(), next(_calls))


class Script:
    """Lua that runs on the server in one atomic step.

    Every script has one key, the counter of tokens, from which it derives all others; on a cluster they share its
    slot. Its first argument is the time in microseconds since 1970, or empty for the server's own; the second
    one tells whether the call is repeated because its answer was lost.
    """

    def __init__(self, *parts: str) -> None:
        """Join the parts of the text."""
        self.text = "\n".join(parts)
        self._heads: dict[tuple[bytes, int], bytes] = {}
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def by_digest(self, key: bytes, arguments: Sequence[Argument]) -> bytes:
        """Pack the call of a script that the server knows."""
        # What is the same in every call is written once.
        shape = (key, len(arguments))
        head = self._heads.get(shape)
        if head is None:
            words = packed((b"EVALSHA", self.digest, b"1", key))
            head = self._heads[shape] = b"*%d\r\n%b" % (4 + len(arguments), words.partition(b"\r\n")[2])
        return head + _strings(arguments)

    def by_text(self, key: bytes, arguments: Sequence[Argument]) -> bytes:
        """Pack the call that also teaches the server the script."""
        return packed((b"EVAL", self.text, b"1", key, *arguments))


def packed(words: Sequence[Argument]) -> bytes:
    """Write a command as the server reads it."""
    return b"*%d\r\n%b" % (len(words), _strings(words))


def _strings(words: Sequence[Argument]) -> bytes:
    pieces = []
    for word in words:
        written = word if type(word) is bytes else _encoded(str(word))
        pieces.append(b"$%d\r\n%b\r\n" % (len(written), written))
    return b"".join(pieces)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise DriverError(f"redis cannot hold {text[:60]!r}: it is not quite text") from error
