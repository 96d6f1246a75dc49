"""What the tests of the kit share."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

import qcore
import qtest
from qcore import current
from tests.qtest.signup import ran

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., pytest.RunResult]


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    ran.clear()
    yield
    assert current.overridden() is None
    assert current.active.get() is None


@pytest.fixture(scope="session")
def _all_loaded() -> None:
    """Load everything: an inner run drops the modules that it was the first to load, and they would come twice."""
    for package in (qcore, qtest):
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not each.name.endswith(("__main__", "django_transaction")):
                importlib.import_module(each.name)


@pytest.fixture
def outer(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, _all_loaded: None) -> pytest.Pytester:
    """A project whose tests are run with this plugin alone, in this process."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p qtest.plugin -p no:cacheprovider")
    pytester.makepyfile(
        shop="""
        from qcore import Job

        class Ship(Job):
            def __init__(self, order=1):
                self.order = order
            def handle(self):
                pass

        class Explode(Job):
            def handle(self):
                raise ValueError("boom")
        """
    )
    pytester.syspathinsert()
    return pytester


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with a module of jobs."""
    for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(
        shop="""
        from qcore import Job, job
        ran = []
        class Ship(Job):
            def __init__(self, order=1):
                self.order = order
            def handle(self):
                ran.append(self.order)
        class Explode(Job):
            def handle(self):
                raise ValueError("boom")
        class Once(Job, unique=True):
            def handle(self):
                pass
        @job(timeout=60)
        async def slow(seconds):
            import asyncio
            await asyncio.sleep(seconds)
        """
    )
    return pytester


@pytest.fixture
def run(project: pytest.Pytester) -> Run:
    """Run pytest there: ``run("xdist", "-n2", passed=3)`` with these plugins, arguments, and this outcome."""

    def run(plugins: str, *arguments: str, **expected: Any) -> pytest.RunResult:
        loaded = [part for each in plugins.split() for part in ("-p", each)]
        result = project.runpytest_subprocess(
            "--disable-plugin-autoload", "-p", "qtest.plugin", "-p", "no:cacheprovider", "-Werror", *loaded, *arguments
        )
        if expected:
            result.assert_outcomes(**expected)
        return result

    return run
