"""The peers, other job queues for Python. Each lives in an environment of its own: they want versions of their own.

It is made on first use in ``.venv-peers-NAME`` and kept; delete the folder, or say ``make clean``, for newer versions.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOT = Path(__file__).parent.parent

# hiredis and uvloop: the speed-ups that the documents of these projects recommend.
PACKAGES = {
    "arq": ("arq", "hiredis", "uvloop"),
    "celery": ("celery[redis]", "hiredis"),
    "dramatiq": ("dramatiq[redis]", "hiredis"),
    "huey": ("huey", "redis", "hiredis"),
    "qcore": ("click", "hiredis", "psutil", "redis", "setproctitle", "SQLAlchemy"),  # itself is found by PYTHONPATH
    "rq": ("rq", "hiredis"),
    "saq": ("saq[redis]", "typing-extensions", "hiredis", "uvloop"),
    "taskiq": ("taskiq", "taskiq-redis", "hiredis", "uvloop"),
}

_VERSIONS = (
    "import json, sys; from importlib.metadata import version; "
    "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
)


def python(peer: str, note: Callable[[str], None] = lambda _: None) -> str:
    """Give the Python of that peer's environment; make it when it is not there, or was made for other packages.

    :raises subprocess.CalledProcessError: when the packages cannot be had; pip has said why.
    """
    folder, wanted = _ROOT / f".venv-peers-{peer}", "\n".join((sys.version, *PACKAGES[peer]))
    program, stamp = str(folder / "bin" / "python"), folder / "packages"
    if not stamp.exists() or stamp.read_text() != wanted:
        note(f"installing {peer}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-qq", "--python", program)
        subprocess.run([*pip, "install", *PACKAGES[peer]], check=True)
        stamp.write_text(wanted)
    return program


def versions(peer: str) -> dict[str, str]:
    """Tell which versions of the peer's packages are installed."""
    names = [name.partition("[")[0] for name in PACKAGES[peer]]
    said = subprocess.run([python(peer), "-c", _VERSIONS, *names], check=True, capture_output=True, text=True)
    found: dict[str, str] = json.loads(said.stdout)
    return found
