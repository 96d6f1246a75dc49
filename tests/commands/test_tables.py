"""Tables fit a terminal, and are complete everywhere else."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as some

from qcore.commands.tables import Layout, table

if TYPE_CHECKING:
    from tests.commands.conftest import Cli, Project

HEADINGS = ("ID", "JOB", "COUNT", "EXCEPTION")
LAYOUT = Layout(right=("COUNT",), free=("JOB", "EXCEPTION"), ids="ID")
ID = "0f9d1c7e-0000-4000-8000-{:012}"
ROWS = [(ID.format(1), "Import", 100, "ValueError: " + "x" * 40)]


def test_columns_are_aligned() -> None:
    lines = table(("NAME", "COUNT"), [("a", 1), ("long\nname", 100)], Layout(right=("COUNT",)))

    assert ["NAME        COUNT", "a               1", r"long\nname    100"] == lines


def test_the_widest_text_is_cut_to_the_room_that_is_there() -> None:
    _, row = table(HEADINGS, ROWS, LAYOUT, columns=80)

    assert f"{ID.format(1)}  Import    100  ValueError: {'x' * 14}\u2026" == row
    assert len(row) == 80


def test_without_a_terminal_nothing_is_cut() -> None:
    assert table(HEADINGS, ROWS, LAYOUT)[1].endswith("x" * 40)


def test_ids_are_shortened_before_texts_become_unreadable() -> None:
    _, row = table(HEADINGS, ROWS, LAYOUT, columns=60)

    assert f"0f9d1c7e  Import    100  ValueError: {'x' * 22}\u2026" == row
    assert len(row) == 60


def test_shortened_ids_tell_jobs_apart() -> None:
    rows = [(ID.format(number), "Import", 1, "x") for number in (11, 12)]

    _, *lines = table(HEADINGS, rows, LAYOUT, columns=30)

    assert [ID.format(11), ID.format(12)] == [line.split()[0] for line in lines]


def test_of_two_wide_texts_both_are_cut_alike() -> None:
    _, row = table(("JOB", "EXCEPTION"), [("j" * 50, "e" * 60)], Layout(free=("JOB", "EXCEPTION")), columns=42)

    assert f"{'j' * 19}\u2026  {'e' * 19}\u2026" == row


def test_a_cell_is_coloured_without_moving_the_others() -> None:
    layout = Layout(colours={"ALERT": "red"})

    lines = table(("QUEUE", "STATUS"), [("mail", "OK"), ("a", "ALERT")], layout)

    assert ["QUEUE  STATUS", "mail   OK", "a      \x1b[31mALERT\x1b[0m"] == lines


texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=60)


@given(some.lists(some.tuples(texts, texts, some.integers(0, 10**6), texts), max_size=5), some.integers(44, 120))
def test_a_table_is_never_wider_than_its_terminal(rows: list[tuple[str, str, int, str]], columns: int) -> None:
    layout = Layout(right=("COUNT",), free=("ID", "JOB", "EXCEPTION"))

    assert max(map(len, table(HEADINGS, rows, layout, columns=columns))) <= columns


@pytest.mark.parametrize("words", [["failed"], ["show", "default"], ["show"], ["batches"], ["show", "--locks"]])
def test_no_table_wraps_on_80_columns(project: Project, cli: Cli, words: list[str]) -> None:
    project.write(
        "jobs/long.py",
        """
        from qcore import Job, batch, job

        class TakesALongTimeToSayWhatItIsCalled(Job, unique=True):
            def handle(self) -> None:
                batch([TakesALongTimeToSayWhatItIsCalled()], name="of the night of the longest names").dispatch()
                raise ValueError("what a pity that this text does not fit into any line of a terminal")
        """,
    )
    cli("dispatch", "TakesALongTimeToSayWhatItIsCalled")
    cli("work", "--once", "--timeout", "0", "--memory", "0", "-q")
    cli("dispatch", "TakesALongTimeToSayWhatItIsCalled", "--delay", "100000")

    shown = project.run_on_a_terminal(*words)
    whole = project.run(*words).out

    table_on_screen = [line for line in shown.splitlines() if "\u2026" in line or line.isupper()]
    assert [] == [line for line in table_on_screen if len(line) > 80]
    assert "\u2026" not in whole
    assert "show" == " ".join(words) or any("\u2026" in line for line in table_on_screen)


def test_a_short_id_from_a_terminal_is_understood(project: Project, cli: Cli) -> None:
    job_id = cli("dispatch", "Fails").stdout.strip()
    cli("work", "--once", "--timeout", "0", "--memory", "0", "-q")

    row = project.run_on_a_terminal("failed").splitlines()[1]

    assert job_id[:8] == row.split()[1]
    assert f"{job_id} is forgotten\n" == cli("forget", job_id[:8]).stdout
    with sqlite3.connect(project.root / ".qcore/queue.sqlite3") as database:
        assert [(0,)] == database.execute("SELECT count(*) FROM qcore_failed_jobs").fetchall()
    database.close()
