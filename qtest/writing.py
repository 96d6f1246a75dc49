"""How values and jobs are written in messages: one line, no secrets, nothing that differs from run to run."""

from __future__ import annotations

import json
import re
from enum import Enum
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from qcore.function_job import FunctionJob
from qcore.hiding import HIDDEN
from qcore.jobs import Job, Prepared
from qtest.expecting import Like, fields_of
from qtest.matching import Text
from qtest.plain_text import plain, repr_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from qcore.redaction import Redactor

WIDTH = 80
CUT = "..."
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


class Writer:
    """Writes values; ``is_verbose`` keeps it from cutting them."""

    def __init__(self, redactor: Redactor) -> None:
        """Take what hides secrets."""
        self._redactor = redactor
        self.is_verbose = verbosity.is_on

    def value(self, value: object, name: str = "") -> str:
        """Write one value of a field of that name."""
        if isinstance(value, Text):
            return plain(value)
        hidden = value
        if name and self._is_hidden(name, value):
            hidden = HIDDEN
        elif isinstance(value, dict | list | tuple):
            hidden = self._redactor.value(value)
        if isinstance(hidden, Job):
            return self.job(hidden)
        if isinstance(hidden, str) and not isinstance(hidden, Enum):
            return plain(json.dumps(self._redactor.text(str(hidden)), ensure_ascii=False))
        return plain(_ADDRESS.sub("", self._redactor.text(repr_of(hidden))))

    def _is_hidden(self, name: str, value: object) -> bool:
        redacted: Any = self._redactor.value({name: value})
        shown = redacted[name]
        return type(shown) is str and shown == HIDDEN  # ANY is equal to it, too

    def job(self, job: Job, room: int = WIDTH) -> str:
        """Write a job as it would be made."""
        name = type(job).__qualname__
        if type(job).__job__.seal is not None:
            return f"{name}(encrypted)"
        return self.call(name, fields_of(job), room)

    def call(self, name: str, fields: Mapping[str, object], room: int = WIDTH) -> str:
        """Write a call; values, and then fields, are cut when there is no room for them."""
        shown = [f"{key}={self.cut(self.value(value, key), _LONGEST)}" for key, value in fields.items()]
        whole = f"{name}({', '.join(shown)})"
        if self.is_verbose or len(whole) <= room:
            return whole
        while shown and len(f"{name}({', '.join([*shown, CUT])})") > room:
            shown.pop()
        return f"{name}({', '.join([*shown, CUT])})"

    def wanted(self, wanted: Any, room: int = WIDTH) -> str:  # noqa: ANN401 - whatever names a job
        """Write what a test meant."""
        if isinstance(wanted, Prepared):
            wanted = wanted.job
        if isinstance(wanted, Job):
            return self.job(wanted, room)
        if isinstance(wanted, FunctionJob):
            return wanted.job_class.__qualname__
        if isinstance(wanted, type):
            return wanted.__qualname__
        if isinstance(wanted, Like):
            return self.call(wanted.job.__qualname__, {**wanted.fields, CUT: Text("")}, room).replace(f"{CUT}=", CUT)
        return plain(str(wanted))

    def pair(self, one: object, other: object, name: str, room: int) -> tuple[str, str]:
        """Write two values that differ, cut to the room there is for both, around the place where they begin to differ.

        A short one leaves its room to the other.
        """
        first, second = self.value(one, name), self.value(other, name)
        if self.is_verbose or len(first) + len(second) <= room:
            return first, second
        half = room // 2
        left = max(room - min(len(first), half), half)
        right = max(room - min(len(second), half), half)
        same = next((at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), 0)
        start = max(same - half // 3, 0) if same > half - len(CUT) - 5 else 0
        return _window(first, start, right), _window(second, start, left)

    def cut(self, text: str, room: int) -> str:
        """Cut a text that is too long."""
        return text if self.is_verbose or len(text) <= room else f"{text[: max(room - len(CUT), 0)]}{CUT}"

    def folded(self, lines: Iterable[str]) -> str:
        """Join the lines of a message; one that is too long for a terminal goes on below."""
        return "\n".join(part for line in lines for part in self._parts(line))

    def _parts(self, line: str) -> list[str]:
        if self.is_verbose or len(line) <= WIDTH:
            return [line]
        before = " " * (len(line) - len(line.lstrip()) + 4)
        return wrap(line, WIDTH, subsequent_indent=before, replace_whitespace=False, break_on_hyphens=False)


_LONGEST = 30


def _window(text: str, start: int, room: int) -> str:
    before = CUT if start else ""
    left = text[start:]
    if len(before) + len(left) <= room:
        return before + left
    return f"{before}{left[: room - len(before) - len(CUT)]}{CUT}"


class _Verbosity:
    """Whether everything is shown: ``pytest -vv``."""

    is_on = False


verbosity = _Verbosity()
