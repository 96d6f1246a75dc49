"""What is wrong with a batch, or with what is asked of batches, is said at once, and nothing is pushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from qcore import App, ConfigError, JobDefinitionError, QcoreError, UnsupportedError, batch, chain, find_batch
from tests.qcore.batching import Step, bodies, forget, steps

if TYPE_CHECKING:
    from qcore import Batch


@pytest.fixture(autouse=True)
def _nothing_logged() -> None:
    forget()


def is_untouched(app: App) -> bool:
    return (bodies(app), app.batches.list()) == ([], [])


def test_a_batch_in_a_chain_is_refused_where_there_are_no_batches(app: App) -> None:
    """CHN-13."""
    with pytest.raises(UnsupportedError, match="'null' cannot have batches"):
        chain(Step("a"), batch(steps("b")).on_connection("null")).dispatch()
    assert is_untouched(app)


def test_a_callback_that_deletes_the_batch_is_named(app: App) -> None:
    """BAT-02."""

    def tidy(started: Batch) -> None:
        started.delete()

    with pytest.raises(QcoreError, match=r"before\(.*tidy\) deleted the batch"):
        batch(steps("a")).before(tidy).dispatch()
    assert is_untouched(app)


async def later(done: int, total: int | None) -> None:
    """Cannot be awaited by a dispatch."""


@pytest.mark.parametrize("progress", [5, "text", later])
def test_who_hears_of_the_progress_is_looked_at_first(app: App, progress: object) -> None:
    dispatch: Any = batch(steps("a")).dispatch
    with pytest.raises(JobDefinitionError, match="progress= takes a plain function"):
        dispatch(progress=progress)
    assert is_untouched(app)


@pytest.mark.parametrize("name", ["\ud800", "\0", "\x1b[31mred", "a\nb", "\x85", "x" * 191, 5])
def test_a_name_that_no_database_stores_is_refused(app: App, name: object) -> None:
    make: Any = batch
    with pytest.raises(JobDefinitionError, match="the name of a batch is a text"):
        make(steps("a"), name=name)
    assert is_untouched(app)


def test_a_name_may_have_any_letters(app: App) -> None:
    assert batch(steps("a"), name="nightly, \u2603 \U0001f600\u00a0x").dispatch().fresh() is not None


@pytest.mark.parametrize("given", [None, 0, 1, 1.5, "yes", b""])
def test_allow_failures_is_a_bool_or_callbacks(given: object) -> None:
    """BAT-13."""
    make: Any = batch
    with pytest.raises(JobDefinitionError, match="allow_failures is True, False, a callback or several"):
        make(steps("a"), allow_failures=given)


def test_an_id_is_a_text(app: App) -> None:
    given: Any = []
    with pytest.raises(ConfigError, match=r"the id of a batch is a text, got \[\]"):
        find_batch(given)


@pytest.mark.parametrize("age", ["5", True, [], -1])
def test_an_age_is_a_number(app: App, age: object) -> None:
    prune: Any = app.batches.prune
    with pytest.raises(ConfigError, match="hours is a number of hours, 0 or more"):
        prune(hours=age)


@pytest.mark.parametrize("limit", [-1, "5", 1.5, True, None])
def test_a_limit_is_a_whole_number(app: App, limit: object) -> None:
    listed: Any = app.batches.list
    with pytest.raises(ConfigError, match="limit is a whole number, 0 or more"):
        listed(limit=limit)
