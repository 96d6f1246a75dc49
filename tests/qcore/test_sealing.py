"""Keys sign and encrypt so that only they can; they show themselves nowhere."""

from __future__ import annotations

import base64
import copy
import hmac
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcore import App, Config, ConfigError, PayloadError
from qcore.errors import MissingExtraError
from qcore.redaction import Redactor
from qcore.sealing import Keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ONE = "one-" + "1" * 40
TWO = "two-" + "2" * 40
KEYS = Keys([ONE])
DATA = b'what is "sealed" \x00\xff'


def sign(keys: Keys, data: bytes = DATA, purpose: str = "test") -> str:
    return keys.sign(data, purpose=purpose, what="it")


def opened(keys: Keys, text: str, purpose: str = "test") -> bytes:
    return keys.opened(text, purpose=purpose, what="it")


def encrypt(keys: Keys, data: bytes = DATA) -> str:
    return keys.encrypt(data, what="it")


def decrypt(keys: Keys, text: str) -> bytes:
    return keys.decrypt(text, what="it")


SEALS = pytest.mark.parametrize(("seal", "unseal"), [(sign, opened), (encrypt, decrypt)])


@SEALS
@given(data=st.binary())
def test_what_is_sealed_comes_back(seal: Callable[..., str], unseal: Callable[..., bytes], data: bytes) -> None:
    text = seal(KEYS, data)

    assert data == unseal(KEYS, text)
    assert text.isascii()


@SEALS
@given(where=st.integers(min_value=0), bit=st.integers(0, 6))
def test_a_flipped_bit_is_refused_wherever_it_is(seal: Any, unseal: Any, where: int, bit: int) -> None:  # noqa: ANN401
    text = seal(KEYS)
    at = where % len(text)
    damaged = text[:at] + chr(ord(text[at]) ^ 1 << bit) + text[at + 1 :]

    with pytest.raises(PayloadError, match="damaged, forged, or its key was taken away"):
        unseal(KEYS, damaged)


@SEALS
@given(length=st.integers(min_value=0))
def test_what_is_cut_off_is_refused(seal: Any, unseal: Any, length: int) -> None:  # noqa: ANN401
    text = seal(KEYS)

    with pytest.raises(PayloadError, match="damaged"):
        unseal(KEYS, text[: length % len(text)])


@SEALS
@given(text=st.text())
def test_no_text_but_the_one_that_was_written_is_accepted(seal: Any, unseal: Any, text: str) -> None:  # noqa: ANN401
    for forged in (text, seal(KEYS) + text if text else "", text + seal(KEYS) if text else ""):
        with pytest.raises(PayloadError, match="damaged"):
            unseal(KEYS, forged)


@SEALS
@pytest.mark.parametrize("more", ["=", "====", "\n", " ", "!", "\0", "é", "\ud800", "A"])
def test_an_addition_that_base64_would_pass_over_is_refused(seal: Any, unseal: Any, more: str) -> None:  # noqa: ANN401
    for forged in (seal(KEYS) + more, more + seal(KEYS), seal(KEYS)[:8] + more + seal(KEYS)[8:]):
        with pytest.raises(PayloadError, match="damaged"):
            unseal(KEYS, forged)


@SEALS
def test_the_last_characters_cannot_be_written_in_another_way(seal: Any, unseal: Any) -> None:  # noqa: ANN401
    """Behind the last byte base64 has room for bits that say nothing."""
    for data in (b"", b"1", b"12", b"1" * 16, b"1" * 32):
        text = seal(KEYS, data)
        spare = text.rstrip("=")
        for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_":
            if other != spare[-1]:
                with pytest.raises(PayloadError, match="damaged"):
                    unseal(KEYS, spare[:-1] + other + "=" * (len(text) - len(spare)))


@SEALS
def test_another_key_is_refused(seal: Any, unseal: Any) -> None:  # noqa: ANN401
    with pytest.raises(PayloadError, match="its key was taken away"):
        unseal(Keys([TWO]), seal(KEYS))


@SEALS
def test_the_first_key_writes_and_all_of_them_read(seal: Any, unseal: Any) -> None:  # noqa: ANN401
    both = Keys([TWO, ONE])

    assert DATA == unseal(both, seal(Keys([ONE])))
    assert DATA == unseal(Keys([TWO]), seal(both))
    with pytest.raises(PayloadError):
        unseal(Keys([ONE]), seal(both))


@SEALS
def test_without_a_key_nothing_is_sealed_and_nothing_opened(seal: Any, unseal: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match=r"it cannot be .* there is no key: make one with `qcore make-key`"):
        seal(Keys())
    with pytest.raises(PayloadError, match=r"it cannot be .* there is no key: make one with `qcore make-key`"):
        unseal(Keys(), seal(KEYS))


def test_what_was_signed_for_one_purpose_is_no_good_for_another() -> None:
    text = sign(KEYS, purpose="closure")

    for purpose in ("closures", "closur", "", "encryption"):
        with pytest.raises(PayloadError, match="was not signed"):
            opened(KEYS, text, purpose=purpose)


def test_where_a_purpose_ends_is_signed_too() -> None:
    mac, data = base64.b64decode(sign(KEYS, b"bc", purpose="a"))[:32], b"c"

    with pytest.raises(PayloadError, match="was not signed"):
        opened(KEYS, base64.b64encode(mac + data).decode(), purpose="ab")


def test_encrypted_text_is_not_signed_and_signed_text_is_not_encrypted() -> None:
    with pytest.raises(PayloadError, match="was not signed"):
        opened(KEYS, encrypt(KEYS))
    with pytest.raises(PayloadError, match="was not encrypted"):
        decrypt(KEYS, sign(KEYS))


def test_two_different_keys_are_derived_and_neither_is_the_secret() -> None:
    from cryptography.fernet import Fernet, InvalidToken

    signing = hmac.digest(ONE.encode(), b"qcore 1 signing", "sha256")
    encryption = hmac.digest(ONE.encode(), b"qcore 1 encryption", "sha256")

    assert DATA == Fernet(base64.urlsafe_b64encode(encryption)).decrypt(encrypt(KEYS))
    with pytest.raises(InvalidToken):
        Fernet(base64.urlsafe_b64encode(signing)).decrypt(encrypt(KEYS))
    signed = base64.b64decode(sign(KEYS))
    assert hmac.digest(signing, b"\0\0\0\x04test" + DATA, "sha256") + DATA == signed


def test_nothing_of_the_content_can_be_read_in_what_is_encrypted() -> None:
    text = encrypt(KEYS, b"4111 1111 1111 1111")

    assert b"4111" not in base64.urlsafe_b64decode(text)
    assert text != encrypt(KEYS, b"4111 1111 1111 1111")


@pytest.mark.parametrize("secret", ["", "short", "x" * 31, " " * 40, "x" * 31 + " "])
def test_a_key_that_is_too_short_is_refused(secret: str) -> None:
    with pytest.raises(ConfigError, match=r"key number 2 has .* needs 32 at least: make one with `qcore make-key`"):
        Keys([ONE, secret])
    assert Keys(["x" * 32])


@pytest.mark.parametrize("given", [3, None, [3], [b"x" * 40], {"a": 1}, [[ONE]], {ONE: TWO}])
def test_what_is_no_list_of_texts_is_refused_without_being_shown(given: Any) -> None:  # noqa: ANN401
    with pytest.raises(ConfigError, match="keys is a list of texts") as caught:
        Keys(given)
    assert ONE not in str(caught.value)


@pytest.mark.parametrize("secret", ["ключ" * 10, "x" * 40 + "\udcff"])
def test_a_key_may_hold_any_character(secret: str) -> None:
    assert DATA == opened(Keys([secret]), sign(Keys([secret])))


# They show themselves nowhere.


def test_keys_stand_in_no_representation_of_what_holds_them() -> None:
    app = App(Config(keys=[ONE, TWO]))

    for shown in (app.config, app.config.keys, app.job_codec, app, Keys([ONE])):
        assert ONE not in f"{shown!r} {shown}"
    assert "Keys(<2 hidden>)" == repr(app.config.keys)


def test_keys_stand_in_no_error() -> None:
    short = "hunter2-hunter2"
    for wrong in ([short], short, [short, 3]):
        with pytest.raises(ConfigError) as caught:
            Config(keys=wrong)  # type: ignore[arg-type]
        assert short not in str(caught.value)


def test_keys_are_not_pickled_and_neither_is_what_holds_them() -> None:
    for holder in (KEYS, Config(), Config(keys=[ONE])):
        with pytest.raises(TypeError, match="keys are never pickled"):
            pickle.dumps(holder)
        with pytest.raises(TypeError, match="keys are never pickled"):
            copy.deepcopy(holder)


def test_a_key_that_a_job_prints_into_its_error_is_hidden_in_what_is_kept() -> None:
    text = Redactor((), hide=Keys([ONE, TWO]).hidden_in).text(f"environ({{'QCORE_KEYS': '{ONE},{TWO}'}})")

    assert "environ({'QCORE_KEYS': '[key],[key]'})" == text


# Where they come from.


def load(folder: Path, toml: str = "", **environ: str) -> Config:
    (folder / "qcore.toml").write_text(toml)
    return Config.load(folder, environ)


@pytest.mark.parametrize(
    ("toml", "environ"),
    [
        (f"keys = ['{ONE}', '{TWO}']", {}),
        (f"keys = ' {ONE} , {TWO},'", {}),
        ("", {"QCORE_KEYS": f"{ONE}, {TWO}"}),
        (f"keys = ['{TWO}']", {"QCORE_KEYS": f"{ONE},{TWO}"}),
    ],
)
def test_keys_come_from_the_file_or_the_environment(tmp_path: Path, toml: str, environ: dict[str, str]) -> None:
    config = load(tmp_path, toml, **environ)

    assert Keys([ONE, TWO]) == config.keys != Keys([TWO, ONE])
    assert config.with_default("memory").keys == config.keys
    assert hash(config.keys) == hash(Keys([ONE, TWO]))
    assert config.keys != [ONE, TWO]


@pytest.mark.parametrize(
    ("toml", "environ", "place"),
    [
        ("keys = 3", {}, r"qcore\.toml: keys"),
        ("keys = [3]", {}, r"qcore\.toml: keys"),
        ("keys = ['short']", {}, r"qcore\.toml: keys"),
        ("", {"QCORE_KEYS": "short"}, "QCORE_KEYS"),
    ],
)
def test_wrong_keys_are_told_with_their_place(tmp_path: Path, toml: str, environ: dict[str, str], place: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{place}(: key number 1 has 5 | is a list of texts)"):
        load(tmp_path, toml, **environ)


def test_without_the_extra_encryption_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = encrypt(KEYS)
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'qcore-queue\[encryption\]'"):
        encrypt(Keys([ONE]))
    with pytest.raises(PayloadError, match=r"pip install 'qcore-queue\[encryption\]'"):
        decrypt(Keys([ONE]), text)
