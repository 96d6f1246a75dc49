"""What a worker asks of its process: signals and memory."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore import process
from qcore.errors import JobInterrupted
from qcore.process import NotInterrupted, Signals, memory_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
TAKEN = (*ALL, signal.SIGUSR2, signal.SIGCONT)


class UserCode:
    runs = False


@pytest.fixture
def user() -> UserCode:
    return UserCode()


@pytest.fixture
def signals(user: UserCode) -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in TAKEN}
    yield Signals(lambda: user.runs)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_sets_a_flag_and_nothing_else(signals: Signals, user: UserCode, number: int) -> None:
    """WRK-80."""
    assert signals.signal == 0
    user.runs = True

    signal.raise_signal(number)

    assert number == signals.signal


@pytest.mark.parametrize("number", ALL)
def test_the_second_one_interrupts_the_job(signals: Signals, user: UserCode, number: int) -> None:
    user.runs = True
    signal.raise_signal(signal.SIGTERM)

    with pytest.raises(JobInterrupted):
        signal.raise_signal(number)
    assert number == signals.signal


def test_every_further_one_interrupts_a_job_that_swallowed_it(signals: Signals, user: UserCode) -> None:
    user.runs = True
    signal.raise_signal(signal.SIGTERM)

    for _ in range(3):
        with pytest.raises(JobInterrupted):
            signal.raise_signal(signal.SIGTERM)
    assert signals.signal == signal.SIGTERM


def test_outside_user_code_nothing_is_raised(signals: Signals) -> None:
    """There it could meet a lock, a transaction or half a line of the log."""
    for number in ALL * 3:
        signal.raise_signal(number)

    assert signals.signal == signal.SIGQUIT


def test_one_signal_pauses_and_another_resumes(signals: Signals, user: UserCode) -> None:
    """WRK-81; neither stops the worker, or touches a job that runs."""
    user.runs = True
    seen = []
    for number in (signal.SIGUSR2, signal.SIGUSR2, signal.SIGCONT, signal.SIGCONT, signal.SIGUSR2):
        signal.raise_signal(number)
        seen.append(signals.paused)

    assert [True, True, False, False, True] == seen
    assert signals.signal == 0


def test_a_signal_that_pauses_is_not_the_first_of_two_that_stop(signals: Signals, user: UserCode) -> None:
    user.runs = True
    signal.raise_signal(signal.SIGUSR2)

    signal.raise_signal(signal.SIGTERM)

    assert (signal.SIGTERM, True) == (signals.signal, signals.paused)


def test_the_pausing_signals_that_a_job_took_are_taken_again(signals: Signals) -> None:
    """SIGUSR2 would else kill the worker, and with it the job in hand."""
    signal.signal(signal.SIGUSR2, signal.SIG_DFL)

    signals.keep()
    signal.raise_signal(signal.SIGUSR2)

    assert signals.paused


def test_signals_that_a_job_took_are_taken_again(signals: Signals) -> None:
    """A worker that cannot be told to stop would be killed."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.raise_signal(signal.SIGTERM)
    assert signals.signal == 0

    signals.keep()
    signal.raise_signal(signal.SIGTERM)

    assert signals.signal == signal.SIGTERM


def test_signals_are_given_back(user: UserCode) -> None:
    before = {number: signal.getsignal(number) for number in TAKEN}
    signals = Signals(lambda: user.runs)
    assert all(signal.getsignal(number) != before[number] for number in TAKEN)

    signals.restore()

    assert before == {number: signal.getsignal(number) for number in TAKEN}


def test_a_handler_that_python_did_not_set_is_given_back_as_the_default(
    user: UserCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {number: signal.getsignal(number) for number in TAKEN}
    signals = Signals(lambda: user.runs)
    monkeypatch.setitem(signals._before, signal.SIGQUIT, None)
    try:
        signals.restore()
        assert signal.getsignal(signal.SIGQUIT) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_process_that_ends_may_ignore_them(signals: Signals) -> None:
    signals.ignore()

    for number in TAKEN:
        signal.raise_signal(number)
    assert (0, False) == (signals.signal, signals.paused)
    assert {signal.SIG_IGN} == {signal.getsignal(number) for number in TAKEN}


def test_in_a_process_that_a_job_forked_signals_do_what_they_did_before(
    user: UserCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Process.terminate() of multiprocessing would else set a flag in the child, and wait for ever."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    signals = Signals(lambda: user.runs)
    try:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        signal.raise_signal(signal.SIGTERM)
    finally:
        monkeypatch.undo()
        signals.restore()
        signal.signal(signal.SIGTERM, before)

    assert ([signal.SIGTERM], 0) == (seen, signals.signal)


def test_nobody_interrupts_a_worker_that_is_stepped() -> None:
    assert (0, False) == (NotInterrupted().signal, NotInterrupted().paused)


# Memory.


def test_the_memory_in_use_is_that_of_the_process_in_megabytes() -> None:
    before = memory_in_use()
    block = bytearray(b"x" * (64 << 20))

    assert 50 < memory_in_use() - before < 100
    assert len(block) == 64 << 20


def test_memory_that_was_given_back_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peak is far above the limit, what is in use now is not."""
    monkeypatch.setattr(process, "_MAXRSS_UNITS", 1)

    assert memory_in_use(interesting_from=1) < 10_000


def test_below_the_limit_the_peak_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never less than what is in use, and asking for it costs a tenth."""

    def unread(_: Path) -> bytes:
        pytest.fail("the file in /proc was read")

    monkeypatch.setattr(Path, "read_bytes", unread)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 == pytest.approx(memory_in_use(1e9), rel=0.1)


def test_without_proc_the_peak_is_the_best_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> bytes:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_bytes", missing)

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 == pytest.approx(memory_in_use(), rel=0.1)
