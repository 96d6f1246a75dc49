"""Names in payloads stand for the job classes that this process loaded, and for nothing else."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from qcore import Job, JobDefinitionError, UnknownJobError, registry
from qcore.driver import Payload
from qcore.errors import DuplicateJobError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from qcore.app import App
    from qcore.worker import Stopped


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Any]:
    """Write a module and import it, or import it anew."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the same second, another source

    def load(name: str, source: str) -> Any:  # noqa: ANN401 - a module
        (tmp_path / f"{name}.py").write_text(f"from qcore import Job, job\n{source}")
        importlib.invalidate_caches()
        if name in sys.modules:
            return importlib.reload(sys.modules[name])
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


class Outer:
    class Inner(Job):
        def handle(self) -> None: ...


def test_a_job_is_known_by_its_module_and_qualified_name() -> None:
    assert Outer.Inner is registry.resolve(f"{__name__}:Outer.Inner")


def test_a_job_can_be_given_a_name_and_is_known_by_that_alone() -> None:
    class Renamed(Job, name="billing.charge"):
        def handle(self) -> None: ...

    assert Renamed is registry.resolve("billing.charge")
    assert Renamed.__qualname__ not in "".join(registry.names())


@pytest.mark.parametrize(("name", "shown"), [("a.b:Outer.C", "Outer.C"), ("plain", "plain"), ("colon:", "colon:")])
def test_a_job_is_shown_by_its_name_without_the_module(name: str, shown: str, app: App) -> None:
    class Named(Job, name=name):
        def handle(self) -> None: ...

    Named().dispatch()
    [waits] = app.connection().listed()

    assert (shown, shown) == (Named().display_name(), json.loads(waits.payload.body)["displayName"])


def test_a_name_is_not_inherited() -> None:
    class Base(Job, name="base", aliases=["old-base"]): ...

    class Sub(Base): ...

    assert (Base, Base) == (registry.resolve("base"), registry.resolve("old-base"))
    assert f"{__name__}:{Sub.__qualname__}" == Sub.__job__.name
    assert () == Sub.__job__.aliases


def test_an_alias_keeps_old_payloads_alive(app: App, work: Callable[..., Stopped]) -> None:
    ran = []

    class NewName(Job, aliases=["app.old:OldName", "app.older:OldName"]):
        path: str

        def handle(self) -> None:
            ran.append(self.path)

    for number, old in enumerate(NewName.__job__.aliases):
        body = {"displayName": "OldName", "job": "qcore:call", "data": {"commandName": old, "command": {"path": old}}}
        app.connection().push_raw(Payload(str(number), json.dumps({**body, "uuid": str(number)}).encode()))
    work()

    assert ["app.old:OldName", "app.older:OldName"] == ran


def test_a_single_alias_may_be_a_text() -> None:
    class Single(Job, aliases="one:Alias"): ...

    assert Single is registry.resolve("one:Alias")


@pytest.mark.parametrize(("taken", "wanted"), [("name", "name"), ("name", "alias"), ("alias", "name")])
def test_a_name_that_two_jobs_want_is_refused(taken: str, wanted: str) -> None:
    class First(Job, name="mine" if taken == "name" else "first", aliases=["mine"] if taken == "alias" else []): ...

    with pytest.raises(DuplicateJobError, match=r"'mine' is taken by .*First, and .*Second wants it"):

        class Second(Job, name="mine" if wanted == "name" else "second", aliases=["mine"] if wanted == "alias" else []):
            pass

    assert First is registry.resolve("mine")
    assert "second" not in registry.names(), "a class that was refused is not half registered"


@pytest.mark.parametrize("bad", ["", " x", 3, "a\nb", "x" * 191])
def test_a_name_that_cannot_be_one_is_refused(bad: Any) -> None:  # noqa: ANN401 - of any type
    with pytest.raises(JobDefinitionError, match="job name"):
        type("Bad", (Job,), {}, name=bad)
    with pytest.raises(JobDefinitionError, match="job name"):
        type("Bad", (Job,), {}, aliases=[bad])


def test_a_module_that_is_reloaded_replaces_its_jobs(module: Callable[[str, str], Any]) -> None:
    source = "class Again(Job, name='again'):\n    version = {}\n@job\ndef anew():\n    ...\n"
    first = module("qcore_reloaded", source.format(1)).Again

    second = module("qcore_reloaded", source.format(2)).Again

    assert first is not second
    assert second is registry.resolve("again")
    assert getattr(second, "version", None) == 2


def test_jobs_of_one_name_in_two_modules_are_two_jobs(module: Callable[[str, str], Any]) -> None:
    one, two = (module(f"qcore_{name}", "class Same(Job): ...") for name in ("one", "two"))

    assert [one.Same, two.Same] == [registry.resolve("qcore_one:Same"), registry.resolve("qcore_two:Same")]
    with pytest.raises(UnknownJobError, match="could be qcore_one:Same or qcore_two:Same"):
        registry.find("Same")


def test_a_class_that_its_decorator_makes_anew_is_one_job() -> None:
    """Both `@dataclass(slots=True)` and attrs do that."""

    @dataclass(slots=True)
    class Anew(Job, name="anew", aliases=["anew-once"], tries=3):
        x: int

    assert (Anew, Anew) == (registry.resolve("anew"), registry.resolve("anew-once"))
    assert Anew.__job__.options.tries == 3


def test_an_unknown_name_says_what_is_near_and_what_to_do() -> None:
    class Near(Job, name="jobs:ImportCsv"): ...

    with pytest.raises(UnknownJobError, match=r"no job named 'jobs:ImportCvs'.*did you mean .*jobs:ImportCsv.*imports"):
        registry.resolve("jobs:ImportCvs")
    with pytest.raises(UnknownJobError, match="add its module to imports") as caught:
        registry.resolve("zzz")
    assert [] == [way for way in ("restart", "aliases=", "prefix") if way not in str(caught.value)]


def test_a_name_in_a_payload_imports_nothing(module: Callable[[str, str], Any], tmp_path: Path) -> None:
    (tmp_path / "qcore_never.py").write_text("raise SystemExit('imported')")

    for name in ("qcore_never:Job", "os:system", "qcore.jobs:Job", "builtins:eval"):
        with pytest.raises(UnknownJobError):
            registry.resolve(name)
    assert "qcore_never" not in sys.modules


@pytest.mark.parametrize("short", ["Inner", "Outer.Inner"])
def test_a_job_is_found_by_the_end_of_its_name(short: str) -> None:
    assert Outer.Inner is registry.find(short)


def test_a_job_with_an_alias_is_found_once() -> None:
    class Aliased(Job, name="a.b:Lonely", aliases=["old:Lonely"]): ...

    assert Aliased is registry.find("Lonely")
    with pytest.raises(UnknownJobError):
        registry.find("Lone")
