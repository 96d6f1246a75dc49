"""Measures qcore beside the bare thing, in one run: ``make bench``, or ``python benchmarks/run.py --help``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import time
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.measure import Measure

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
_SERVERS = ("redis", "databases", "idle", "waiting", "due")
ROWS = ("memory", "sqlite", *_SERVERS, "imports", "start", "bulk", "chains", "batches", "fake", "plugin")
"""One module each, with ``measure(effort)``."""
ON_REQUEST = ("peers", "workers")
"""More of them, which install other libraries: only when they are named, or ``all`` is."""
_MODULES = {"workers": "workers.race"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print one table, keep the figures; 0 unless ``--strict`` and a target was missed."""
    options = _parser().parse_args(arguments)
    versions = _versions()
    print("  ".join(f"{name} {value}" for name, value in versions.items()))
    measured, skipped = _measure(options.rows, quick=options.quick)
    print(_table(measured))
    for row, reason in skipped.items():
        print(f"SKIPPED: {row}: {reason}")
    if options.quick:
        print("quick: these figures only show that everything runs")
    content = {
        "versions": versions,
        "quick": options.quick,
        "skipped": skipped,
        "measures": [_record(each) for each in measured],
    }
    print(f"saved in {_save(options.json, content)}")
    return int(options.strict and any(each.verdict == "MISSED" for each in measured))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows",
        type=_rows,
        default=ROWS,
        metavar="A,B",
        help=f"of {','.join(ROWS)}, or {','.join(ON_REQUEST)}, or all",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures; default results/DATE")
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a target was missed")
    return parser


def _rows(text: str) -> tuple[str, ...]:
    names = (*ROWS, *ON_REQUEST) if text == "all" else tuple(text.split(","))
    unknown = [name for name in names if name not in {*ROWS, *ON_REQUEST}]
    if unknown:
        message = f"no row {', '.join(unknown)}; there are {', '.join((*ROWS, *ON_REQUEST))}"
        raise argparse.ArgumentTypeError(message)
    return names


def _versions() -> dict[str, str]:
    return {
        "qcore": version("qcore-queue"),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: _version(name) for name in ("SQLAlchemy", "redis", "hiredis", "psycopg", "pymysql")},
        **{program: _program(program) for program in ("redis-server", "postgres", "mariadbd")},
        "system": f"{platform.system()}-{platform.machine()}",
        "cpus": str(os.cpu_count()),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"


def _program(name: str) -> str:
    """Ask a server which version it is."""
    try:
        said = subprocess.run([name, "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return "-"
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "-"


def _measure(rows: Sequence[str], *, quick: bool) -> tuple[list[Measure], dict[str, str]]:
    """Measure row after row; the second of what is given says what was skipped, and why."""
    from benchmarks.measure import QUICK, Effort
    from qtest.servers import MissingServerError

    measured: list[Measure] = []
    skipped: dict[str, str] = {}
    effort = (QUICK if quick else Effort())._replace(note=_tell)
    for row in rows:
        try:
            measured.extend(import_module(f"benchmarks.{_MODULES.get(row, row)}").measure(effort))
        except MissingServerError as error:
            skipped[row] = str(error)
    _tell("")
    return measured, skipped


def _tell(text: str) -> None:
    """Say on a terminal how far it is, on one line that is written over."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


_HEADS = ("measure", "ours", "bare", "", "ratio", "target", "", "bare is")
_NUMBERS = (1, 2, 4)


def _table(measured: Sequence[Measure]) -> str:
    lines = [_HEADS, *map(_cells, measured)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Write one line: numbers to the right, words to the left."""
    aligned = [
        cell.rjust(width) if index in _NUMBERS else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned).rstrip()


def _cells(each: Measure) -> tuple[str, ...]:
    target = each.target.text(each.unit) if each.target else "-"
    return (
        each.name,
        _figure(each.ours),
        "-" if each.bare is None else _figure(each.bare),
        each.unit,
        "-" if each.ratio is None else f"{each.ratio:.2f}",
        target,
        each.verdict,
        each.beside,
    )


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004


def _save(file: Path | None, content: dict[str, object]) -> Path:
    if file is None:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / ".gitignore").write_text("*\n")
        file = RESULTS / time.strftime("%Y-%m-%d_%H%M%S.json")
    file.write_text(json.dumps(content, indent=2) + "\n")
    return file


def _record(each: Measure) -> dict[str, object]:
    return {
        "name": each.name,
        "ours": each.ours,
        "bare": each.bare,
        "unit": each.unit,
        "beside": each.beside,
        "ratio": each.ratio,
        "target": each.target.text(each.unit) if each.target else None,
        "verdict": each.verdict or None,
    }


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # so that the rows are found by their whole names, and hide no module of Python
    sys.exit(main())
