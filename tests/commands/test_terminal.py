"""Escaping, aligning, colouring."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcore.commands.terminal import escaped, has_colour, local, span_text


@given(st.text())
def test_an_escaped_text_is_one_printable_line(text: str) -> None:
    assert escaped(text).isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, größer 漢字 🎉", "plain text, größer 漢字 🎉"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("\u202eabc", r"\u202eabc"),
        ("\x9b31m", r"\x9b31m"),
        ("\ud800", r"\ud800"),
        ("\x00", r"\x00"),
    ],
)
def test_only_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert shown == escaped(text)


def test_a_long_text_is_cut() -> None:
    assert "abc..." == escaped("abcdef", 3)


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "colour"),
    [
        (Screen(), {"TERM": "xterm"}, True),
        (Screen(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        (Screen(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Screen(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    stream: io.StringIO, environ: dict[str, str], *, colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert colour is has_colour(stream)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.00ms"),
        (0.012344, "12.34ms"),
        (1, "1.00s"),
        (59.5, "59.50s"),
        (60, "1m 0s"),
        (3599.9, "59m 59s"),
        (3600, "1h 0m"),
        (86399, "23h 59m"),
        (90000, "1d 1h"),
        (100 * 86400, "100d 0h"),
    ],
)
def test_a_span_is_short(seconds: float, shown: str) -> None:
    assert shown == span_text(seconds)


def test_instants_are_local() -> None:
    assert 1_900_000_000.5 == local(1_900_000_000.5).timestamp()
    assert local(1_900_000_000).utcoffset() is not None
