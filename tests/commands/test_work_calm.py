"""A full rate limit does not fill the log: jobs that are put off again and again get a line now and then."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, Job, WorkerOptions
from qcore.commands import work_calm
from qcore.commands.work_calm import Calm, Restless
from qcore.commands.work_lines import Plain
from qcore.commands.work_output import listen
from qcore.events import JobLetThrough
from qcore.middleware import RateLimited
from qcore.rate_limits import Limit
from qtest.clock import FrozenClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.commands.conftest import Cli, Project

lines: list[str] = []


class Mails(Job, tries=0):
    def __init__(self, number: int) -> None:
        self.number = number

    def middleware(self) -> list[RateLimited]:
        return [RateLimited("mails")]

    def handle(self) -> None:
        lines.append(f"mail {self.number}")


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def app(clock: FrozenClock) -> App:
    lines.clear()
    app = App(Config(default="memory"), clock=clock)
    app.limiter("mails", lambda _: Limit.per_minute(2))
    return app


@pytest.fixture
def work(app: App) -> Callable[..., list[str]]:
    """Run all that is due; gives the lines without instants and ids."""

    def run(calm: Calm) -> list[str]:
        ends = listen(app, Plain(app.redactor, 0), lines.append, calm=calm)
        app.worker(options=WorkerOptions(stop_when_empty=True, timeout=0)).run()
        for end in ends:
            end()
        said = [re.sub(r"^\[.*?\]\[.*?\] ", "", line) for line in lines]
        lines.clear()
        return said

    return run


BLOCKED = "Released: Mails (RateLimited, again in 1m 3s)"


def test_jobs_that_are_put_off_for_the_same_reason_share_a_line(app: App, work: Callable[..., list[str]]) -> None:
    for number in range(50):
        app.dispatch(Mails(number))

    said = work(Calm())

    ran = [line for number in (0, 1) for line in ("Processing: Mails", f"mail {number}", "Processed: Mails")]
    assert [*ran, "Processing: Mails", BLOCKED] == said


def test_the_next_line_counts_those_that_had_none(app: App, clock: FrozenClock, work: Callable[..., list[str]]) -> None:
    calm = Calm()
    for number in range(12):
        app.dispatch(Mails(number))
    work(calm)
    clock.advance(work_calm.EVERY)
    app.dispatch(Mails(12))

    assert ["Processing: Mails", "Released: Mails (RateLimited, again in 53.00s; and 9 more like it)"] == work(calm)


def test_a_job_that_is_let_through_has_its_line_before_it_runs(
    app: App, clock: FrozenClock, work: Callable[..., list[str]]
) -> None:
    calm = Calm()
    for number in range(5):
        app.dispatch(Mails(number))
    work(calm)
    clock.advance(63)

    said = work(calm)

    ran = [line for number in (2, 3) for line in ("Processing: Mails", f"mail {number}", "Processed: Mails")]
    assert [*ran, "Processing: Mails", BLOCKED] == said


def test_who_wants_every_line_gets_it(app: App, work: Callable[..., list[str]]) -> None:
    for number in range(10):
        app.dispatch(Mails(number))

    said = work(Restless())

    assert [8, 10] == [said.count(BLOCKED), said.count("Processing: Mails")]


def test_a_clock_that_was_put_back_silences_nothing(
    app: App, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, work: Callable[..., list[str]]
) -> None:
    calm = Calm()
    for number in range(3):
        app.dispatch(Mails(number))
    work(calm)
    before = clock.now
    monkeypatch.setattr(clock, "now", lambda: before() - 3600)
    app.connection().driver.clear("default")  # type: ignore[attr-defined]
    app.dispatch(Mails(3))

    assert "Released: Mails" in work(calm)[-1]


def test_jobs_that_choose_their_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, app: App) -> None:
    monkeypatch.setattr(work_calm, "_MOST", 3)
    calm = Calm()
    for number in range(10):
        calm._remember(str(number), work_calm._Block("by", "released", 0))

    assert 1 <= len(calm._blocks) <= 3


def test_only_jobs_with_middleware_are_let_through(app: App) -> None:
    heard = list[str]()
    app.listen(JobLetThrough, lambda event: heard.append(event.delivery.name))

    class Plainly(Job):
        def handle(self) -> None: ...

    for each in (Plainly(), Mails(1), Mails(2), Mails(3)):
        app.dispatch(each)
    app.worker(options=WorkerOptions(stop_when_empty=True, timeout=0)).run()

    assert ["Mails", "Mails"] == heard


def test_the_log_of_a_real_worker_is_calm_and_json_is_complete(project: Project, cli: Cli) -> None:
    project.write(
        "jobs/slowly.py",
        """
        from qcore import Job
        from qcore.middleware import Release

        class Slowly(Job):
            def middleware(self):
                return [Release.when(True, after=1000)]

            def handle(self) -> None: ...
        """,
    )
    for _ in range(5):
        cli("dispatch", "Slowly")
    for _ in range(5):
        cli("dispatch", "Slowly", "--queue", "json")

    plain = project.run("work", "--stop-when-empty", "--queue", "default")
    as_json = project.run("work", "--stop-when-empty", "--queue", "json", "--json")

    assert 2 == len(plain.out.splitlines())
    assert 10 == len(as_json.entries)
