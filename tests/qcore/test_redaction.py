"""Secrets stay out of what is stored about failed jobs, and what is stored stays small."""

from __future__ import annotations

import pytest

from qcore.hiding import HIDDEN, SECRET_KEYS
from qcore.redaction import Redactor, exception_text

redactor = Redactor()
SECRET = "hunter2"


@pytest.mark.parametrize(
    "text",
    [
        "password=hunter2",
        "password = hunter2",
        "PASSWORD: hunter2",
        "db_password='hunter2'",
        'password="hunter2"',
        'password="say \\"hunter2\\" twice"',
        "password='it\\'s hunter2'",
        "{'password': 'hunter2'}",
        '{"user_password": "hunter2", "x": 1}',
        "login(user='a', password='hunter2')",
        "{'api_key': 'hunter2'}",
        "api-key=hunter2",
        "X-Api-Key: hunter2",
        "apikey=hunter2&x=1",
        "Authorization: Bearer hunter2",
        "Authorization: Basic hunter2",
        "'Authorization': 'Bearer hunter2'",
        "access_token=hunter2",
        "token_for_mail: hunter2;",
        "client-secret: hunter2",
        "credentials=hunter2",
        "postgresql://user:hunter2@db.example.com/app",
        "redis://:hunter2@127.0.0.1:6379/0",
    ],
)
def test_the_value_of_a_secret_name_is_hidden(text: str) -> None:
    hidden = redactor.text(f"before {text} after")

    assert SECRET not in hidden
    assert HIDDEN in hidden
    assert hidden.startswith("before ")


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: row 3 is bad",
        "the password was wrong",
        "http://example.com:8080/path@2",
        "x=1, y='two'",
        'File "secret.py", line 3, in handle',
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert text == redactor.text(text)


def test_what_follows_a_secret_is_left() -> None:
    assert f"f(password={HIDDEN}, user='a') token={HIDDEN}\nnext" == redactor.text(
        "f(password='x y', user='a') token=abc\nnext"
    )


def test_the_words_are_a_setting() -> None:
    mine = Redactor(["Card_Number"])

    assert f"card-number={HIDDEN} password=x" == mine.text("card-number=4111 password=x")
    assert f"CARD_NUMBER: {HIDDEN}" == mine.text("CARD_NUMBER: 4111")


def test_no_words_hide_nothing() -> None:
    text = "password=x redis://:x@host"

    assert (text, {"password": "x"}) == (Redactor(()).text(text), Redactor(()).value({"password": "x"}))


def test_a_word_is_no_pattern() -> None:
    assert "key=x" == Redactor(["k.y"]).text("key=x")
    assert f"k.y={HIDDEN}" == Redactor(["k.y"]).text("k.y=x")


def test_values_in_a_structure_are_hidden_at_any_depth() -> None:
    structure = {
        "user": "a",
        "Password": "x",
        "nested": [{"api-key": {"id": 1}, "list": ["token", {"accessToken": 3}]}],
        "n": None,
    }

    assert {
        "user": "a",
        "Password": HIDDEN,
        "nested": [{"api-key": HIDDEN, "list": ["token", {"accessToken": HIDDEN}]}],
        "n": None,
    } == redactor.value(structure)


def test_a_huge_text_is_cut_in_the_middle() -> None:
    text = redactor.text("first " + "x" * 1_000_000 + " last")

    assert len(text) < 65_000
    assert (True, True) == (text.startswith("first "), text.endswith(" last"))
    assert "characters cut" in text


def test_a_secret_at_the_cut_is_hidden_before_the_cut() -> None:
    text = redactor.text("x" * 40_000 + f" password='{SECRET * 10_000}' " + "y" * 10_000)

    assert SECRET not in text


def test_a_text_made_to_be_slow_is_not() -> None:
    """Names are looked at up to a length: else this would take minutes, and the time limit of the suite."""
    assert redactor.text("password" * 100_000)
    assert redactor.text("password-" * 100_000 + "=x")
    assert redactor.text("://" * 100_000)


def test_an_exception_is_kept_with_its_traceback_and_causes() -> None:
    def raised() -> BaseException:
        try:
            try:
                raise KeyError("inner password=hunter2")  # noqa: TRY301
            except KeyError as error:
                message = "outer"
                raise ValueError(message) from error
        except ValueError as error:
            error.add_note("a note, token=hunter2")
            return error

    text = exception_text(raised(), redactor)

    for part in ("Traceback (most recent call last)", "KeyError", "direct cause", "ValueError: outer", "a note"):
        assert part in text
    assert "in raised" in text
    assert SECRET not in text


def test_an_exception_that_cannot_be_shown_is_stored_all_the_same() -> None:
    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "MuteError" in exception_text(MuteError(), redactor)


def test_the_usual_words_are_there() -> None:
    assert {"password", "secret", "token", "api_key", "authorization"} <= set(SECRET_KEYS)
