"""Keeps secrets out of what is stored and shown about jobs."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from qcore.hiding import HIDDEN, SECRET_KEYS, is_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_LONGEST = 64_000
_VALUE = r"""("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?:(?:Bearer|Basic|Digest|Token)[ \t]+)?[^\s,;)\]}]+)"""
_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")


@lru_cache(maxsize=16)
def _pattern_of(keys: tuple[str, ...]) -> re.Pattern[str]:
    """Write ``name=value``, ``"name": value``, ``name='...'``: the value is quoted or runs to the next delimiter."""
    words = "|".join(re.escape(key).replace("_", "[_-]") for key in keys)
    # No name is longer than that: a search without bound would take time by the square of the text.
    return re.compile(rf"""({words})([\w-]{{0,60}}["']?[ \t]?[=:][ \t]?){_VALUE}""", re.IGNORECASE)


class Redactor:
    """Hides the values of everything whose name contains one of the given words, and passwords in URLs."""

    def __init__(self, keys: Iterable[str] = SECRET_KEYS, *, hide: Callable[[str], str] = str) -> None:
        """Take the words; letter case does not matter, and ``_`` stands for ``-`` too.

        ``hide`` takes out of every text what is secret wherever it stands.
        """
        self._hide = hide
        self._keys = tuple(key.lower() for key in keys)
        self._pattern = _pattern_of(self._keys)

    def text(self, text: str) -> str:
        """Hide the values of secret names in a text, and cut what is too long to keep."""
        text = self._hide(text)
        if self._keys:
            text = _URL.sub(rf"\1{HIDDEN}", self._pattern.sub(rf"\1\2{HIDDEN}", text))
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST // 2]}\n... {len(text) - _LONGEST} characters cut ...\n{text[-_LONGEST // 2 :]}"
        return text

    def value(self, value: object) -> object:
        """Hide the values of secret names in a JSON structure."""
        if isinstance(value, dict):
            return {key: HIDDEN if is_secret(key, self._keys) else self.value(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.value(entry) for entry in value]
        return value


def exception_text(error: BaseException, redactor: Redactor) -> str:
    """Give an exception with its traceback as text: what the failed store keeps."""
    import traceback  # only a failing job needs it

    return redactor.text("".join(traceback.format_exception(error)))
