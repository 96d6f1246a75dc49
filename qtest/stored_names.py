"""Which attributes a method gives to its own object, as far as its code shows."""

from __future__ import annotations

import dis
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_Step = tuple[str, str]
"""What is done, and the name it is done with."""

_NO_OBJECT_OF_ITS_OWN = ("LOAD_ATTR", "LOAD_GLOBAL", "LOAD_NAME")
_ENDS = ("STORE_", "POP_TOP", "RETURN")


def stored_names(code: CodeType, *, is_method: bool) -> set[str]:
    """Name what is stored on the object of a method, or on what may be that object.

    What is stored on something else is left out. In what is not a plain method, such as a class method, every local
    name may be the object.
    """
    own = {code.co_varnames[0]} if is_method and code.co_varnames else set()
    names: set[str] = set()
    steps: list[_Step] = []
    concerns_own = False
    for what, name in _steps(code):
        is_local = _is_local(what)
        if what == "STORE_ATTR" and _may_be_own(_holder(steps, name), own):
            names.add(name)
        if is_local and name in own:
            concerns_own = True
        elif what.startswith(("STORE_FAST", "STORE_DEREF")) and concerns_own:
            own.add(name)  # another name for it, or a copy
        if what.startswith(_ENDS):
            concerns_own = False
        steps.append((what, name))
    return names


def _may_be_own(holder: _Step, own: set[str]) -> bool:
    what, name = holder
    if what in _NO_OBJECT_OF_ITS_OWN:
        return False
    return not own or not _is_local(what) or name in own


def _holder(steps: list[_Step], name: str) -> _Step:
    """Find what was loaded to be stored on: the last thing, or in ``x.name += 1`` what came before it."""
    last = steps[-1] if steps else ("", "")
    if last[0] != "SWAP":
        return last
    for at in range(len(steps) - 1, 1, -1):
        if steps[at] == ("LOAD_ATTR", name) and steps[at - 1][0] == "COPY":
            return steps[at - 2]
    return last


def _is_local(what: str) -> bool:
    return what.startswith(("LOAD_FAST", "LOAD_DEREF"))


def _steps(code: CodeType) -> Iterator[_Step]:
    """Give the steps of a function, each with one name: newer Pythons do two at once."""
    for each in dis.get_instructions(code):
        if isinstance(each.argval, tuple):
            does = [f"{part}_FAST" for part in each.opname.replace("_BORROW", "").split("_FAST") if part]
            yield from zip((one.lstrip("_") for one in does), map(str, each.argval), strict=False)
        else:
            yield each.opname, str(each.argval)
