"""The beginning of an id stands for the whole, as long as only one begins like that."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from qcore import Job, batch
from qcore.driver import Payload
from qcore.failed import FailedJob

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

ONE, TWO, DIGITS = "abcd1111-0000-4000-8000-000000000001", "abcd2222-0000-4000-8000-000000000002", "12345678-x"


@pytest.fixture
def _failed(project: Project) -> None:
    with closing(project.app()) as app:
        for job_id in (ONE, TWO, DIGITS):
            record = FailedJob(Payload(job_id, b"junk"), "database", "default", "ValueError: no", 1_700_000_000)
            app.connections.failed_store.add(record)


def left(project: Project) -> set[str]:
    with closing(project.app()) as app:
        return {record.id for record in app.failed.list()}


@pytest.mark.usefixtures("_failed")
@pytest.mark.parametrize("command", ["retry", "forget"])
def test_the_beginning_of_an_id_is_enough(project: Project, cli: Cli, command: str) -> None:
    result = cli(command, "abcd1")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith(f"{ONE} ")
    assert {TWO, DIGITS} == left(project)


@pytest.mark.usefixtures("_failed")
@pytest.mark.parametrize("command", ["retry", "forget"])
def test_a_beginning_that_several_ids_have_is_refused_and_names_them(project: Project, cli: Cli, command: str) -> None:
    result = cli(command, "abcd")

    said = f"error: 2 failed jobs have an id that begins with abcd: {ONE}, {TWO}; write more of it\n"
    assert (1, said) == (result.exit_code, result.stderr)
    assert {ONE, TWO, DIGITS} == left(project)


@pytest.mark.usefixtures("_failed")
def test_an_ambiguous_beginning_keeps_no_other_job_from_its_retry(project: Project, cli: Cli) -> None:
    result = cli("retry", "abcd", DIGITS)

    assert (1, f"{DIGITS} waits again\n") == (result.exit_code, result.stdout)
    assert {ONE, TWO} == left(project)


@pytest.mark.usefixtures("_failed")
@pytest.mark.parametrize("given", ["abc", "1234", "1234567"])
def test_what_is_short_or_a_number_is_no_beginning(project: Project, cli: Cli, given: str) -> None:
    assert 1 == cli("forget", given).exit_code
    assert {ONE, TWO, DIGITS} == left(project)


@pytest.mark.usefixtures("_failed")
def test_a_whole_id_is_meant_even_when_a_longer_one_begins_with_it(project: Project, cli: Cli) -> None:
    with closing(project.app()) as app:
        app.connections.failed_store.add(
            FailedJob(Payload(ONE[:8], b"junk"), "database", "default", "ValueError: no", 1_700_000_000)
        )

    assert f"{ONE[:8]} is forgotten\n" == cli("forget", ONE[:8]).stdout
    assert {ONE, TWO, DIGITS} == left(project)


class Member(Job):
    def handle(self) -> None: ...


@pytest.fixture
def batches(project: Project) -> list[str]:
    with closing(project.app()) as app, app.activate():
        return [batch([Member()], name=name).dispatch().id for name in ("one", "two")]


def test_the_beginning_of_the_id_of_a_batch_is_enough(cli: Cli, batches: list[str]) -> None:
    shown = cli("batch", batches[0][:13]).stdout
    cancelled = cli("cancel-batch", batches[0][:13], batches[0])

    assert f"id         {batches[0]}\n" in shown
    assert (0, f"The batch {batches[0]} is cancelled.\n") == (cancelled.exit_code, cancelled.stdout)


def test_a_batch_that_nobody_knows_is_named_as_it_was_written(cli: Cli, batches: list[str]) -> None:
    for command in ("batch", "cancel-batch", "retry-batch"):
        result = cli(command, "zzzz")

        assert 1 == result.exit_code
        assert "error: there is no batch with the id zzzz; see what there is with `qcore batches`\n" == result.stderr


def test_a_beginning_that_several_batches_have_is_refused(
    cli: Cli, batches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two random ids begin alike too seldom.
    monkeypatch.setattr("qcore.commands.ids._SHORTEST", 0)

    for command in ("batch", "cancel-batch", "retry-batch"):
        result = cli(command, "")

        assert 1 == result.exit_code
        assert f"error: 2 batches have an id that begins with : {', '.join(sorted(batches))}" in result.stderr
