"""Which App a dispatch goes to: the one of this context, the override, the one of the configuration."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from qcore import App, Config, Job, QcoreError, current
from qcore.driver import Payload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Send(Job):
    def handle(self) -> None: ...


@pytest.fixture(autouse=True)
def _nothing_in_force() -> Iterator[None]:
    current.set_configured(None)
    yield
    current.override(None)
    current.set_configured(None)


@pytest.fixture
def memory_app(tmp_path: Path) -> Callable[[], App]:
    return lambda: App(Config(default="memory", root=tmp_path))


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[App]:
    app = App(Config(root=tmp_path))
    yield app
    app.close()


def in_thread(ask: Callable[[], object]) -> object:
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]


def test_the_app_of_the_configuration_is_built_on_first_use_and_kept(an_empty_folder: Path) -> None:
    (an_empty_folder / "qcore.toml").write_text('default = "memory"')

    app = current.app()

    assert ("memory", "qcore.toml") == (app.config.default, app.config.source)
    assert app is current.app()
    assert app is in_thread(current.app)


def test_many_threads_that_ask_first_get_one_app(an_empty_folder: Path) -> None:
    (an_empty_folder / "qcore.toml").write_text('default = "memory"')
    found: list[App] = []
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait(timeout=30)
        found.append(current.app())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (8, 1) == (len(found), len(set(found)))


def test_an_app_can_be_made_the_one_of_the_process(memory_app: Callable[[], App]) -> None:
    app = memory_app()
    current.set_configured(app)

    assert (app, app) == (current.app(), in_thread(current.app))


def test_the_context_beats_the_override_beats_the_configuration(memory_app: Callable[[], App]) -> None:
    configured, overriding, active, inner = (memory_app() for _ in range(4))
    current.set_configured(configured)
    assert configured is current.app()
    current.override(overriding)
    assert overriding is current.app()
    with active.activate():
        assert active is current.app()
        with inner.activate():
            assert inner is current.app()
        assert active is current.app()
    assert overriding is current.app()
    current.override(None)

    assert configured is current.app()


def test_an_activated_app_is_left_when_the_body_raises(memory_app: Callable[[], App]) -> None:
    before, active = memory_app(), memory_app()
    current.set_configured(before)

    with pytest.raises(ZeroDivisionError), active.activate():
        1 / 0  # noqa: B018 - that is what raises

    assert before is current.app()


def test_an_activated_app_holds_for_its_thread_only_and_the_override_for_all(memory_app: Callable[[], App]) -> None:
    active, overriding = memory_app(), memory_app()
    current.override(overriding)

    with active.activate():
        assert (active, overriding) == (current.app(), in_thread(current.app))


def test_an_activated_app_holds_for_the_coroutine_and_what_it_starts(memory_app: Callable[[], App]) -> None:
    one, other = memory_app(), memory_app()

    async def ask(app: App) -> tuple[App, App]:
        with app.activate():
            return current.app(), await asyncio.to_thread(current.app)

    async def both() -> tuple[tuple[App, App], tuple[App, App]]:
        return await asyncio.gather(ask(one), ask(other))

    assert ((one, one), (other, other)) == tuple(asyncio.run(both()))


def test_a_dispatch_goes_to_the_app_in_force(memory_app: Callable[[], App]) -> None:
    active, overriding = memory_app(), memory_app()
    current.override(overriding)
    Send().dispatch()
    in_thread(lambda: Send().dispatch())
    with active.activate():
        Send().dispatch()

    assert (1, 2) == (active.connection().size(), overriding.connection().size())


PUSHES: dict[str, Callable[[App], object]] = {
    "dispatch": lambda app: app.dispatch(Send()),
    "bulk": lambda app: app.bulk([Send()]),
    "raw": lambda app: app.connection().push_raw(Payload("id", b"{}")),
}


@pytest.mark.parametrize("push", PUSHES)
def test_while_a_test_has_taken_over_no_real_connection_is_reached(
    push: str, memory_app: Callable[[], App], durable: App
) -> None:
    """A worker of another process would run it."""
    current.override(memory_app())

    with pytest.raises(QcoreError, match="a test has taken over this process"):
        PUSHES[push](durable)
    with durable.activate(), pytest.raises(QcoreError, match="a test has taken over this process"):
        Send().dispatch()

    current.override(None)
    assert 0 == durable.connection().size()


def test_what_stays_in_this_process_is_let_through(memory_app: Callable[[], App]) -> None:
    other = memory_app()
    current.override(memory_app())
    other.dispatch(Send())
    other.dispatch(Send(), connection="null")

    assert 1 == other.connection().size()


def test_the_override_itself_may_be_a_real_app(durable: App) -> None:
    current.override(durable)
    Send().dispatch()

    assert 1 == durable.connection().size()
    assert durable is current.overridden()


def test_what_a_job_dispatches_goes_to_the_app_whose_worker_runs_it() -> None:
    class Parent(Job):
        def handle(self) -> None:
            Child().dispatch()

    class Child(Job):
        def handle(self) -> None: ...

    mine, other = App(Config(default="memory")), App(Config(default="memory"))
    mine.push(Parent())

    with other.activate():
        mine.worker().run_next_job()

    assert (1, 0) == (mine.connection().size(), other.connection().size())
