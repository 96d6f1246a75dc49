"""A script as it is sent: by its hash, with its arguments packed into one piece."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

Argument = bytes | str | int


class Script:
    """Lua that runs on the server in one atomic step.

    Every script has one key, the counter of tokens, from which it derives all others; on a cluster they share its
    slot. Its first argument is the time in microseconds since 1970, or empty for the server's own; the second
    one tells whether the call is repeated because its answer was lost.
    """

    def __init__(self, *parts: str) -> None:
        """Join the parts of the text."""
        self.text = "\n".join(parts)
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def by_digest(self, key: bytes, arguments: Sequence[Argument]) -> bytes:
        """Pack the call of a script that the server knows."""
        return packed((b"EVALSHA", self.digest, b"1", key, *arguments))

    def by_text(self, key: bytes, arguments: Sequence[Argument]) -> bytes:
        """Pack the call that also teaches the server the script."""
        return packed((b"EVAL", self.text, b"1", key, *arguments))


def packed(words: Sequence[Argument]) -> bytes:
    """Write a command as the server reads it."""
    pieces = [b"*%d\r\n" % len(words)]
    for word in words:
        written = word if type(word) is bytes else str(word).encode()
        pieces.append(b"$%d\r\n%b\r\n" % (len(written), written))
    return b"".join(pieces)
