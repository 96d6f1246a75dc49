"""Runs the examples of a Markdown document: ``python tests/docs_runner.py README.md``.

They run in their order, in a temporary folder that starts empty, in a process of their own.

============================== =============================================================================
In the document                What happens
============================== =============================================================================
a block ``python``             It is run. All blocks of a document share one namespace.
a block ``pycon``              Every ``>>>`` line is run there too; what follows must be its output.
a block ``console``            Every ``$ command`` is run, all by one bash, with ``> `` before the lines that
                               continue it; what follows must be its output, stderr included. After a command
                               that fails the block must go on with ``$ echo $?``.
``<!-- file: app/jobs.py -->`` Above a block of any language: it is written to that file instead.
``<!-- skip: the reason -->``  Above a block: it is not run.
============================== =============================================================================

In an expected output ``...`` stands for anything, as in doctest.
"""

from __future__ import annotations

import contextlib
import doctest
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import types
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sybil import Document
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sybil import Example, Region
    from sybil.typing import Evaluator

BLOCKS = RawFencedCodeBlockLexer(re.compile(r"[ \t]*(?P<language>[^\s`]*)[^\n]*\n"))
COMMENT_ABOVE = re.compile(r"<!--\s*(?P<word>file|skip):\s*(?P<value>\S[^\n]*?)\s*-->\s*\Z")
COMMAND = re.compile(r"\$ (?P<command>.*\n(?:> .*\n)*)(?P<output>(?:(?!\$ ).*\n)*)")
# Blocks of these languages look like examples and would silently never run.
WRITE_INSTEAD = {"bash": "console", "sh": "console", "shell": "console", "py": "python"}


def main(path: str) -> None:
    """Run the examples of one document and say how many there were."""
    document = Path(path).resolve()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.chdir(folder):
        _like_a_new_terminal(folder)
        with Shell() as shell:
            count = run(document, shell)
    print(f"{path}: {count} examples")  # noqa: T201 - a program


def _like_a_new_terminal(folder: str) -> None:
    for name in list(os.environ):
        if name.startswith(("QCORE_", "QUEUE_")):
            del os.environ[name]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    # No bytecode: a file written twice within a second would be imported as it was first.
    os.environ |= {"PATH": path, "HOME": folder, "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True
    sys.path[0] = folder


def run(path: Path, shell: Shell) -> int:
    """Run the examples of a document in the current folder; the first that fails raises."""
    document = Document.parse(str(path), partial(_examples, shell=shell))
    document.namespace = vars(_module_named_after(path))
    examples = list(document)
    for example in examples:
        example.evaluate()
    return len(examples)


def _module_named_after(path: Path) -> types.ModuleType:
    # A real module: classes that the examples define are looked up in sys.modules by their name.
    name = re.sub(r"\W", "_", path.stem.lower())
    # The page about redis shall not stand in the way of the package.
    module = types.ModuleType(f"{name}_page" if find_spec(name) else name)
    sys.modules[module.__name__] = module
    return module


def _examples(document: Document, *, shell: Shell) -> Iterator[Region]:
    for region in BLOCKS(document):
        region.parsed = region.lexemes["source"]
        comment = COMMENT_ABOVE.search(document.text, 0, region.start)
        word, value = comment.group("word", "value") if comment else ("", "")
        if word == "file":
            region.evaluator = partial(_write, path=Path(value))
        elif word != "skip":
            region.evaluator = _evaluator(str(region.lexemes["language"]), shell)
        if region.evaluator:
            yield region


def _evaluator(language: str, shell: Shell) -> Evaluator | None:
    match language:
        case "python":
            return PythonEvaluator()
        case "pycon":
            return _pycon
        case "console":
            return partial(_console, shell=shell)
        case _ if language in WRITE_INSTEAD:
            return partial(_refuse, language=language)
    return None


def _write(example: Example, *, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(example.parsed)


def _refuse(_: Example, *, language: str) -> str:
    return f"a block `{language}` is not run: write `{WRITE_INSTEAD[language]}`, or a skip with its reason above it"


def _pycon(example: Example) -> str:
    block = doctest.DocTestParser().get_doctest(example.parsed, {}, "pycon", example.path, example.line)
    block.globs = example.namespace
    report: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(block, out=report.append, clear_globs=False)
    return "".join(report)


def _console(example: Example, *, shell: Shell) -> str | None:
    steps = [(step["command"].replace("\n> ", "\n").rstrip("\n"), step["output"]) for step in _steps(example.parsed)]
    following = [command for command, _ in steps[1:]] + [""]
    for (command, expected), next_command in zip(steps, following, strict=True):
        output, code = shell.run(command)
        if not doctest.OutputChecker().check_output(_tidy(expected), _tidy(output), doctest.ELLIPSIS):
            return f"$ {command}\nexpected:\n{expected}\ngot:\n{output}"
        if code and next_command != "echo $?":
            return f"$ {command}\nfailed with {code}: let `$ echo $?` follow if it should"
    return None


def _steps(block: str) -> list[re.Match[str]]:
    if not block.startswith("$ "):
        raise ValueError(f"a console block starts with `$ command`, not with {block[:40]!r}")
    return list(COMMAND.finditer(block))


def _tidy(output: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in output.rstrip().split("\n"))


class Shell:
    """One bash in the current folder: directories, variables and background jobs stay from command to command."""

    END = "end of the command, exit code"

    def __enter__(self) -> Self:
        """Start it, as the leader of a process group."""
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        """End it, and whatever it left in the background."""
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.communicate()

    def run(self, command: str) -> tuple[str, int]:
        """Give what the command printed, and its exit code, which the next command sees as ``$?``."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        # eval: a command with a syntax error ends here, and not with the whole shell waiting for a quote.
        self._bash.stdin.write(f"(exit ${{code:-0}}); eval {shlex.quote(command)} </dev/null\n")
        self._bash.stdin.write(f"code=$?; printf '\\n%s %s\\n' {shlex.quote(self.END)} $code\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line.startswith(self.END):
                return output.removesuffix("\n"), int(line.removeprefix(self.END))
            output += line
        raise EOFError(f"$ {command}\nended the shell:\n{output}")


if __name__ == "__main__":
    main(*sys.argv[1:])
