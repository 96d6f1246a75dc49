"""Names and ids of any kind: carried unchanged, or refused; never another queue's data, and never a command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.driver import (
    Clearable,
    Driver,
    Effects,
    Findable,
    Inspectable,
    Lock,
    Locking,
    Push,
    Settled,
    Sizable,
    Unlock,
)
from qcore.errors import QcoreError
from qtest.contract_base import ContractBase, needs, payload, reserved

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.store import Store

NAMES = {
    "empty": "",
    "a space": "a b",
    "a space at the end": "a ",
    "lines": "a\r\ndelete 1",
    "NUL": "a\0b",
    "braces": "{x}",
    "braces inside out": "a}b{",
    "a part of another queue": "x:delayed",
    "another part": "x:reserved",
    "a part of a part": "x:delayed:",
    "everything": "*",
    "a pattern": "?[a]",
    "a pattern of SQL": "%_",
    "a path": "../../etc/passwd",
    "SQL": "';DROP TABLE qcore_jobs;--",
    "a format": "%s%n{0}",
    "an expression": "${jndi:x}",
    "an option": "-x",
    "a comma": "a,b",
    "a backslash": "a\\0b\\",
    "190 characters": "n" * 190,
    "201 characters": "n" * 201,
    "10 kB": "n" * 10_000,
    "from right to left": "\u202e\u05d0bc",
    "zero width": "a\u200bb",
    "a homoglyph": "\u0430",
    "NFC": "\u00e9",
    "NFD": "e\u0301",
    "another case": "X",
    "emoji": "\U0001f389",
    "a lone surrogate": "\ud800",
}

_BYSTANDERS = ("x", "a", "b", "default", "n" * 180, "e", "ab")
"""Queues, ids and keys that a name may be taken for."""

each_name = pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())


def _accepted(step: Callable[[], object]) -> bool:
    """Do a step; False when it was refused, in one line."""
    try:
        step()
    except QcoreError as error:
        said = str(error)
    else:
        return True
    assert said.splitlines() == [said], "one line that says what is wrong"
    return False


def _bystand(driver: Driver) -> None:
    for other in _BYSTANDERS:
        driver.push(other, payload(f"of {other}", b"theirs"))


def _untouched(driver: Driver) -> list[str]:
    """Take what the bystanders have."""
    found = [driver.reserve([other]) for other in _BYSTANDERS]
    return [each.queue for each in found if each is not None and each.payload == (f"of {each.queue}", b"theirs")]


class NamesContract(ContractBase):
    """What is written as a name is a name and nothing else. A driver may refuse one: with a ``QcoreError``."""

    @each_name
    def test_a_queue_of_any_name_holds_its_own_payloads_or_is_refused(self, driver: Driver, name: str) -> None:
        """The name comes back as it was, and nobody else gets what is on it."""
        _bystand(driver)
        if _accepted(lambda: driver.push(name, payload("mine", b"mine"))):
            mine = reserved(driver, name)
            assert (name, payload("mine", b"mine")) == mine[:2]
            assert driver.reserve([name]) is None
            assert driver.release(mine) is Settled.DONE
            assert driver.delete(reserved(driver, name)) is Settled.DONE

        assert list(_BYSTANDERS) == _untouched(driver)

    @needs("clear", "size")
    @each_name
    def test_clearing_a_queue_of_any_name_clears_no_other(self, driver: Driver, name: str) -> None:
        """No name is a pattern."""
        assert isinstance(driver, Clearable)
        assert isinstance(driver, Sizable)
        _bystand(driver)
        if _accepted(lambda: driver.push(name, payload("mine"))):
            assert (1, 1, 0) == (driver.size(name), driver.clear(name), driver.size(name))
        else:
            _accepted(lambda: driver.clear(name))

        assert list(_BYSTANDERS) == _untouched(driver)

    @needs("inspect")
    @each_name
    def test_a_queue_of_any_name_is_shown_under_its_name(self, driver: Driver, name: str) -> None:
        """Tools name what workers are to be told."""
        assert isinstance(driver, Inspectable)
        if _accepted(lambda: driver.push(name, payload())):
            assert [(name, 1)] == [(each.queue, each.ready) for each in driver.counts()]
            assert [(name, payload())] == [each[:2] for each in driver.listed(name)]

    @needs("size")
    @pytest.mark.parametrize("part", ["delayed", "reserved", "notify", "delayed:", "reserved:delayed"])
    def test_no_queue_is_a_part_of_another(self, driver: Driver, part: str) -> None:
        """Whatever names a backend makes up for what is delayed, reserved, or wakes a worker."""
        assert isinstance(driver, Sizable)
        names = ("x", f"x:{part}")
        for name in names:
            driver.push(name, payload(f"reserved {name}"))
            reserved(driver, name)
            driver.push(name, payload(f"ready {name}"))
            driver.push(name, payload(f"delayed {name}"), delay=3600)

        assert [3, 3] == [driver.size(name) for name in names]
        assert [f"ready {name}" for name in names] == [reserved(driver, name).payload.id for name in names]
        assert [None, None] == [driver.reserve([name]) for name in names]

    @each_name
    def test_an_id_of_any_text_is_the_id_of_one_payload_or_is_refused(self, driver: Driver, name: str) -> None:
        """It comes back as it was, and settles nobody else's payload."""
        for other in _BYSTANDERS:
            driver.push("others", payload(other, b"theirs"))
        if _accepted(lambda: driver.push("default", payload(name, b"mine"))):
            mine = reserved(driver)
            assert payload(name, b"mine") == mine.payload
            if isinstance(driver, Findable):
                found = driver.find(name)
                assert found is not None
                assert (payload(name, b"mine"), "reserved") == (found.payload, found.state)
            assert driver.delete(mine) is Settled.DONE
            assert driver.reserve(["default"]) is None

        others = [reserved(driver, "others").payload for _ in _BYSTANDERS]
        assert sorted((other, b"theirs") for other in _BYSTANDERS) == sorted(others)

    @needs("locks")
    @each_name
    def test_a_lock_of_any_name_keeps_nobody_else_away_or_is_refused(
        self, driver: Driver, store: Store, name: str
    ) -> None:
        """The same name is the same lock; a refused one leaves no payload behind."""
        assert isinstance(driver, Locking)
        locking: Locking = driver
        for other in _BYSTANDERS:
            assert (
                locking.push_locked(Push("others", payload(f"of {other}"), 0, Lock(other, f"of {other}", None))) is None
            )

        def push(job_id: str) -> str | None:
            return locking.push_locked(Push("default", payload(job_id), 0, Lock(name, job_id, None)))

        if _accepted(lambda: push("mine")):
            assert "mine" == push("second") == store.get(name)
            driver.delete(reserved(driver), effects=Effects(unlocks=(Unlock(name, "mine"),)))
            assert store.get(name) is None

        assert driver.reserve(["default"]) is None
        assert [f"of {other}" for other in _BYSTANDERS] == [store.get(other) for other in _BYSTANDERS]
