"""What ``qcore work`` makes of its options and of ``[worker]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, Config, Job, registry
from qcore.commands.work_options import check_leases, worker_options
from qcore.errors import ConfigError
from qcore.limits import WorkerOptions

if TYPE_CHECKING:
    from qcore.definition import Definition


def options(config: Config, **given: Any) -> WorkerOptions:
    return worker_options(config, App(config).connection(), given)


def test_the_defaults_are_those_of_the_worker() -> None:
    """WRK-01."""
    made = options(Config(default="memory"), tries=None, queue=None)

    assert made == WorkerOptions(memory=128)
    assert (1, 0, 60, 3, 128) == (made.tries, made.backoff, made.timeout, made.sleep, made.memory)


def test_the_queue_is_the_default_one_of_the_connection() -> None:
    config = Config(default="mine", connections={"mine": {"driver": "memory", "queue": "mail"}})

    assert ("mail",) == options(config).queues


def test_the_configuration_is_over_the_defaults_and_the_command_line_over_both() -> None:
    config = Config(default="memory", worker={"tries": 5, "queue": "a, b", "backoff": [1, 5], "sleep": "0.5"})

    made = options(config, tries=7, max_jobs=None)

    assert (7, ("a", "b"), (1.0, 5.0), 0.5) == (made.tries, made.queues, made.backoff, made.sleep)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"tries": "many"}, "a test: [worker] tries: 'many' is not a valid integer range"),
        ({"tries": -1}, "a test: [worker] tries: -1 is not in the range x>=0"),
        ({"timeout": -1}, "a test: [worker] timeout: -1 is not a number, 0 or more"),
        ({"timeout": True}, "a test: [worker] timeout: True is not a number"),
        ({"timeout": float("inf")}, "a test: [worker] timeout: inf is not a number"),
        ({"memory": "much"}, "a test: [worker] memory: 'much' is not a number"),
        ({"backoff": {"a": 1}}, "a test: [worker] backoff: {'a': 1} is not a number"),
        ({"queue": 5}, "a test: [worker] queue: 5 is no list of queues"),
        ({"queue": []}, "a test: [worker] queue: [] names no queue"),
    ],
)
def test_a_wrong_value_in_the_configuration_is_named_with_its_place(settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(Config(default="memory", worker=settings, source="a test"))

    assert str(caught.value).startswith(reason)


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the jobs of a test are known in it."""
    monkeypatch.setattr(registry, "_classes", {})


def define(**keywords: Any) -> Definition:
    class Defined(Job, name="Defined", **keywords):
        def handle(self) -> None: ...

    return Defined.__job__


def check(connection: str, timeout: float = 60) -> None:
    check_leases(App(Config()).connection(connection), WorkerOptions(timeout=timeout))


@pytest.mark.parametrize(
    ("keywords", "timeout", "reason"),
    [
        ({"timeout": 90}, 60, "Defined may run 90 s, but the connection 'null' gives it away again after 90 s"),
        ({"timeout": 0}, 60, "Defined has no time limit, but the connection 'null' gives it away again after 90 s"),
        ({}, 600, "Defined may run 600 s"),
        ({}, 0, "Defined has no time limit"),
    ],
)
def test_a_job_that_would_outlive_a_lease_that_cannot_be_extended_is_refused(
    keywords: dict[str, Any], timeout: float, reason: str
) -> None:
    define(**keywords)

    with pytest.raises(ConfigError) as caught:
        check("null", timeout)

    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize(("keywords", "timeout"), [({"timeout": 89}, 600), ({}, 89)])
def test_a_job_within_its_lease_is_welcome(keywords: dict[str, Any], timeout: float) -> None:
    define(**keywords)

    check("null", timeout)


def test_any_job_is_welcome_where_a_lease_can_be_extended() -> None:
    define(timeout=0)

    check("memory")
