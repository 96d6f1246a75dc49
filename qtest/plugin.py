"""The pytest plugin: a thin skin over ``qtest.fake()``. It loads nothing of qcore before a fixture of it is used."""

from __future__ import annotations

import warnings
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcore.app import App
    from qtest.clock import FrozenClock
    from qtest.queue_cli import QueueCli
    from qtest.queue_fake import QueueFake
    from qtest.work_once import QueueWorker

_LEFTOVERS = ("fail", "warn", "ignore")
_MARKER = {
    "drivers": "a list of drivers to run the test on",
    "fake": "a list of jobs: only these are held",
    "passthrough": "a list of jobs that are not held",
    "clock": 'the instant at which the clock stands, such as "2030-01-01T00:00Z"',
    "leftovers": '"fail", "warn" or "ignore" jobs that still wait at the end',
}
_UNGUARDED = (
    "no fake is active, and this push would reach a real connection: ask for the fixture queue_fake, or use "
    "qtest.fake() (the ini setting qtest_guard = on refuses it)"
)
_active = pytest.StashKey[Any]()
_VERBOSE = 2


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare options and ini settings."""
    group = parser.getgroup("qtest", "jobs of qcore")
    group.addoption("--queue-drivers", metavar="NAMES", help="run tests that use queue_fake once on each of these: a,b")
    group.addoption(
        "--queue-require", choices=["all"], default=None, help="all: a driver that is not there fails, not skips"
    )
    parser.addini("qtest_app", "the App, or a function that makes it: package.module:name", default="")
    parser.addini("qtest_clock_start", "the instant at which the clock of each test stands; empty: now", default="")
    parser.addini("qtest_leftovers", "what jobs that still wait at the end do: fail, warn, ignore", default="ignore")
    parser.addini("qtest_freeze", "what freezes user code for queue_clock: freezegun, off", default="freezegun")
    parser.addini("qtest_failed_jobs", "what a failed job that was not looked at does: fail, ignore", default="fail")
    parser.addini("qtest_payload_checks", "compare each job with what comes out of its payload: on, off", default="on")
    parser.addini("qtest_guard", "refuse a push to a real connection where no fake is active: on, off", default="off")
    parser.addini("qtest_max_jobs", "after so many jobs a run is taken for one that does not end", default="1000")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    names = ", ".join(f"{name}=" for name in _MARKER)
    config.addinivalue_line("markers", f"queue({names}): the test has the fixture queue_fake, set up like this")
    _check_drivers(config)
    if _chosen(config, "qtest_guard", ("on", "off")) == "on":
        from qcore import current

        config.add_cleanup(partial(current.refuse_pushes, current.refusal()))
        current.refuse_pushes(_UNGUARDED)


def _check_drivers(config: pytest.Config) -> None:
    """Refuse names on the command line that do not exist, rather than in each test."""
    if not (names := _listed_drivers({}, config)):
        return
    from qcore.errors import ConfigError, UnsupportedError
    from qtest.drivers import check

    for name in names:
        try:
            check(name)
        except UnsupportedError:
            continue  # it is not there: tests that want it skip
        except ConfigError as error:
            raise pytest.UsageError(f"--queue-drivers: {error}") from None


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector, obj: object) -> None:
    """Let what is marked have the fixture: a marker without it would be a fake that is not there."""
    used = pytest.mark.usefixtures("queue_fake")
    if collector.get_closest_marker("queue"):
        if not any(mark == used.mark for mark in collector.iter_markers("usefixtures")):
            collector.add_marker(used)
    elif isinstance(obj, type | FunctionType) and any(mark.name == "queue" for mark in getattr(obj, "pytestmark", ())):
        used(obj)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once on each driver that was asked for; refuse a marker that means nothing, whoever bears it."""
    try:
        _marked(metafunc.definition)
        drivers = _drivers_of(metafunc.definition, metafunc.config) if "queue_fake" in metafunc.fixturenames else []
    except pytest.UsageError as error:
        # Shown without the frames of pytest, which say nothing about the marker.
        raise pytest.Collector.CollectError(str(error)) from None
    if drivers:
        # Only these tests get one more fixture: what every test has, every test pays for.
        metafunc.fixturenames.append("_queue_driver")
        metafunc.parametrize("_queue_driver", drivers, indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test in its own phase for what its jobs did unseen."""
    queue = item.stash.get(_active, None)
    if queue is None and item.get_closest_marker("queue"):
        pytest.fail("@pytest.mark.queue does nothing here: ask for the fixture queue_fake as well", pytrace=False)
    yield
    queue = item.stash.get(_active, None)
    if queue is not None and not getattr(item, "_excinfo", None):
        _check_leaks(queue, item)


def _check_leaks(queue: QueueFake, item: pytest.Item) -> None:
    __tracebackhide__ = True
    from qtest.leaks import all_unseen, leftovers, unused

    if forgotten := unused(queue):
        pytest.fail(forgotten, pytrace=False)
    if _chosen(item.config, "qtest_failed_jobs", ("fail", "ignore")) == "fail" and (unseen := all_unseen(queue)):
        pytest.fail(unseen, pytrace=False)
    said = _marked(item).get("leftovers") or _chosen(item.config, "qtest_leftovers", _LEFTOVERS)
    if said != "ignore" and (left := leftovers(queue)):
        if said == "fail":
            pytest.fail(left, pytrace=False)
        warnings.warn(pytest.PytestWarning(left), stacklevel=1)


@pytest.fixture(scope="session")
def queue_app(request: pytest.FixtureRequest) -> App:
    """Give the App whose set-up holds in tests. Override it to give your own, or a function that makes it."""
    from qcore import current
    from qtest.drivers import app_in_memory

    spec = request.config.getini("qtest_app")
    if not spec:
        return current.configured() or app_in_memory()
    from qcore.errors import ConfigError
    from qtest.user_app import named_app

    try:
        return named_app(spec, request.config.rootpath)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.fixture
def _queue_driver(request: pytest.FixtureRequest) -> str:
    """Name the driver of a test that is run several times."""
    name: str = request.param
    return name


def _driver_of(request: pytest.FixtureRequest, marked: dict[str, Any]) -> str:
    """Name the driver of this test; a test that cannot be run several times takes the first one."""
    from qcore.errors import ConfigError
    from qtest.drivers import MissingDriverError, check

    usual = "sqlite" if "queue_cli" in request.fixturenames else "memory"
    params = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    name: str = params.get("_queue_driver") or next(iter(_listed_drivers(marked, request.config)), usual)
    try:
        check(name)
    except MissingDriverError as error:
        if request.config.getoption("--queue-require") == "all":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None
    return name


@pytest.fixture
def queue_fake(request: pytest.FixtureRequest, queue_app: object) -> Iterator[QueueFake]:
    """Hold every job that is dispatched during this test, wherever it comes from; nothing runs until it is asked to."""
    from qcore.errors import QcoreError
    from qtest import origin, writing
    from qtest.queue_fake import QueueFake
    from qtest.user_app import as_app

    marked = _marked(request.node)
    driver = _driver_of(request, marked)
    writing.verbosity.is_on = request.config.get_verbosity() >= _VERBOSE
    origin.roots[:] = [str(request.config.rootpath)]
    clock, freeze = _start_of(request, marked), _freeze_of(request)
    most = _whole(request.config.getini("qtest_max_jobs"), "qtest_max_jobs")
    held = {name: marked.get(name, ()) for name in ("fake", "passthrough")}
    try:
        app = as_app(queue_app, "the fixture queue_app")
        queue = QueueFake(
            app,
            driver,
            clock,
            max_jobs=most,
            follows_freezes=freeze != "off",
            payload_checks=_chosen(request.config, "qtest_payload_checks", ("on", "off")) == "on",
            **held,
        )
    except (QcoreError, TypeError, ValueError) as error:
        raise pytest.UsageError(f"{request.node.nodeid}: {error}") from None
    with queue:
        request.node.stash[_active] = queue
        try:
            yield queue
        finally:
            del request.node.stash[_active]


@pytest.fixture
def queue_clock(request: pytest.FixtureRequest, queue_fake: QueueFake) -> Iterator[FrozenClock]:
    """Move the time of this test: ``advance(60)``, ``travel_to(when)``, ``tick()`` to the next job that is due."""
    from qtest.freezing import user_code_frozen

    # An instant that the test names counts more than a freeze that is active already.
    with user_code_frozen(
        queue_fake.clock, _freeze_of(request), keep=_start_of(request, _marked(request.node)) is not None
    ):
        yield queue_fake.clock


@pytest.fixture
def queue_worker(queue_fake: QueueFake) -> QueueWorker:
    """Give the worker of this test: ``run_next_job()``, ``work_once("--queue", "high,low")``."""
    from qtest.work_once import QueueWorker

    return QueueWorker(queue_fake)


@pytest.fixture
def queue_cli(request: pytest.FixtureRequest, queue_fake: QueueFake) -> QueueCli:
    """Run ``qcore`` in a process of its own, on the queue of this test: ``queue_cli("work", "--once")``."""
    from qtest.queue_cli import QueueCli, why_not

    if message := why_not(queue_fake):
        if _marked(request.node).get("drivers") is None and request.config.getoption("--queue-drivers"):
            pytest.skip(message)
        raise pytest.UsageError(
            f"{request.node.nodeid}: {message}: let it run on sqlite, and name queue_cli as its argument"
        )
    return QueueCli(queue_fake, request.config.getini("qtest_app"), request.config.rootpath)


def _start_of(request: pytest.FixtureRequest, marked: dict[str, Any]) -> Any:  # noqa: ANN401 - what a clock takes
    """Give the instant that the marker or the ini file names, None without one."""
    named = marked.get("clock")
    return named if named is not None else request.config.getini("qtest_clock_start") or None


def _freeze_of(request: pytest.FixtureRequest) -> str:
    return _chosen(request.config, "qtest_freeze", ("freezegun", "off"))


def _marked(node: pytest.Item) -> dict[str, Any]:
    """Give what the markers of a test say, the nearest one first."""
    said: dict[str, Any] = {}
    for mark in node.iter_markers("queue"):
        unknown = sorted(set(mark.kwargs) - set(_MARKER))
        if mark.args or unknown:
            from qtest.expecting import did_you_mean

            there_are = "; ".join(f"{name}= ({what})" for name, what in _MARKER.items())
            names = ", ".join(f"{name}{did_you_mean(name, _MARKER)}" for name in unknown)
            wrong = f"{names} is nothing that it takes" if unknown else "it takes keywords only"
            raise pytest.UsageError(f"{node.nodeid}: @pytest.mark.queue: {wrong}; there are {there_are}")
        said = {**mark.kwargs, **said}
    if said.get("drivers") in ([], ()):
        raise pytest.UsageError(f"{node.nodeid}: drivers is empty: name one, or leave it away")
    if "leftovers" in said and said["leftovers"] not in _LEFTOVERS:
        raise pytest.UsageError(
            f"{node.nodeid}: leftovers is one of {', '.join(_LEFTOVERS)}, got {said['leftovers']!r}"
        )
    return said


def _drivers_of(node: pytest.Item, config: pytest.Config) -> list[str]:
    return _listed_drivers(_marked(node), config)


def _listed_drivers(marks: dict[str, Any], config: pytest.Config) -> list[str]:
    """Give the drivers that the marker or the command line asks for; none: the default one."""
    marked = marks.get("drivers")
    if marked is not None:
        return [marked] if isinstance(marked, str) else list(marked)
    given: str | None = config.getoption("--queue-drivers")
    return [name.strip() for name in given.split(",") if name.strip()] if given else []


def _chosen(config: pytest.Config, name: str, known: tuple[str, ...]) -> str:
    value: str = config.getini(name)
    if value not in known:
        raise pytest.UsageError(f"the ini setting {name} is one of {', '.join(known)}, got {value!r}")
    return value


def _whole(text: str, name: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise pytest.UsageError(f"the ini setting {name} is a whole number above 0, got {text!r}")
    return int(text)
