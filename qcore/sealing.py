"""Seals: what only holders of a key of the project can write, or even read."""

from __future__ import annotations

import base64
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, NoReturn

from qcore.errors import ConfigError, MissingExtraError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography.fernet import MultiFernet

SHORTEST = 32
"""Characters of a key, at least."""
HIDDEN = "[key]"
_MAC_BYTES = 32


class Seal(Enum):
    """How the state of a job is sealed in its payload."""

    ENCRYPTED = "encrypted"
    """Nobody without a key can read or write it."""
    SIGNED = "signed"
    """Everybody can read it, nobody without a key can write it."""


NEVER_PICKLED = "keys are never pickled, so no closure captures an App or its configuration: use qcore.dispatch() in it"


class Keys:
    """The keys of a project: the first one writes, all of them read.

    A new key is put before the old ones; an old one can go when nothing written with it is left. From each,
    two others are derived, one to sign and one to encrypt with. They show themselves nowhere.
    """

    def __init__(self, secrets: Iterable[str] = (), *, source: str = "keys") -> None:
        """Take the keys as they stand in the configuration; ``source`` says where that is, for messages.

        :raises ConfigError: for one that is too short to keep anything safe, or no text. No message shows a key.
        """
        given: object = secrets
        if isinstance(given, str):
            given = [part for part in given.split(",") if part.strip()]
        if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
            message = f"{source} is a list of texts: make a key with `qcore make-key`"
            raise ConfigError(message)
        self._secrets = tuple(each.strip() for each in given)
        for number, secret in enumerate(self._secrets, 1):
            if len(secret) < SHORTEST:
                message = (
                    f"{source}: key number {number} has {len(secret)} characters, and needs {SHORTEST} at least: "
                    "make one with `qcore make-key`"
                )
                raise ConfigError(message)

    @classmethod
    def made_of(cls, given: object, *, source: str = "keys") -> Keys:
        """Give keys as they are, and make them of a list.

        :raises ConfigError: for a key that is too short, or no text.
        """
        return given if isinstance(given, Keys) else cls(given, source=source)  # type: ignore[arg-type] # it is checked

    def sign(self, data: bytes, *, purpose: str, what: str) -> str:
        """Write data so that nobody can change it, or pass it off as something for another purpose.

        ``what`` names what is signed, for messages.

        :raises ConfigError: when there is no key.
        """
        if not self:
            raise self.missing(what, "signed")
        return base64.b64encode(_mac(self._signing[0], purpose, data) + data).decode("ascii")

    def opened(self, text: str, *, purpose: str, what: str) -> bytes:
        """Give what was signed, after its signature was verified.

        :raises PayloadError: when no key here signed exactly this for that purpose, or there is no key.
        """
        if not self:
            raise PayloadError(str(self.missing(what, "verified")))
        import hmac

        sealed = _canonical(text, base64.b64decode, base64.b64encode)
        if sealed is not None:
            mac, data = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
            if any(hmac.compare_digest(_mac(key, purpose, data), mac) for key in self._signing):
                return data
        message = f"{what} was not signed by a key of this process: it is damaged, forged, or its key was taken away"
        raise PayloadError(message)

    def encrypt(self, data: bytes, *, what: str) -> str:
        """Write data so that nobody without a key can read or change it. ``what`` names it, for messages.

        :raises ConfigError: when there is no key, or the extra ``encryption`` is not installed.
        """
        if not self:
            raise self.missing(what, "encrypted")
        return self._fernet.encrypt(data).decode("ascii")

    def decrypt(self, text: str, *, what: str) -> bytes:
        """Give what was encrypted.

        :raises PayloadError: when no key here encrypted exactly this, there is no key, or the extra
            ``encryption`` is not installed.
        """
        if not self:
            raise PayloadError(str(self.missing(what, "decrypted")))
        try:
            fernet = self._fernet
        except MissingExtraError as error:
            raise PayloadError(str(error)) from error
        from cryptography.fernet import InvalidToken

        # Fernet passes over characters that are none of its alphabet.
        if _canonical(text, base64.urlsafe_b64decode, base64.urlsafe_b64encode) is not None:
            try:
                return fernet.decrypt(text)
            except InvalidToken:
                pass
        message = f"{what} was not encrypted by a key of this process: it is damaged, forged, or its key was taken away"
        raise PayloadError(message)

    def hidden_in(self, text: str) -> str:
        """Give a text in which no key stands any more."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def missing(self, what: str, verb: str) -> ConfigError:
        """Make the error of a process without keys."""
        return ConfigError(
            f"{what} cannot be {verb}, there is no key: make one with `qcore make-key`, and give it to every process "
            "that dispatches or works"
        )

    @cached_property
    def _signing(self) -> list[bytes]:
        return [_derived(secret, "signing") for secret in self._secrets]

    @cached_property
    def _fernet(self) -> MultiFernet:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError as error:
            message = "encrypted jobs need the package cryptography: pip install 'qcore-queue[encryption]'"
            raise MissingExtraError(message) from error
        derived = [base64.urlsafe_b64encode(_derived(secret, "encryption")) for secret in self._secrets]
        return MultiFernet([Fernet(key) for key in derived])

    def __bool__(self) -> bool:
        return bool(self._secrets)

    def __eq__(self, other: object) -> bool:
        return self._secrets == other._secrets if isinstance(other, Keys) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._secrets)

    def __repr__(self) -> str:
        return f"Keys(<{len(self._secrets)} hidden>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(NEVER_PICKLED)


def _derived(secret: str, purpose: str) -> bytes:
    """Make one of several keys of one secret: whoever learns one knows nothing of the others."""
    import hmac  # only a process that has keys pays for it

    # surrogateescape: what the environment holds need not be UTF-8.
    return hmac.digest(secret.encode("utf-8", "surrogateescape"), f"qcore 1 {purpose}".encode(), "sha256")


def _mac(key: bytes, purpose: str, data: bytes) -> bytes:
    import hmac

    # The length first: no purpose and data together read like another purpose with other data.
    label = purpose.encode()
    return hmac.digest(key, len(label).to_bytes(4, "big") + label + data, "sha256")


def _canonical(text: str, decode: Callable[[str], bytes], encode: Callable[[bytes], bytes]) -> bytes | None:
    """Read base64; None unless it is the only text that stands for these bytes."""
    try:
        data = decode(text)
        return data if encode(data).decode("ascii") == text else None
    except ValueError:
        return None
