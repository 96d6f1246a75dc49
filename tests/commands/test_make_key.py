"""``qcore make-key``: a key, and where to put it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qcore.sealing import Keys

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project


def test_it_prints_a_new_key_that_is_long_enough(cli: Cli) -> None:
    keys = {cli("make-key").stdout for _ in range(20)}

    assert 20 == len(keys)
    for key in keys:
        assert key.endswith("\n")
        assert Keys([key.strip()])
        assert 43 == len(key.strip())


def test_it_says_where_to_put_it_without_saying_it_again(project: Project) -> None:
    finished = project.run("make-key")

    assert 0 == finished.code
    assert "QCORE_KEYS=" in finished.err
    assert 'keys = ["..."]' in finished.err
    assert "above the first [table] of qcore.toml" in finished.err
    assert finished.out.strip() not in finished.err


def test_a_script_can_take_it_and_a_file_too(project: Project) -> None:
    project.run_shell("make-key 2>/dev/null); printf \"keys = ['$K']\" > qcore.toml", before="K=$(")

    assert "Keys(<1 hidden>)" == repr(project.app().config.keys)
