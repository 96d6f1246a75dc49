"""Never lost, opaque, poison: a payload is in one place, comes back whole, and its attempts are counted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.driver import Bulk, Driver, Effects, Payload, Push, Settled, Sizable
from qtest.contract_base import ContractBase, drained, lost_and_reserved, needs, payload, pushed_and_reserved, reserved

if TYPE_CHECKING:
    from qtest.clock import FrozenClock

HOSTILE = {
    "empty": b"",
    "every byte": bytes(range(256)),
    "NUL": b"\0a\0\0b\0",
    "not UTF-8": b"\xff\xfe\xc3(\xed\xa0\x80",
    "lines": b"a\r\nb\n\rc\x1a",
    "blanks at both ends": b" \t\r\n body \r\n\t ",
    "a line end": b"body\n",
    "nothing but blanks": b" \n ",
    "JSON numbers": b'{"a": [], "n": 12345678901234567, "f": 1699999999.123456}',
    "SQL": b"'; DROP TABLE qcore_jobs; --",
    "1 MiB": bytes(range(256)) * 4096,
}

QUEUES = [
    "default",
    "Default",
    "default ",
    " default",
    "d\u00e9fault",
    "de\u0301fault",
    "default%",
    "defaul_",
    "de'fault",
    'de"fault',
    "{default}",
    "default:delayed",
    "queues:default",
    "d" * 190,
    "d" * 189,
]


class MovesContract(ContractBase):
    """Ready, delayed, reserved: a payload is in exactly one of them until it is deleted."""

    def test_a_pushed_payload_is_reserved_and_after_its_delete_it_is_gone(self, driver: Driver) -> None:
        """Push, reserve, delete: the whole life of a job that succeeds."""
        driver.push("default", payload("job", b"body"))
        reservation = reserved(driver)

        assert ("default", Payload("job", b"body"), 1) == reservation[:3]
        assert driver.delete(reservation) is Settled.DONE
        assert driver.reserve(["default"]) is None

    def test_a_reserved_payload_is_hidden(self, driver: Driver) -> None:
        """One worker at a time has it."""
        pushed_and_reserved(driver)

        assert driver.reserve(["default"]) is None

    def test_an_empty_or_unknown_queue_gives_nothing(self, driver: Driver) -> None:
        """A worker may listen to queues that nobody has pushed to yet, or to none."""
        driver.push("default", payload())

        assert driver.reserve(["never used"]) is None
        assert driver.reserve([]) is None

    @needs("virtual_clock")
    def test_a_lost_reservation_comes_back(self, driver: Driver, clock: FrozenClock) -> None:
        """A worker that dies settles nothing; after ``retry_after`` the next one gets the payload."""
        old, new = lost_and_reserved(driver, clock)

        assert (old.payload, 2) == (new.payload, new.attempts)
        assert driver.reserve(["default"]) is None

    def test_a_released_payload_comes_back(self, driver: Driver) -> None:
        """Release gives it to the next reserve."""
        old = pushed_and_reserved(driver)

        assert driver.release(old) is Settled.DONE
        assert old.payload == reserved(driver).payload

    @needs("size", "virtual_clock")
    def test_a_payload_is_in_exactly_one_place_after_every_move(self, driver: Driver, clock: FrozenClock) -> None:
        """No move makes a copy or loses one."""
        assert isinstance(driver, Sizable)
        driver.push("default", payload(), delay=1)
        sizes = [driver.size("default")]
        clock.advance(1)
        for delay in (0, 5):
            reservation = reserved(driver)
            sizes.append(driver.size("default"))
            driver.release(reservation, delay=delay)
            sizes.append(driver.size("default"))
            clock.advance(delay)
        reserved(driver)
        clock.advance(self.retry_after)
        sizes.append(driver.size("default"))
        last = reserved(driver)
        sizes.append(driver.size("default"))
        driver.delete(last)

        assert [1] * 7 == sizes
        assert driver.size("default") == 0

    @pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
    def test_bytes_come_back_as_they_were_pushed(self, driver: Driver, body: bytes) -> None:
        """The backend neither reads nor re-encodes a payload."""
        driver.push("default", payload("job", body))
        first = reserved(driver)
        driver.release(first)

        assert [body, body] == [first.payload.body, reserved(driver).payload.body]

    @needs("effects_atomic", way="bulk")
    @pytest.mark.parametrize("body", [b"body\n", b" body ", b"\0body\0"])
    @pytest.mark.parametrize("way", ["bulk", "effects"])
    def test_bytes_of_many_pushes_at_once_come_back_as_they_were(self, driver: Driver, way: str, body: bytes) -> None:
        """Whichever way they were pushed."""
        push = Push("other", payload("pushed", body))
        if way == "bulk":
            assert isinstance(driver, Bulk)
            driver.bulk([push])
        else:
            driver.delete(pushed_and_reserved(driver), effects=Effects(pushes=(push,)))

        assert body == reserved(driver, "other").payload.body

    def test_attempts_count_reservations(self, driver: Driver) -> None:
        """The backend counts, inside reserve: a worker that dies cannot forget to."""
        driver.push("default", payload())
        seen = []
        for _ in range(4):
            reservation = reserved(driver)
            seen.append(reservation.attempts)
            driver.release(reservation)

        assert [1, 2, 3, 4] == seen

    def test_a_release_may_give_the_attempt_back(self, driver: Driver) -> None:
        """A job that was only put off has not been tried."""
        first = pushed_and_reserved(driver)
        driver.release(first)
        second = reserved(driver)
        driver.release(second, count=False)

        assert (2, 2) == (second.attempts, reserved(driver).attempts)

    def test_attempts_start_anew_with_a_new_push(self, driver: Driver) -> None:
        """A failed job that is retried by hand has all its tries again."""
        first = pushed_and_reserved(driver)
        driver.release(first)
        driver.delete(reserved(driver))

        assert pushed_and_reserved(driver).attempts == 1

    @needs("verdict", "virtual_clock")
    def test_a_verdict_is_handed_out_until_the_next_release(self, driver: Driver, clock: FrozenClock) -> None:
        """It outlives a worker that dies on the failure path, and is not taken for a later failure's."""
        first = pushed_and_reserved(driver)
        driver.release(first, verdict="killed: out of memory \u2603")
        second = reserved(driver)
        clock.advance(self.retry_after)
        third = reserved(driver)
        driver.release(third)

        killed = "killed: out of memory \u2603"
        assert ["", killed, killed, ""] == [each.verdict for each in (first, second, third, reserved(driver))]

    @needs("repeatable")
    @pytest.mark.parametrize("place", ["ready", "delayed", "reserved"])
    def test_a_second_push_of_a_live_id_changes_nothing(self, driver: Driver, place: str) -> None:
        """The reply to a push may be lost; the push may be repeated."""
        driver.push("default", payload("job", b"first"), delay=60 if place == "delayed" else 0)
        held = reserved(driver) if place == "reserved" else None
        driver.push("default", payload("job", b"second"))
        driver.push("other", payload("job", b"third"))

        assert driver.reserve(["other"]) is None
        again = driver.reserve(["default"])
        assert (again.payload.body if again else None) == (b"first" if place == "ready" else None)
        assert held is None or driver.delete(held) is Settled.DONE

    def test_queue_names_never_mix(self, driver: Driver) -> None:
        """Case, spaces, composition of letters, wildcards and quotes tell queues apart."""
        for name in QUEUES:
            driver.push(name, payload(f"for {QUEUES.index(name)}"))

        found = [(reserved(driver, name), driver.reserve([name])) for name in QUEUES]

        assert [(name, f"for {index}") for index, name in enumerate(QUEUES)] == [
            (one.queue, one.payload.id) for one, _ in found
        ]
        assert {None} == {other for _, other in found}

    @needs("bulk", "ordered")
    def test_bulk_pushes_all_in_order(self, driver: Driver) -> None:
        """Many payloads, one call."""
        assert isinstance(driver, Bulk)
        driver.push("default", payload("3", b"first"))
        driver.bulk(Push("default", payload(str(number))) for number in range(5))
        driver.bulk([])

        assert ["3", "0", "1", "2", "4"] == drained(driver)

    @needs("bulk", "virtual_clock")
    def test_bulk_keeps_queues_and_delays(self, driver: Driver, clock: FrozenClock) -> None:
        """A bulk is so many pushes, each with its own delay."""
        assert isinstance(driver, Bulk)
        driver.bulk([Push("a", payload("1"), 10), Push("b", payload("2")), Push("a", payload("3"))])

        assert [["3"], ["2"]] == [drained(driver, "a"), drained(driver, "b")]
        clock.advance(10)
        assert ["1"] == drained(driver, "a")

    @needs("bulk", "virtual_clock")
    def test_bulk_keeps_all_that_are_due_at_one_instant(self, driver: Driver, clock: FrozenClock) -> None:
        """A place in time is no key: others may have it, also those that were there before."""
        assert isinstance(driver, Bulk)
        driver.push("default", payload("before"), delay=10)
        driver.bulk(Push("default", payload(str(number)), 10) for number in range(4))
        clock.advance(10)

        assert ["0", "1", "2", "3", "before"] == sorted(drained(driver))

    def test_every_payload_goes_to_exactly_one_of_many_threads(self) -> None:
        """A driver is shared by threads, and each payload is handed out once."""
        driver = self.make_driver(SystemClock())
        expected = [f"job {number}" for number in range(200)]
        for job_id in expected:
            driver.push("default", payload(job_id))
        found: list[list[str]] = [[], [], [], []]

        def drain(ids: list[str]) -> None:
            ids.extend(drained(driver))

        threads = [threading.Thread(target=drain, args=(ids,), daemon=True) for ids in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)

        assert sorted(expected) == sorted(job_id for ids in found for job_id in ids)
