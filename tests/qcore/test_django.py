"""Jobs and the transactions of Django: `django_checks.py`, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_jobs_keep_to_the_transactions_of_django() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/qcore/django_checks.py"]
    ran = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=120)

    assert ran.returncode == 0, ran.stdout
    assert " passed" in ran.stdout


def test_a_process_that_has_django_and_does_not_use_it_dispatches_as_ever() -> None:
    """Something else may have imported it."""
    script = """
import django.db
from qcore import App, Config, Job

class Waits(Job, after_commit=True):
    def handle(self): ...

app = App(Config(default="memory"))
with app.activate():
    Waits().dispatch()
assert app.connection().size() == 1
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)
