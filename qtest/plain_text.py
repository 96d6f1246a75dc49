"""Texts of foreign values, fit for a message: they raise nothing, and steer no terminal."""

from __future__ import annotations


def repr_of(value: object) -> str:
    """Give the ``repr`` of a value; one that raises does not take the message along."""
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001 - it is told
        return f"<{type(value).__qualname__} whose repr raises {type(error).__name__}>"


def text_of(value: object) -> str:
    """Give the ``str`` of a value, or of an exception; one that raises does not take the message along."""
    try:
        return str(value)
    except Exception as wrong:  # noqa: BLE001 - it is told
        return f"<its text raises {type(wrong).__name__}>"


def plain(text: str) -> str:
    """Write what would break a line, steer a terminal or turn the writing round as an escape."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
