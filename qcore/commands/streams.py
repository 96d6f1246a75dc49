"""Standard streams that are there and take any text."""

from __future__ import annotations

import os
import sys


def prepare() -> None:
    """Open what the caller closed, as nothing, and let no name that cannot be shown end a command.

    Else the next file that is opened, the database perhaps, would get the number of a closed stream, and
    with it whatever a job's child processes print.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if not _is_open(number):
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
