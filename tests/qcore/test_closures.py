"""Functions are jobs without a class, when there is a key to sign them with."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import pickle
import re
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qcore
from qcore import (
    App,
    Closure,
    Config,
    ConfigError,
    Done,
    Failed,
    FunctionJob,
    Job,
    JobDefinitionError,
    PayloadError,
    Prepared,
    Released,
    chain,
    closure,
    dispatch,
    job,
    registry,
)
from qcore.closures import PURPOSE, PYTHON, as_job
from qcore.driver import Payload
from qcore.errors import MissingExtraError
from qcore.sealing import Keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from qcore.failed import FailedJob
    from qcore.worker import Stopped
    from qtest.clock import FrozenClock
    from tests.backends import Backend

ONE = "one-" + "1" * 40
TWO = "two-" + "2" * 40
ran: list[Any] = []


@job
def send(to: str) -> None:
    ran.append(to)


class Send(Job):
    def __init__(self, to: str) -> None:
        self.to = to

    def handle(self) -> None:
        ran.append(self.to)


class Bomb:
    """Tells when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return note, ("boom",)


def note(*words: object) -> None:
    # By reference: what a closure has by value is another list when it runs.
    ran.extend(words)


def seen() -> int:
    return len(ran)


def fail(message: str) -> None:
    raise ValueError(message)


@pytest.fixture
def app(backend: Backend, tmp_path: Path, clock: FrozenClock) -> Iterator[App]:
    app = App(backend.config(tmp_path, keys=[ONE]), clock=clock)
    ran.clear()
    with app.activate():
        yield app
    app.close()


def body_of(app: App, queue: str = "default") -> dict[str, Any]:
    [waits] = app.connection().listed(queue)
    body: dict[str, Any] = json.loads(waits.payload.body)
    return body


def push_changed(app: App, job_id: str = "forged", **data: object) -> Payload:
    """Put in the place of the only payload one that says something else."""
    body = body_of(app)
    body |= {"uuid": job_id, "id": job_id, "data": body["data"] | data}
    app.connection().clear()
    payload = Payload(job_id, json.dumps(body).encode())
    app.connection().push_raw(payload)
    return payload


def the_failure(app: App, work: Callable[[], object]) -> FailedJob:
    work()
    [record] = app.failed.list()
    return record


def rekeyed(app: App, *secrets: str) -> App:
    """The same stores, with other keys."""
    other = App(replace(app.config, keys=secrets), clock=app.clock)
    other.connections = app.connections
    return other


def here() -> str:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"test_closures.py:{frame.f_back.f_lineno}"


# It works.


def test_a_lambda_runs_with_what_it_captured(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-05."""
    words, number = ["a", {"b": (1, 2)}], 3
    job_id = dispatch(lambda: note(words, number))
    place = here()

    body = body_of(app)
    assert job_id == body["id"]
    assert "qcore:closure" == body["data"]["commandName"]
    assert place.startswith(body["displayName"].removeprefix("Closure (").removesuffix(")")[:16])
    work()
    assert [["a", {"b": (1, 2)}], 3] == ran
    assert [] == app.failed.list()


def test_its_name_says_where_it_is_written(app: App) -> None:
    """DSP-05."""
    plain, place = Closure(lambda: None), here()
    named = Closure(lambda: None, name="nightly")

    assert f"Closure ({place})" == plain.display_name()
    assert named.display_name().startswith("nightly - Closure (test_closures.py:")
    assert f"<Closure ({place})>" == repr(plain)
    plain.dispatch()
    assert f"Closure ({place})" == body_of(app)["displayName"]


def test_an_inner_function_has_the_line_of_its_definition() -> None:
    def inner() -> None: ...

    line = inner.__code__.co_firstlineno

    assert f"<Closure (test_closures.py:{line})>" == repr(Closure(inner))


def test_the_values_are_those_of_the_dispatch(app: App, work: Callable[..., Stopped]) -> None:
    word = "before"
    made = Closure(lambda: note(word))
    word = "at"
    made.dispatch()
    word = "after"
    work()

    assert ["at"] == ran


def test_inner_functions_default_values_and_module_functions_run(app: App, work: Callable[..., Stopped]) -> None:
    def inner(word: str = "inner") -> None:
        note(word, recursive(3))

    def recursive(number: int) -> int:
        return number and 1 + recursive(number - 1)

    dispatch(inner)
    for number in range(3):
        dispatch(lambda number=number: note(number))
    dispatch(note)
    dispatch(lambda *words, **more: note(len(words), len(more)))
    work()

    assert ["inner", 3, 0, 1, 2, 0, 0] == ran


def test_an_async_function_is_awaited(app: App, work: Callable[..., Stopped]) -> None:
    async def inner(job: Closure) -> None:
        await asyncio.sleep(0)  # noqa: TID251 - gives way
        note("async", job.attempts())

    dispatch(inner)
    dispatch(lambda: inner_later("lambda"))
    work()

    assert ["async", 1, "lambda"] == ran


async def inner_later(word: str) -> None:
    note(word)


def test_it_gets_the_job_when_it_asks_for_it(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-06."""
    closure(lambda job: note(job.attempts(), job.attempts() < 3 and job.release(5)), tries=5).dispatch()
    worker = app.worker()

    assert isinstance(worker.run_next_job(), Released)
    app.clock.sleep(5)
    assert isinstance(worker.run_next_job(), Released)
    app.clock.sleep(5)
    assert isinstance(worker.run_next_job(), Done)
    assert [1, None, 2, None, 3, False] == ran


def test_it_can_fail_itself(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-06."""
    closure(lambda job: job.fail("never")).catch(lambda error: note(str(error))).dispatch()
    work()

    assert ["never"] == ran
    assert 1 == len(app.failed.list())


def test_it_can_dispatch_jobs_that_it_captured(app: App, work: Callable[..., Stopped]) -> None:
    """By reference: neither a job class nor a job function is made anew where the closure runs."""
    made, called = Send("class"), send.job("call")
    known = dict(registry._classes)
    dispatch(lambda: note(made.dispatch() and 1, called.dispatch() and 2, send.dispatch("function") and 3))
    work()

    assert [1, 2, 3, "class", "call", "function"] == ran
    assert known == registry._classes
    assert called == pickle.loads(pickle.dumps(called))
    assert send is pickle.loads(pickle.dumps(send))


# Options.


def test_options_are_said_beside_it(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-05."""
    closure(lambda: None, name="sync", queue="crm", tries=3, timeout=5).dispatch(delay=60)
    body = body_of(app, "crm")

    assert body["displayName"].startswith("sync - Closure (")
    assert (3, 5) == (body["maxTries"], body["timeout"])
    assert 60 == app.connection().listed("crm")[0].available_at - app.clock.now()


def test_they_can_be_said_in_every_other_way_too(app: App) -> None:
    dispatch(lambda: None, queue="a")
    dispatch(closure(lambda: None, queue="a"), queue="b")
    Closure(lambda: None).with_options(tries=9).dispatch(queue="c")
    qcore.bulk([lambda: None, Closure(lambda: None), closure(lambda: None), Send("x")], queue="d")

    assert [1, 1, 1, 4] == [app.connection().size(queue) for queue in "abcd"]
    with pytest.raises(JobDefinitionError, match="retries is no option of a job"):
        closure(lambda: None, retries=3)


def test_conditions_hold_for_functions_too(app: App) -> None:
    asked: list[object] = []

    assert None is qcore.dispatch_if(0, lambda: None)
    assert None is qcore.dispatch_unless(1, lambda: None)

    def ask(job: Job) -> bool:
        asked.append(job)
        return True

    assert qcore.dispatch_if(ask, lambda: None)
    assert qcore.dispatch_unless(0, lambda: None)

    assert isinstance(asked[0], Closure)
    assert 2 == app.connection().size()


def test_it_runs_at_once_through_the_whole_round_trip(app: App) -> None:
    qcore.dispatch_sync(lambda: note("sync"))
    closure(lambda: note("connection"), connection="sync").dispatch()
    with pytest.raises(ValueError, match="raised"):
        qcore.dispatch_sync(lambda: fail("raised"))

    assert ["sync", "connection"] == ran


# Callbacks.


def test_catch_is_called_once_with_the_error_when_it_fails_for_good(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-05."""
    word = "caught"
    closure(lambda: fail("bad"), tries=2).catch(lambda error: note(word, type(error), str(error))).dispatch()
    work()

    assert ["caught", ValueError, "bad"] == ran
    assert 1 == len(app.failed.list())


def test_callbacks_are_called_in_order_and_may_be_async(app: App, work: Callable[..., Stopped]) -> None:
    async def later(error: BaseException, job: Closure) -> None:
        await asyncio.sleep(0)  # noqa: TID251 - gives way
        note("async", str(error), job.attempts())

    caught = Closure(lambda: fail("bad"), name="x").catch(lambda: note("plain")).catch(later).catch(later)
    caught.catch(lambda _error, job: note(job.name)).catch(inner_caught).dispatch()
    work()

    assert ["plain", "async", "bad", 1, "async", "bad", 1, "x", "module"] == ran


def inner_caught(error: BaseException | None = None) -> None:
    note("module" if error is None else "with")


def test_catch_is_not_called_for_what_succeeds(app: App, work: Callable[..., Stopped]) -> None:
    closure(lambda: None).catch(lambda _error: note("never")).dispatch()
    work()

    assert [] == ran


def test_catch_adds_to_a_closure_that_was_restored(app: App, work: Callable[..., Stopped]) -> None:
    def again(job: Closure) -> None:
        if seen() == 0:
            note("first")
            job.catch(lambda _error: note("second")).dispatch()
            return
        fail("bad")

    dispatch(again)
    work()

    assert ["first", "second"] == ran


def test_it_stands_in_chains_as_a_link_and_as_what_catches(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-05."""
    word = "captured"
    chain(lambda: note(1, word), Send("2"), closure(lambda job: fail(job.name), name="three")).catch(
        lambda error, job: note(str(error), job.name)
    ).dispatch()
    work()

    assert [1, "captured", "2", "three", "three"] == ran


def test_a_forged_link_of_a_chain_is_refused_when_it_is_due(app: App, work: Callable[..., Stopped]) -> None:
    chain(Send("1"), lambda: None, Send("3")).dispatch()
    [waits] = app.connection().listed()
    [forged] = set(re.findall(rb"[A-Za-z0-9+/=]{99,}", waits.payload.body))
    app.connection().clear()
    body = waits.payload.body.replace(forged, signed(BOMB, key=TWO).encode())
    app.connection().push_raw(Payload(waits.payload.id, body))

    assert "was not signed by a key of this process" in the_failure(app, work).exception
    assert ["1"] == ran


# What is no closure.


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (Send, "make an instance"),
        (send, r"write send\.job"),
        (print, "write a lambda that calls it"),
        (int, "write a lambda that calls it"),
        ([].append, "write a lambda that calls it"),
        ("x" * 1000, "'x{199}$"),
        (None, "None$"),
    ],
)
def test_what_is_neither_a_job_nor_a_function_is_refused(given: Any, hint: str, app: App) -> None:  # noqa: ANN401
    with pytest.raises(JobDefinitionError, match=f"a job is an instance of a class derived from Job, got .*{hint}"):
        dispatch(given)
    with pytest.raises(JobDefinitionError, match="a job is"):
        qcore.bulk([Send("x"), given])
    assert 0 == app.connection().size()


def test_as_job_leaves_jobs_as_they_are() -> None:
    made, prepared = Send("x"), Send("x").with_options(tries=3)

    assert made is as_job(made)
    assert prepared is as_job(prepared)
    assert isinstance(as_job(lambda: None), Closure)
    assert isinstance(as_job(closure(lambda: None)), Prepared)


def generator() -> Iterator[int]:
    yield 1


async def async_generator() -> Any:  # noqa: ANN401
    yield 1


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (print, "a closure is a plain or async function, got <built-in function print>: write a lambda"),
        (send, "a closure is a plain or async function, got <job "),
        (None, "a closure is a plain or async function, got None"),
        (generator, r"generator\(\) is a generator: nothing of it would run"),
        (async_generator, r"async_generator\(\) is a generator"),
        (lambda _a, _b: None, r"<lambda>\(\) asks for _a, _b; only the job itself is passed to it"),
        (lambda *, _a: None, r"<lambda>\(\) asks for _a; only the job"),
    ],
)
def test_a_function_that_could_not_be_called_is_refused(given: Any, hint: str, app: App) -> None:  # noqa: ANN401
    with pytest.raises(JobDefinitionError, match=hint):
        closure(given)


@pytest.mark.parametrize("given", [print, send, None, generator, lambda _a, _b, _c: None, lambda *, _error: None])
def test_a_callback_that_could_not_be_called_is_refused(given: Any) -> None:  # noqa: ANN401
    for made in (closure(lambda: None), Closure(lambda: None)):
        with pytest.raises(JobDefinitionError):
            made.catch(given)


@pytest.mark.parametrize("name", ["", " x", "a\nb", 3])
def test_a_name_can_stand_in_a_line(name: Any) -> None:  # noqa: ANN401
    with pytest.raises(JobDefinitionError, match="closure name"):
        closure(lambda: None, name=name)


class Unwilling:
    def __reduce__(self) -> Any:  # noqa: ANN401
        raise RuntimeError("not me")


class Row:
    """As SQLAlchemy marks its rows."""

    _sa_instance_state = None

    def __init__(self) -> None:
        self._sa_instance_state = None


LOCK = threading.Lock()

Model = type("Model", (), {"__module__": "django.db.models.base"})
User = type("User", (Model,), {})


def test_what_cannot_be_pickled_is_named(app: App) -> None:
    lock, unwilling, rows, user = threading.Lock(), Unwilling(), [Row()], User()
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    try:
        for made, named in (
            (Closure(lambda: lock), r"the captured 'lock' \(lock\): cannot pickle"),
            (Closure(lambda: LOCK), r"the global 'LOCK' \(lock\): cannot pickle"),
            (Closure(lambda _given=lock: None), r"the default of '_given' \(lock\): cannot pickle"),
            (Closure(lambda: unwilling), r"the captured 'unwilling' \(Unwilling\): not me"),
            (Closure(lambda: None).catch(lambda: unwilling), r"the captured 'unwilling' \(Unwilling\): not me"),
            (Closure(lambda: deep), "the captured 'deep'"),
            (Closure(lambda: rows), "the captured 'rows' .*Row cannot be stored in a payload: pass its key"),
            (Closure(lambda: user), r"the captured 'user' .*pass its key instead \(it\.pk\)"),
            (Closure(lambda: app.failed), "the captured 'app' .*keys are never pickled.*use qcore.dispatch"),
        ):
            with pytest.raises(PayloadError, match=rf"Closure \(test_closures\.py:\d+\) cannot be pickled: {named}"):
                made.dispatch()
    finally:
        while deep:
            deep = deep.pop()
    assert 0 == app.connection().size()


def test_a_variable_without_a_value_is_told(app: App) -> None:
    def early() -> None:
        note(late, lock)

    lock = threading.Lock()
    with pytest.raises(PayloadError, match="cannot be pickled"):
        dispatch(early)
    late = 1


def test_what_is_too_large_is_refused_as_in_every_payload(app: App) -> None:
    data = "x" * (1 << 20)

    with pytest.raises(PayloadError, match=r"the payload of Closure \(.*\) takes \d+ bytes, the limit is 1048576"):
        dispatch(lambda: data)


# Keys and attacks.


def test_without_a_key_nothing_is_pushed(clock: FrozenClock, tmp_path: Path) -> None:
    app = App(Config(default="memory", root=tmp_path), clock=clock)
    lock = threading.Lock()
    with app.activate():
        for push in (
            lambda: dispatch(lambda: lock),
            lambda: qcore.dispatch_sync(lambda: None),
            lambda: qcore.bulk([Send("x"), lambda: None]),
            lambda: closure(lambda: None, name="x").dispatch(),
        ):
            with pytest.raises(
                ConfigError, match=r"Closure \(.*\) cannot be signed, there is no key: .*qcore make-key"
            ):
                push()

    assert 0 == app.connection().size()


def test_without_the_extra_nothing_is_pushed_and_nothing_run(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    dispatch(lambda: note("never"))
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'qcore-queue\[closures\]'"):
        dispatch(lambda: None)
    assert 1 == app.connection().size()
    assert r"qcore-queue[closures]" in the_failure(app, app.worker().run_next_job).exception
    assert [] == ran


def signed(data: bytes, *, key: str = ONE, purpose: str = PURPOSE, python: str = PYTHON) -> str:
    head = json.dumps({"python": python, "name": None, "place": "x.py:1"}).encode()
    return Keys([key]).sign(head + b"\n" + data, purpose=purpose, what="")


BOMB = pickle.dumps(Bomb())


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"command": ""}, "was not signed by a key of this process"),
        ({"command": "é\0\u202e"}, "was not signed by a key of this process"),
        ({"command": "\ud800"}, "was not signed by a key of this process"),
        ({"command": base64.b64encode(BOMB).decode()}, "was not signed by a key of this process"),
        ({"command": base64.b64encode(b"\0" * 32 + BOMB).decode()}, "was not signed by a key of this process"),
        ({"command": signed(BOMB, key=TWO)}, "was not signed by a key of this process"),
        ({"command": signed(BOMB, purpose="encryption")}, "was not signed by a key of this process"),
        ({"command": Keys([ONE]).encrypt(BOMB, what="")}, "was not signed by a key of this process"),
        ({"command": {}}, "can be read and written by anybody, and Closure is signed"),
        ({"command": {"function": base64.b64encode(BOMB).decode()}}, "can be read and written by anybody"),
        ({"command": {"_pickled": {"$bytes": base64.b64encode(BOMB).decode()}}}, "can be read and written by anybody"),
        ({"commandName": Send.__job__.name}, "holds sealed text, and Send is not encrypted"),
    ],
)
def test_what_is_forged_is_never_unpickled_and_kept_byte_for_byte(
    data: dict[str, Any], reason: str, app: App, work: Callable[..., Stopped]
) -> None:
    dispatch(lambda: note("never"))
    forged = push_changed(app, **data)
    record = the_failure(app, work)

    assert [] == ran
    assert reason in record.exception
    assert forged == record.payload
    assert ["forged"] == app.failed.retry(["forged"]).ids
    assert forged == app.connection().listed()[0].payload
    assert [] == ran


def test_the_bomb_would_tell_if_it_were_unpickled(app: App, work: Callable[..., Stopped]) -> None:
    """What the tests around this one rely on."""
    dispatch(lambda: None)
    push_changed(app, command=signed(BOMB))
    work()

    assert ["boom"] == ran


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(where=st.integers(min_value=0), bit=st.integers(0, 6), cut=st.booleans())
def test_a_flipped_bit_or_a_missing_end_is_refused(app: App, where: int, bit: int, cut: bool) -> None:  # noqa: FBT001
    command = signed(BOMB)
    at = where % len(command)
    damaged = command[:at] + ("" if cut else chr(ord(command[at]) ^ (1 << bit)) + command[at + 1 :])
    dispatch(lambda: None)
    push_changed(app, command=damaged)

    assert isinstance(app.worker().run_next_job(), Failed)
    assert [] == ran


def test_a_worker_without_the_key_fails_it_and_a_retry_with_it_runs_it(app: App) -> None:
    job_id = str(dispatch(lambda: note("ran")))
    for other, reason in ((rekeyed(app), "cannot be verified, there is no key"), (rekeyed(app, TWO), "was not signed")):
        assert isinstance(other.worker().run_next_job(), Failed)
        assert reason in app.failed.list()[0].exception
        assert [job_id] == other.failed.retry([job_id]).ids
    app.worker().run_next_job()

    assert ["ran"] == ran


def test_a_retry_signs_anew_with_the_first_key_and_unpickles_nothing(app: App, work: Callable[..., Stopped]) -> None:
    unsound = Bomb()
    job_id = str(closure(lambda: fail(str(unsound)), name="named").dispatch())
    work()
    assert "boom" == ran.pop()
    both = rekeyed(app, TWO, ONE)
    both.failed.retry([job_id])

    assert [] == ran
    assert body_of(app)["displayName"].startswith("named - Closure (test_closures.py:")
    assert isinstance(rekeyed(app, TWO).worker().run_next_job(), Failed)
    assert ["boom"] == ran


def test_another_version_of_python_is_refused_and_named(app: App, work: Callable[..., Stopped]) -> None:
    dispatch(lambda: None)
    push_changed(app, command=signed(BOMB, python="3.99"))
    record = the_failure(app, work)

    assert f"was dispatched by Python 3.99, and this is {PYTHON}" in record.exception
    assert [] == ran


def test_a_module_that_the_worker_lacks_is_named(
    app: App, work: Callable[..., Stopped], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far_away.py").write_text("def run(): ...")
    monkeypatch.syspath_prepend(tmp_path)
    import far_away  # type: ignore[import-not-found]

    dispatch(far_away.run)
    del sys.modules["far_away"]
    monkeypatch.undo()
    record = the_failure(app, work)

    assert "cannot be unpickled: ModuleNotFoundError: No module named 'far_away'" in record.exception
    assert "a worker needs the modules of the process that dispatched it" in record.exception


# They are values, as far as functions can be.


def test_closures_are_equal_when_they_are_the_same_function_or_the_same_pickle(app: App) -> None:
    lock = threading.Lock()

    def inner() -> None:
        note(lock)

    assert Closure(inner) == Closure(inner)
    assert hash(Closure(inner)) == hash(Closure(inner))
    assert Closure(inner) != Closure(inner, name="x")
    assert Closure(inner) != Closure(inner).catch(inner_caught)
    assert Closure(lambda: None) != Closure(lambda: None)
    assert Closure(inner) != Send("x")
    assert Closure(inner) != "x"
    dispatch(inner_caught)
    one, other = (app.job_codec.restored(qcore.payload.decode(each, app.codec)) for each in [raw(app)] * 2)
    assert one == other
    assert {one} == {other}
    assert one != Closure(inner_caught)


def raw(app: App) -> bytes:
    return app.connection().listed()[0].payload.body


def test_a_job_function_can_still_be_copied() -> None:
    import copy

    assert isinstance(copy.copy(send), FunctionJob)
    assert copy.deepcopy(send.job("x")) == send.job("x")
