"""What ``__all__`` lists can be imported, is described, and is all there is. That it is sorted: ``make lint``."""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import qcore
import qtest

PACKAGES = [pytest.param(package, id=package.__name__) for package in (qcore, qtest)]
NAMES = [
    pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")
    for package in (qcore, qtest)
    for name in package.__all__
]


@pytest.mark.parametrize("exported", NAMES)
def test_an_exported_class_or_function_says_what_it_is_for(exported: object) -> None:
    if inspect.isclass(exported) or inspect.isroutine(exported):
        assert exported.__doc__, "write a docstring"
        assert not exported.__doc__.startswith(f"{exported.__name__}("), "only the docstring that a dataclass makes"


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_public_by_accident(package: ModuleType) -> None:
    public = {name for name, value in vars(package).items() if name[0] != "_" and not isinstance(value, ModuleType)}

    assert set() == public - set(package.__all__) - {"annotations", "TYPE_CHECKING"}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_is_exported_twice(package: ModuleType) -> None:
    assert sorted(set(package.__all__)) == sorted(package.__all__)


def test_the_version_is_the_one_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]

    assert project["version"] == qcore.__version__
