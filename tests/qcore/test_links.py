"""Links as texts: written once, carried unread, pushed as if they had been dispatched then."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qcore import links
from qcore.driver import LockRule
from qcore.errors import PayloadError
from qcore.payload_fields import chain_of

if TYPE_CHECKING:
    from qcore.links import Chain

NOW = 1_000.0
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def body(job_id: str = "b", **more: Any) -> dict[str, Any]:
    return {"uuid": job_id, "displayName": "B", "id": job_id, "createdAt": 900.0, "data": {}, **more}


def link(job_id: str = "b", *, connection: str = "database", delay: float = 0, **more: Any) -> str:
    return links.written(connection, "default", delay, body(job_id, **more))


def chain(*texts: str, catch: tuple[str, ...] = (), **more: Any) -> Chain:
    made: Any = {"id": "a", "links": links.joined(texts), "catch": list(catch), "connection": None, "queue": None}
    made.update(more)
    chain: Chain = made
    return chain


@given(st.lists(JSON, min_size=1, max_size=3))
def test_whatever_a_job_holds_comes_through_any_number_of_links_unchanged(held: list[Any]) -> None:
    texts = [links.written("database", "default", 0, body(str(index), data=each)) for index, each in enumerate(held)]

    found, rest = [], chain(*texts)
    while (following := links.following(rest, NOW)) is not None:
        read = json.loads(following[1].payload.body)
        found.append(read["data"])
        rest = chain_of(read.get("chain") or chain())

    assert json.dumps(found) == json.dumps(held)


@given(JSON)
def test_a_link_holds_no_character_that_json_has_to_escape(held: object) -> None:
    """So that the next payload is made without looking at the other links: they are copied as they are."""
    text = link(data=held)

    assert json.dumps(text) == f'"{text}"'
    assert links.split(links.joined([text, text])) == [text, text]


def test_the_size_of_a_chain_grows_with_its_links_and_no_faster() -> None:
    """CHN-20."""
    sizes = [
        len(push.payload.body)
        for count in (100, 200)
        if (following := links.following(chain(*(link(str(n), data="x" * 50) for n in range(count))), NOW))
        for push in following[1:]
    ]

    assert 1.95 < sizes[1] / sizes[0] < 2.05


def test_a_chain_inside_a_link_of_a_chain_grows_no_faster_either() -> None:
    """A batch that is a link holds its members as links: each level escapes what the one below has written."""
    sizes = []
    text = link("0")
    for level in range(1, 7):
        text = link(str(level), data={"members": [text]})
        sizes.append(len(text))

    growth = [after - before for before, after in pairwise(sizes)]
    assert growth[-1] < 3 * growth[0]


def test_foreign_text_in_a_chain_never_breaks_the_payload_around_it() -> None:
    foreign = chain(link("b"), links='~"}, é')
    foreign["links"] = link("b") + '~"}, é\\'

    following = links.following(foreign, NOW)

    assert following is not None
    assert json.loads(following[1].payload.body)["chain"]["links"] == '"}, é\\'


def test_the_last_link_of_a_chain_without_callbacks_carries_nothing() -> None:
    following = links.following(chain(link("b")), NOW)

    assert following is not None
    assert "chain" not in json.loads(following[1].payload.body)
    assert links.following(chain(), NOW) is None


def test_a_payload_bears_the_time_of_its_push_and_so_does_its_retry_until() -> None:
    _, push = links.head(link(retryUntil=960.0), chain(), NOW)

    read = json.loads(push.payload.body)
    assert (read["createdAt"], read["retryUntil"]) == (NOW, NOW + 60)


@pytest.mark.parametrize(("due", "delay"), [(1_060.0, 60.0), (940.0, 0)])
def test_a_link_that_is_due_at_a_moment_is_due_at_that_moment_whenever_it_is_pushed(due: float, delay: float) -> None:
    text = links.written("database", "default", 160.0, body(), due=due)

    assert links.head(text, chain(), NOW)[1].delay == delay


@pytest.mark.parametrize("rule", [LockRule.SHARE, LockRule.REFUSE])
def test_a_unique_link_wants_its_lock_from_when_it_is_due(rule: LockRule) -> None:
    following = links.following(chain(link(delay=5, unique={"key": "k", "ttl": 60.0})), NOW, rule)

    assert following is not None
    assert following[1].lock == ("k", "b", 65.0, rule)


def test_a_link_tells_its_connection_and_its_id() -> None:
    text = link("b", connection="redis")

    assert (links.connection_of(text), links.id_of(text)) == ("redis", "b")


def test_ids_follow_from_their_parts() -> None:
    one = links.derived_id("chain", "1")

    assert one == links.derived_id("chain", "1")
    assert len({one, links.derived_id("chain", "2"), links.derived_id("chain1")}) == 3
    assert one[14] == "5"


def test_callbacks_of_a_failure_have_ids_of_their_own_for_each_failure() -> None:
    told = links.failure("ValueError", "bad", "Traceback", "{}")
    failing = chain(catch=(link("c1"), link("c2")))

    first, again = (links.caught(failing, NOW, told, salt) for salt in ("b:1", "b:2"))

    ids = [push.payload.id for _, push in first + again]
    assert len(set(ids)) == 4
    assert [push.payload.id for _, push in links.caught(failing, NOW, told, "b:1")] == ids[:2]
    read = json.loads(first[0][1].payload.body)
    assert read["callback"] == {"event": "catch", "failure": json.loads(told)}
    assert read["id"] == read["uuid"] == ids[0]


def test_after_a_batch_its_chain_goes_on_or_hears_of_the_failure() -> None:
    """CHN-13, CHN-14."""
    waiting = chain(link("b"), catch=(link("c"),), broken=[link("x")])
    told = links.failure("ValueError", "bad", "", "{}")

    def pushed(*, cancelled: bool, told: str) -> list[dict[str, Any]]:
        pushes = links.after_batch(waiting, NOW, cancelled=cancelled, told=told, salt="batch")
        return [json.loads(push.payload.body) for push in pushes]

    [on] = pushed(cancelled=False, told="")
    assert (on["id"], "broken" in on["chain"]) == ("b", False)
    assert [each["callback"]["event"] for each in pushed(cancelled=True, told=told)] == ["catch", "catch"]
    [broken] = pushed(cancelled=True, told="")
    assert broken["callback"] == {"event": "catch"}
    assert links.after_batch(None, NOW, cancelled=False, told="", salt="batch") == ()
    assert waiting["broken"]


WRONG: list[Any] = [
    None,
    "text",
    [],
    {},
    {**chain(), "id": 1},
    {**chain(), "links": None},
    {**chain(), "links": [link()]},
    {**chain(), "links": "no json"},
    {**chain(), "links": "'text'"},
    {**chain(), "links": "[" * 5_000},
    {**chain(), "links": link().replace("'queue'", "'other'")},
    {**chain(), "links": links.written("database", "default", float("nan"), body())},
    {**chain(), "links": links.written("database", "default", None, body())},  # type: ignore[arg-type]
    {**chain(), "links": links.written("database", "default", 0, {"id": "b"})},
    {**chain(), "links": link(retryUntil="soon")},
    {**chain(), "catch": None},
    {**chain(), "catch": ["no json"]},
    {**chain(), "connection": 1},
]


@pytest.mark.parametrize("raw", WRONG)
def test_a_chain_that_could_not_go_on_is_refused_before_its_job_runs(raw: object) -> None:
    with pytest.raises(PayloadError, match="the payload's chain"):
        chain_of(raw)
