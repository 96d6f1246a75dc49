"""What a driver claims chooses its tests, and nothing else."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import qtest
from qcore.drivers.memory import MemoryDriver
from qcore.memory import Memory
from qtest.contract import DriverContract, Features, needs

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from qcore.clock import Clock

MODULES = sorted(Path(qtest.__file__).parent.glob("*contract*.py"))
MAY_READ = {"_claimed", "test_the_driver_offers_what_it_claims"}
"""What chooses the tests, and the test of the claim itself."""


def _readers_of_features(path: Path) -> Iterator[str]:
    for function in ast.walk(ast.parse(path.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute) and node.attr == "features":
                    yield function.name


def test_no_test_of_the_contract_asks_what_is_claimed() -> None:
    found = {name for path in MODULES for name in _readers_of_features(path)}

    assert MAY_READ == found


def test_every_feature_chooses_a_test_and_every_need_is_a_feature() -> None:
    tests = [getattr(DriverContract, name) for name in dir(DriverContract) if name.startswith("test_")]
    needed = {each for test in tests for each in getattr(test, "needs", ())}
    needed |= {each for test in tests for each in getattr(test, "needs_for_value", {}).values()}

    assert {field.name for field in fields(Features)} == needed


class _Claims(DriverContract):
    __test__ = False

    def make_driver(self, clock: Clock) -> MemoryDriver:
        return MemoryDriver(Memory(), clock, retry_after=self.retry_after)


def test_what_is_not_claimed_is_skipped_with_its_name(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(
        """
        from qtest.contract import Features, needs
        from tests.contract.test_features import _Claims
        import pytest

        class TestIt(_Claims):
            __test__ = True
            features = Features(extend=False, verdict=False)

            @needs("fencing", call="extend")
            @pytest.mark.parametrize("call", ["release", "extend"])
            def test_mine(self, call):
                pass

            @needs("verdict")
            def test_other(self):
                pass
        """
    )

    result = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider", "-k", "test_mine or test_other")

    result.assert_outcomes(passed=1, skipped=2, deselected=result.parseoutcomes().get("deselected", 0))
    for name in ("extend", "verdict"):
        result.stdout.fnmatch_lines([f"*the driver does not claim {name}"])


def test_a_need_is_kept_beside_the_test() -> None:
    @needs("size", call="extend")
    def test() -> None:
        pass

    assert (("size",), {"call": "extend"}) == (test.needs, test.needs_for_value)  # type: ignore[attr-defined]
