"""Every example in the documents is run, as ``tests/docs_runner.py`` describes."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import qtest
from qtest import plugin
from qtest.job_interactions import Interactions

if TYPE_CHECKING:
    from qtest.servers import PostgresServer, RedisServer

ROOT = Path(__file__).parent.parent
# Methods by which the parts of the fake work together.
OF_THE_KIT_ITSELF = {
    "fail",
    "folder",
    "look",
    "parted",
    "refuse_unknown_connection",
    "refuse_what_cannot_match",
    "refuse_what_ran_elsewhere",
    "unawaited",
}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS])
def test_every_example_of_a_document_does_what_the_document_says(document: Path) -> None:
    ran = run(document)

    assert ran.returncode == 0, ran.stdout


def test_the_way_to_another_driver_is_as_its_page_says(
    tmp_path: Path, redis_server: RedisServer, postgres_server: PostgresServer
) -> None:
    text = (ROOT / "docs" / "moving.md").read_text().replace("<!-- skip: needs a server -->\n", "")
    text = text.replace("redis://redis.example.com:6379/0", redis_server.fresh())

    run_text(tmp_path, text.replace("postgresql://shop@db.example.com/shop", postgres_server.fresh()))


def test_the_reference_of_the_test_kit_names_all_there_is() -> None:
    words = set(re.findall(r"[\w-]+", (ROOT / "docs" / "testing-reference.md").read_text()))

    assert set() == names_of_the_kit() - words


def names_of_the_kit() -> set[str]:
    """What a test can ask for by name: of the module, of its objects, of the plugin."""
    methods = {name for kind in (qtest.QueueFake, qtest.Drained, Interactions) for name in dir(kind) if name[0] != "_"}
    source = inspect.getsource(plugin)
    fixtures = set(re.findall(r"@pytest\.fixture.*\ndef ([a-z]\w+)", source))
    settings = set(re.findall(r'(?:addini|addoption)\(\s*"([\w-]+)"', source))
    assert {"queue_fake", "queue_app", "qtest_app", "--queue-require"} <= fixtures | settings
    return {*qtest.__all__, *(methods - OF_THE_KIT_ITSELF), *fixtures, *settings, *plugin._MARKER}


def test_a_document_without_examples_passes(tmp_path: Path) -> None:
    assert run_text(tmp_path, "# Only words\n").endswith("document.md: 0 examples\n")


def test_python_blocks_share_a_namespace_and_a_module(tmp_path: Path) -> None:
    text = block("python", "import sys\nclass A: ...") + block("python", "assert sys.modules['document'].A is A")

    assert run_text(tmp_path, text).endswith("document.md: 2 examples\n")


def test_a_failing_python_block_is_told_with_its_line_in_the_document(tmp_path: Path) -> None:
    output = run_text(tmp_path, "# Title\n\n" + block("python", "one = 1\nassert one == 2"), fails=True)

    assert f'{tmp_path / "document.md"}", line 5' in output


def test_a_session_in_the_python_shell_is_compared(tmp_path: Path) -> None:
    setup = block("python", "one = 1")

    run_text(tmp_path, setup + block("pycon", ">>> one + 1\n2\n>>> object()\n<object object at ...>"))
    assert "Expected:\n    3\nGot:\n    2" in run_text(tmp_path, setup + block("pycon", ">>> one + 1\n3"), fails=True)


def test_a_file_block_is_written_and_not_run(tmp_path: Path) -> None:
    text = "<!-- file: app/jobs.py -->\n" + block("python", "print('loud')") + block("console", "$ ls app\njobs.py")

    assert run_text(tmp_path, text) == f"{tmp_path / 'document.md'}: 2 examples\n"


def test_a_file_block_can_be_imported_by_what_follows(tmp_path: Path) -> None:
    text = "<!-- file: jobs.py -->\n" + block("python", "name = 'ada'") + block("python", "from jobs import name")

    run_text(tmp_path, text + block("console", "$ python -c 'import jobs; print(jobs.name)'\nada"))


def test_a_skipped_block_is_not_run(tmp_path: Path) -> None:
    text = "<!-- skip: needs a server -->\n\n" + block("console", "$ false")

    assert run_text(tmp_path, text).endswith("document.md: 0 examples\n")


def test_the_output_of_a_command_is_compared_with_wildcards(tmp_path: Path) -> None:
    run_text(tmp_path, block("console", "$ printf 'a 1\\nb 2\\n\\nc\\n'\na ...\n\nc"))

    output = run_text(tmp_path, block("console", "$ echo a\na\n$ echo b\nc"), fails=True)
    assert "$ echo b\nexpected:\nc\n\ngot:\nb\n" in output


def test_a_command_that_prints_where_nothing_is_expected_fails(tmp_path: Path) -> None:
    assert "got:\nloud" in run_text(tmp_path, block("console", "$ echo loud >&2"), fails=True)


def test_one_shell_runs_all_commands_of_a_document(tmp_path: Path) -> None:
    text = block("console", "$ mkdir -p a/b && cd a\n$ name=ada")

    run_text(tmp_path, text + block("console", "$ cd b; echo $name ${PWD##*/}\nada b"))


def test_a_command_may_continue_on_further_lines(tmp_path: Path) -> None:
    run_text(tmp_path, block("console", "$ cat <<END\n> one\n> two\n> END\none\ntwo"))


def test_the_exit_code_of_a_failing_command_must_be_shown(tmp_path: Path) -> None:
    run_text(tmp_path, block("console", "$ (exit 3)\n$ echo $?\n3"))

    assert "failed with 3" in run_text(tmp_path, block("console", "$ (exit 3)\n$ true"), fails=True)
    assert "got:\n3" in run_text(tmp_path, block("console", "$ (exit 3)\n$ echo $?\n4"), fails=True)


def test_a_command_with_a_syntax_error_does_not_hang_the_rest(tmp_path: Path) -> None:
    assert "unexpected EOF" in run_text(tmp_path, block("console", "$ echo 'a"), fails=True)


def test_a_command_that_reads_finds_nothing(tmp_path: Path) -> None:
    run_text(tmp_path, block("console", "$ cat\n$ echo still here\nstill here"))


def test_a_command_that_ends_the_shell_is_told(tmp_path: Path) -> None:
    assert "ended the shell" in run_text(tmp_path, block("console", "$ exit 1\n$ echo $?\n1"), fails=True)


@pytest.mark.parametrize(("language", "right"), [("sh", "console"), ("py", "python")])
def test_a_block_that_would_never_run_is_refused(language: str, right: str, tmp_path: Path) -> None:
    assert f"write `{right}`" in run_text(tmp_path, block(language, "true"), fails=True)


def block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```\n\n"


def run_text(folder: Path, text: str, *, fails: bool = False) -> str:
    document = folder / "document.md"
    document.write_text(text)
    ran = run(document)
    assert (ran.returncode != 0) == fails, ran.stdout
    return ran.stdout


def run(document: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "docs_runner.py", document],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=300,  # a command that hangs, not one that is slow
    )
