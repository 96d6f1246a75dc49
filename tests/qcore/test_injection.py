"""What handlers are given: objects by type, and handlers of their own for job classes (behaviour DSP-08)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore.errors import ConfigError, JobDefinitionError
from qcore.function_job import job
from qcore.handlers import handler
from qcore.jobs import Job
from tests.qcore.acting import doing

if TYPE_CHECKING:
    from collections.abc import Callable

    from qcore.app import App
    from qcore.delivery import Delivery
    from qcore.worker import Stopped

sent: list[object] = []


class Mailer:
    made = 0

    def __init__(self, host: str = "localhost") -> None:
        type(self).made += 1
        self.host = host

    def send(self, what: object) -> None:
        sent.append((self.host, what))


@pytest.fixture(autouse=True)
def _silence() -> None:
    sent.clear()
    Mailer.made = 0


class Welcome(Job):
    def __init__(self, user: int) -> None:
        self.user = user

    def handle(self, mailer: Mailer, greeting: str = "hello") -> None:
        mailer.send((greeting, self.user))


class AsyncWelcome(Welcome):
    async def handle(self, mailer: Mailer) -> None:  # type: ignore[override]
        mailer.send(self.user)


@job
def welcome(user: int, mailer: Mailer, *, greeting: str = "hi") -> None:
    mailer.send((greeting, user))


def test_handle_is_given_what_was_provided_for_the_type_of_its_parameter(
    app: App, work: Callable[..., Stopped]
) -> None:
    app.provide(Mailer, lambda: Mailer("mail.example"))
    Welcome(1).dispatch()
    AsyncWelcome(2).dispatch()
    work()
    assert [("mail.example", ("hello", 1)), ("mail.example", 2)] == sent
    assert Mailer.made == 2


def test_a_job_function_leaves_open_what_is_provided(app: App, work: Callable[..., Stopped]) -> None:
    with pytest.raises(TypeError, match="mailer"):
        welcome.job(1)  # type: ignore[call-arg]
    app.provide(Mailer, Mailer)
    welcome.dispatch(1)  # type: ignore[call-arg]
    welcome.job(2, greeting="ahoy").dispatch()  # type: ignore[call-arg]
    work()
    assert [("localhost", ("hi", 1)), ("localhost", ("ahoy", 2))] == sent
    with pytest.raises(TypeError, match="user"):
        welcome.job()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="mailer"):
        welcome.job(1, unknown=2)  # type: ignore[call-arg]


def test_what_nobody_gives_is_an_error_of_the_job_that_says_what_to_do(app: App, work: Callable[..., Stopped]) -> None:
    Welcome(1).dispatch()
    work()
    assert r"app.provide(Mailer, factory)" in app.failed.list()[0].exception


class Untyped(Job):
    def handle(self, mailer) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001


def test_a_parameter_without_a_type_is_an_error_of_the_job(app: App, work: Callable[..., Stopped]) -> None:
    Untyped().dispatch()
    work()
    assert "annotate it" in app.failed.list()[0].exception


def test_an_annotation_for_the_type_checker_only_is_known_by_its_name(app: App, work: Callable[..., Stopped]) -> None:
    class Hidden(Job, name="hidden-annotation"):
        def handle(self, mailer: nowhere.Mailer) -> None:  # type: ignore[name-defined] # noqa: F821
            mailer.send("by name")

    app.provide(Mailer, Mailer)
    Hidden().dispatch()
    work()
    assert [("localhost", "by name")] == sent


class Import(Job):
    def __init__(self, path: str) -> None:
        self.path = path


class Nightly(Import): ...


class ImportHandler:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    def handle(self, command: Import, mailer: Mailer) -> None:
        self.mailer.send((type(command).__name__, command.path, mailer is self.mailer))


def test_a_job_class_may_have_a_handler_of_its_own(app: App, work: Callable[..., Stopped]) -> None:
    """DSP-08."""
    with pytest.raises(JobDefinitionError, match=r"no handle\(\)"):
        Import("a.csv").dispatch()
    app.provide(Mailer, Mailer)
    app.map({Import: ImportHandler})
    Import("a.csv").dispatch()
    Nightly("b.csv").dispatch()
    doing(lambda _: sent.append("other")).dispatch()
    work()
    assert [("localhost", ("Import", "a.csv", False)), ("localhost", ("Nightly", "b.csv", False)), "other"] == sent


@handler
class Raw:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    def fire(self, job: Delivery, data: object) -> None:
        self.mailer.send(data)
        job.delete()


def test_a_handler_class_is_given_what_its_constructor_asks_for(app: App, work: Callable[..., Stopped]) -> None:
    app.provide(Mailer, Mailer)
    app.push_data(f"{__name__}.Raw", 3)
    work()
    assert [("localhost", 3)] == sent


class Optionally(Job):
    def handle(self, mailer: Mailer | None = None) -> None:
        sent.append(mailer is not None)


class ByPosition(Job):
    def handle(self, mailer: Mailer, /) -> None: ...


class Static(Job):
    @staticmethod
    def handle(mailer: Mailer) -> None:
        mailer.send("static")


class OfClass(Job):
    @classmethod
    def handle(cls, mailer: Mailer) -> None:
        mailer.send(cls.__name__)


def test_an_optional_parameter_is_given_what_is_provided(app: App, work: Callable[..., Stopped]) -> None:
    Optionally().dispatch()
    work()
    app.provide(Mailer, Mailer)
    Optionally().dispatch()
    work()
    assert [False, True] == sent


def test_static_and_class_methods_are_given_their_parameters(app: App, work: Callable[..., Stopped]) -> None:
    app.provide(Mailer, Mailer)
    Static().dispatch()
    OfClass().dispatch()
    work()
    assert [("localhost", "static"), ("localhost", "OfClass")] == sent


def test_a_parameter_by_position_only_is_an_error_of_the_job(app: App, work: Callable[..., Stopped]) -> None:
    app.provide(Mailer, Mailer)
    ByPosition().dispatch()
    work()
    assert "behind the slash" in app.failed.list()[0].exception


def test_what_cannot_be_provided_or_mapped_is_refused(app: App) -> None:
    with pytest.raises(ConfigError, match="class and a factory"):
        app.provide("Mailer", Mailer)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="function that makes one"):
        app.provide(Mailer, Mailer())  # type: ignore[arg-type]
    with pytest.raises(JobDefinitionError, match="handle"):
        app.map({Import: Mailer})

    async def connect() -> Mailer:
        return Mailer()

    with pytest.raises(ConfigError, match="async or yields"):
        app.provide(Mailer, connect)
    with pytest.raises(JobDefinitionError, match="job classes"):
        app.map({str: ImportHandler})  # type: ignore[dict-item]
    with pytest.raises(JobDefinitionError, match="JobClass: HandlerClass"):
        app.map(5)  # type: ignore[arg-type]


@handler
class Complaining:
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    def fire(self, job: Delivery, data: object) -> None:
        raise ValueError(data)

    def failed(self, data: object, error: BaseException) -> None:
        self.mailer.send((data, str(error)))


def test_failed_of_a_handler_class_is_called_on_one_that_was_given_its_mailer(
    app: App, work: Callable[..., Stopped]
) -> None:
    app.provide(Mailer, Mailer)
    app.push_data(f"{__name__}.Complaining", 3)
    work()
    assert [("localhost", (3, "3"))] == sent
