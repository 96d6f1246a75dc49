"""Failure messages fit into 80 columns, whatever the names in them, and arrive whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qcore import batch, chain
from qtest import like
from qtest.leaks import leftovers, unseen_failures
from tests.qtest.long_names import QUEUE, Long
from tests.qtest.signup import Audit, Only, Welcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtest import QueueFake

COLUMNS = 80
NAME = "the_name_of_the_customer_as_it_is_written_in_the_first_contract"

FAILING: dict[str, Callable[[QueueFake], object]] = {
    "pushed": lambda queue: queue.assert_pushed(Long("x" * 200), queue="q" * 90, delay=60),
    "pushed on": lambda queue: queue.assert_pushed_on("mail", Long),
    "connection": lambda queue: queue.assert_pushed(Long, connection="memory", queue="c" * 90),
    "like": lambda queue: queue.assert_pushed(like(Long, **{NAME: [1] * 60})),
    "times": lambda queue: queue.assert_pushed_times(Long, 7),
    "not pushed": lambda queue: queue.assert_not_pushed(Long),
    "nothing": lambda queue: queue.assert_nothing_pushed(),
    "order": lambda queue: queue.assert_pushed_in_order(Welcome, Long, Welcome),
    "exactly": lambda queue: queue.assert_pushed_exactly(Long("y"), Long("x" * 200)),
    "count": lambda queue: queue.assert_count(9),
    "delayed": lambda queue: queue.assert_delayed(Long, by=3),
    "chained": lambda queue: queue.assert_chained([Long, Long("z" * 100), Long]),
    "not chained": lambda queue: queue.assert_not_chained(Long),
    "with chain": lambda queue: queue.assert_pushed_with_chain(Long, [Long(3)] * 5),
    "batched": lambda queue: queue.assert_batched([Long(7), Welcome], name="n" * 99),
    "processed": lambda queue: queue.assert_processed(Long),
    "failed": lambda queue: queue.assert_failed(Long, error=KeyError, match="m" * 90),
    "not failed": lambda queue: queue.assert_not_failed(),
    "released": lambda queue: queue.assert_released(Long, delay=3),
    "retried": lambda queue: queue.assert_retried(Long, delays=[*range(40)]),
    "attempts": lambda queue: queue.assert_attempts(Long, 9),
    "timed out": lambda queue: queue.assert_timed_out(Long),
    "skipped": lambda queue: queue.assert_skipped(Long),
    "deleted": lambda queue: queue.assert_deleted(Long),
    "held": lambda queue: queue.assert_held(Long),
    "empty": lambda queue: queue.assert_empty(),
    "locks": lambda queue: queue.assert_no_locks(),
    "events": lambda queue: queue.assert_events(*["pushed"] * 30),
}


@pytest.fixture
def busy(queue_fake: QueueFake) -> QueueFake:
    chain(Long(1), Long(2)).dispatch()
    batch([Long(3), Long("x" * 100)], name="b" * 100).dispatch()
    Only("p" * 100).dispatch()
    Audit("w" * 100).dispatch(queue=QUEUE * 2)
    queue_fake.run_next_job()
    queue_fake.perform(Long(), attempts=3, raises=False)
    return queue_fake


def widest(text: str) -> str:
    return max(text.splitlines(), key=len)


@pytest.mark.parametrize("name", FAILING)
def test_no_line_of_a_message_is_longer_than_a_terminal_is_wide(name: str, busy: QueueFake) -> None:
    with pytest.raises(AssertionError) as caught:
        FAILING[name](busy)
    busy.failed()

    assert len(widest(str(caught.value))) <= COLUMNS, widest(str(caught.value))


@pytest.mark.parametrize("look", [unseen_failures, leftovers])
def test_neither_is_one_of_what_is_left_behind(look: Callable[[QueueFake], str], busy: QueueFake) -> None:
    busy.perform(Long(), attempts=3)

    assert len(widest(look(busy))) <= COLUMNS, widest(look(busy))
    busy.failed()


def test_a_line_that_goes_on_loses_nothing(busy: QueueFake) -> None:
    with pytest.raises(AssertionError) as caught:
        busy.assert_pushed(like(Long, **{NAME: 7}))
    busy.failed()

    assert f"{NAME} expected 7 got" in " ".join(str(caught.value).split())


def test_no_golden_file_is_wider(request: pytest.FixtureRequest) -> None:
    golden = [*(Path(__file__).parent / "golden").glob("*.txt")]

    assert golden
    assert {} == {path.name: widest(path.read_text()) for path in golden if len(widest(path.read_text())) > COLUMNS}
