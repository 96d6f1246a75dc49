"""What ``make demo`` runs: two processes, one durable queue in between, nothing installed but Python.

The first process dispatches jobs that work on ``orders.csv``; the second one, ``qcore work --drain``, runs
them until nothing waits: one is delayed, one fails twice and then succeeds, one fails for good.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = HERE / ".qcore" / "output"
BOLD, DIM, PLAIN = ("\033[1m", "\033[2m", "\033[0m") if sys.stdout.isatty() else ("", "", "")


def main() -> int:
    """Run the demo; 0 when everything went as described."""
    shutil.rmtree(HERE / ".qcore", ignore_errors=True)
    OUTPUT.mkdir(parents=True)

    title("One process dispatches jobs")
    run("python", "dispatch_orders.py")
    title("They wait in a file; no server is running")
    run("qcore", "show")
    title("Another process runs them until nothing waits, delayed ones included")
    code = run("qcore", "work", "--drain", "--queue", "default,mail", expect=1)
    print(f"{DIM}exit code {code}: a job failed, and a finite run says so{PLAIN}")
    title("The report")
    print((OUTPUT / "report.txt").read_text(), end="")
    title("The job that failed")
    run("qcore", "failed")
    qcore = os.path.relpath(Path(sys.executable).with_name("qcore"), HERE)
    print("\nPut it back on its queue:")
    print(f"  cd {os.path.relpath(HERE)}")
    print(f"  {qcore} retry all       # or: retry ID")
    print(f"  {qcore} work --drain --queue mail")
    return 0


def title(text: str) -> None:
    """Say what comes next."""
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def run(program: str, *arguments: str, expect: int = 0) -> int:
    """Run one command of the demo as a process of its own.

    :raises SystemExit: when it ends with another exit code than the expected one.
    """
    print(f"{DIM}$ {' '.join((program, *arguments))}{PLAIN}", flush=True)
    start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    code = subprocess.run([*start, *arguments], cwd=HERE, check=False).returncode
    if code != expect:
        raise SystemExit(f"the demo expected exit code {expect}, and got {code}")
    return code


if __name__ == "__main__":
    sys.exit(main())
