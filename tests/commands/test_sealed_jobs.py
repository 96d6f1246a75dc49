"""Encrypted jobs and closures, between processes, and as the commands show them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from qcore.driver import Payload

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Finished, Project

ONE = "one-" + "1" * 40
TWO = "two-" + "2" * 40

JOBS = """
    from qcore import Job, job


    class Charge(Job, encrypted=True):
        def __init__(self, card: str) -> None:
            self.card = card

        def handle(self) -> None:
            print("charging", self.card, flush=True)


    @job(encrypted=True)
    def refund(card: str) -> None:
        raise ValueError("no such card")
"""

SCRIPT = """
    from qcore import closure, dispatch

    word = "script"


    def inner(card):
        def shout():
            return f"{word} {card}"

        return lambda: print(shout(), flush=True)


    dispatch(inner("visa-x"))
    closure(lambda job: 1 / 0, name="nightly").catch(lambda error: print("caught", error, flush=True)).dispatch()
"""


@pytest.fixture(autouse=True)
def _sealed_jobs(project: Project) -> None:
    project.write("jobs/sealed.py", JOBS)
    project.write("script.py", SCRIPT)


def run_script(project: Project, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "script.py"],
        cwd=project.root,
        env={**os.environ, **environ},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def work(project: Project, *secrets: str) -> Finished:
    return project.run("work", "--stop-when-empty", QCORE_KEYS=",".join(secrets))


def test_an_encrypted_job_goes_from_process_to_process(project: Project) -> None:
    assert 0 == project.run("dispatch", "Charge", "card=visa-x", QCORE_KEYS=ONE).code
    [waits] = project.listed()

    assert b"visa-x" not in waits.payload.body
    assert "charging visa-x" in work(project, TWO, ONE).out


def test_without_a_key_dispatching_ends_with_a_line(project: Project) -> None:
    finished = project.run("dispatch", "Charge", "card=visa-x")

    assert 2 == finished.code
    assert finished.err.startswith("error: Charge cannot be encrypted, there is no key: make one with `qcore make-key`")
    assert [] == project.listed()


def test_what_is_encrypted_is_shown_as_that_and_nothing_of_it(
    project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCORE_KEYS", ONE)
    cli("dispatch", "Charge", "card=visa-x")
    shown = cli("show", "default", "-v").stdout
    body = json.loads(cli("show", "default", "-v", "--json").stdout)["payload"]

    assert '"command": "[encrypted]"' in shown
    assert "visa-x" not in shown
    assert {"commandName": "jobs.sealed:Charge", "command": "[encrypted]"} == body["data"]
    assert "Charge" == body["displayName"]


def test_a_closure_shows_where_it_is_written_and_nothing_of_it(project: Project, cli: Cli) -> None:
    assert 0 == run_script(project, QCORE_KEYS=ONE).returncode
    first, second = (json.loads(line) for line in cli("show", "default", "-v", "--json").stdout.splitlines())

    assert "Closure (script.py:10)" == first["job"]
    assert "nightly - Closure (script.py:14)" == second["job"]
    assert {"commandName": "qcore:closure", "command": "[closure]"} == first["payload"]["data"]


def test_a_failed_one_says_that_it_is_encrypted(project: Project, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCORE_KEYS", ONE)
    cli("dispatch", "refund", "card=visa-x")
    cli("work", "--once")
    shown = cli("failed", "-v").stdout

    assert "    [encrypted]\n" in shown
    assert "ValueError: no such card" in shown
    assert "visa-x" not in shown


def test_a_closure_of_a_script_runs_in_a_worker(project: Project) -> None:
    """DSP-05: also what stands in ``__main__``, which no worker could import."""
    assert "" == run_script(project, QCORE_KEYS=ONE).stderr
    finished = work(project, ONE)

    assert "script visa-x\n" in finished.out
    assert "caught division by zero\n" in finished.out
    assert ["ZeroDivisionError: division by zero"] == project.failures()


@pytest.mark.parametrize("secrets", [[], [TWO]])
def test_a_worker_with_another_key_or_none_runs_no_closure(project: Project, cli: Cli, secrets: list[str]) -> None:
    run_script(project, QCORE_KEYS=ONE)
    finished = work(project, *secrets)

    assert 1 == finished.code
    assert "script" not in finished.out.replace("script.py", "")
    assert "caught" not in finished.out
    first, second = project.failures()
    reason = "was not signed by a key of this process" if secrets else "cannot be verified, there is no key"
    assert reason in first
    assert reason in second
    assert 0 == project.run("retry", "all").code  # without a key: as they are
    assert "script visa-x\n" in work(project, ONE).out


def test_what_a_chain_carries_is_counted_and_not_shown(project: Project, cli: Cli) -> None:
    project.write(
        "script.py",
        """
        from jobs.examples import Greet
        from jobs.sealed import Charge
        from qcore import chain

        word = "hush-hush"
        links = [lambda: print(word), Greet("password=hunter2"), Charge("visa-x")]
        chain(*links).catch(lambda: print(word)).dispatch()
        """,
    )
    assert "" == run_script(project, QCORE_KEYS=ONE).stderr
    shown = cli("show", "default", "-v", "--json").stdout
    carried = json.loads(shown)["payload"]["chain"]

    assert ("[2 not shown]", "[1 not shown]") == (carried["links"], carried["catch"])
    assert "hunter2" not in shown


def test_a_chain_of_any_shape_can_be_shown(project: Project, cli: Cli) -> None:
    assert 0 == cli("dispatch", "Greet", "name=bob").exit_code
    body = json.loads(project.listed()[0].payload.body)
    chains: list[object] = [{"links": 3, "catch": None}, [], "x", None]
    with closing(project.app()) as app:
        for number, chain in enumerate(chains):
            text = json.dumps(body | {"chain": chain, "callback": {"failure": {"body": "hush-hush"}}})
            app.connection().push_raw(Payload(f"odd-{number}", text.encode()), "odd")
        app.connection().push_raw(Payload("list", b"[]"), "odd")
    shown = cli("show", "odd", "-v", "--json")

    assert 0 == shown.exit_code
    assert 5 == len(shown.stdout.splitlines())
    assert "hush-hush" not in shown.stdout
