"""The redis driver on a real server that is lost, restarted, full, a replica, or whose answers are lost."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import ConnectionError as LostError
from redis.exceptions import ResponseError

from qcore.batches import BatchRecord, BatchStep, State
from qcore.clock import SystemClock
from qcore.driver import Effects, Lock, Payload, Push, Reservation, Settled, Unlock
from qcore.drivers.redis import RedisDriver
from qcore.errors import DriverError
from qcore.redis.client import client_of
from qcore.redis.home import RedisHome
from qcore.redis.link import Link
from qcore.redis.waiting import Waiter
from qcore.stores.redis import RedisFailedStore, RedisStore
from qcore.stores.redis_batches import RedisBatchStore
from qtest.clock import FrozenClock
from qtest.contract_base import payload, pushed_and_reserved, reserved
from qtest.contract_records import BATCH, EVERY, new_batch
from qtest.servers import RedisServer
from tests.contract.lost_answers import CALLS, FAILED, LOCKED, Scene
from tests.contract.redis_home import scene_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qcore.redis.script import Script


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return redis_server.fresh()


@pytest.fixture
def home(url: str) -> Iterator[RedisHome]:
    home = RedisHome(client_of({"url": url}))
    yield home
    home.close()


@pytest.fixture
def driver(home: RedisHome) -> RedisDriver:
    return RedisDriver(home, FrozenClock())


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A server that may be broken, and is not shared."""
    with RedisServer(appendfsync="always") as server:
        yield server


@pytest.fixture
def on_own(own_server: RedisServer) -> Iterator[RedisDriver]:
    home = RedisHome(client_of({"url": own_server.url, "socket_timeout": 30}))
    yield RedisDriver(home, SystemClock())
    home.close()


class Losing:
    """Lets the server do what it is asked, and loses its answer: once, for each time it is armed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = self.lost = 0
        ask = Link.ask

        def asked(link: Link, command: bytes) -> object:
            answer: object = ask(link, command)
            if self.left:
                self.left, self.lost = self.left - 1, self.lost + 1
                link.close()
                raise LostError("the answer was lost")
            return answer

        monkeypatch.setattr(Link, "ask", asked)


@pytest.fixture
def losing(monkeypatch: pytest.MonkeyPatch, home: RedisHome) -> Losing:
    home.link()
    return Losing(monkeypatch)


@pytest.mark.parametrize("lost", [1, 2, 3])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_whose_answer_is_lost_is_made_again_and_changes_nothing(
    url: str, losing: Losing, call: Callable[[Scene], object], lost: int
) -> None:
    """Of a call that asks several times, each answer is lost once; the third time is for those that ask thrice."""
    quiet, loud = (RedisHome(client_of({"url": url}), prefix=prefix) for prefix in ("quiet:", "loud:"))
    scenes = scene_on(quiet), scene_on(loud)
    expected = call(scenes[0])
    loud.link()
    ask = Link.ask
    asked = 0

    def lose_one(link: Link, command: bytes) -> object:
        nonlocal asked
        asked += 1
        losing.left = int(asked == lost)
        return ask(link, command)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "ask", lose_one)
        answer = call(scenes[1])

    assert expected == answer
    assert scenes[0].everything() == scenes[1].everything()
    assert losing.lost == (1 if asked > lost else 0)
    quiet.close()
    loud.close()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("fault", ["SCRIPT FLUSH", "CLIENT KILL TYPE normal"])
def test_scripts_and_connections_may_be_lost_before_any_call(
    url: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, call: Callable[[Scene], object], fault: str
) -> None:
    quiet, loud = (RedisHome(client_of({"url": url}), prefix=prefix) for prefix in ("quiet:", "loud:"))
    scenes = scene_on(quiet), scene_on(loud)
    expected = call(scenes[0])
    run = RedisHome.run

    def run_after_fault(home: RedisHome, script: Script, *arguments: Any, **now: bytes) -> object:
        redis_server.say(fault)
        return run(home, script, *arguments, **now)

    with monkeypatch.context() as patch:
        patch.setattr(RedisHome, "run", run_after_fault)
        answer = call(scenes[1])

    assert expected == answer
    assert scenes[0].everything() == scenes[1].everything()
    quiet.close()
    loud.close()


@pytest.mark.parametrize("failing", [True, False], ids=["failing", "succeeding"])
def test_who_repeats_a_delete_does_not_take_the_end_that_another_gave_the_job_for_its_own(
    home: RedisHome, monkeypatch: pytest.MonkeyPatch, *, failing: bool
) -> None:
    """The call was lost on its way, and before it came again the job ended otherwise: it cannot be done and failed."""
    scene = scene_on(home)
    scene.clock.advance(91)
    newer = reserved(scene.driver)
    mine, other = (newer, scene.held) if failing else (scene.held, newer)
    ask = Link.ask

    def lose_call_while_another_ends_it(link: Link, _: bytes) -> object:
        monkeypatch.setattr(Link, "ask", ask)
        assert scene.driver.delete(other, only_last=not failing) in {Settled.DONE, Settled.LATE}
        link.close()
        raise LostError("lost on its way")

    monkeypatch.setattr(Link, "ask", lose_call_while_another_ends_it)

    assert Settled.GONE is scene.driver.delete(mine, only_last=failing)


def test_who_repeats_a_failure_knows_it_again_after_the_job_has_failed_before(losing: Losing, home: RedisHome) -> None:
    """The mark that a failure leaves is of one life of the job only; and it does not stay."""
    scene = scene_on(home)
    losing.left = 1
    assert Settled.DONE is scene.driver.delete(scene.held, only_last=True)
    again = pushed_and_reserved(scene.driver)
    losing.left = 1
    assert Settled.DONE is scene.driver.delete(again)

    [mark] = home.client._raw.keys("qcore:ended:*")
    assert 0 < home.client._raw.pttl(mark) <= 60_000


def test_what_is_refused_takes_no_other_job_ahead(home: RedisHome, driver: RedisDriver) -> None:
    """Nobody would run it: its worker has only heard of the refusal."""
    driver.bulk([Push("default", payload("first")), Push("default", payload("second")), Push("default", payload())])
    _, held = driver.delete_and_reserve(
        reserved(driver), ["default"], effects=Effects((Push("next", payload("link")),), unlocks=(Unlock("key", "me"),))
    )
    assert held is not None
    home.client._raw.set("queues:refused", "of somebody else")

    with pytest.raises(DriverError, match="WRONGTYPE"):
        driver.delete_and_reserve(held, ["default"], effects=Effects((Push("refused", payload("other")),)))

    found = [(each.payload.id, each.state, each.attempts) for each in driver.listed("default")]
    assert [("job", "ready", 0), ("second", "reserved", 1)] == found


def test_a_connection_that_is_lost_twice_is_told_in_one_line(losing: Losing, driver: RedisDriver) -> None:
    losing.left = 2
    with pytest.raises(
        DriverError, match=r"^redis://127.0.0.1:\d+/0 cannot be reached \(the answer was lost\)"
    ) as info:
        driver.push("default", payload())

    assert "\n" not in str(info.value)
    assert reserved(driver).attempts == 1


def test_a_connection_on_which_a_call_was_interrupted_is_never_used_again(
    home: RedisHome, driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.push("default", payload("first"))
    driver.push("default", payload("second"))
    driver.reserve(["empty"])  # the server knows the script
    interrupted = home.link()

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupted._raw, "read_response", interrupt)
    with pytest.raises(KeyboardInterrupt):
        driver.reserve(["default"])

    assert not interrupted.usable
    assert home.link() is not interrupted
    assert "second" == reserved(driver).payload.id


def test_jobs_and_reservations_outlive_the_server(own_server: RedisServer, on_own: RedisDriver) -> None:
    on_own.push("default", payload("ready"))
    on_own.push("default", payload("delayed"), delay=3600)
    held = reserved(on_own)
    own_server.kill()
    with pytest.raises(DriverError, match="cannot be reached"):
        on_own.size("default")
    own_server.restart()

    assert 2 == on_own.size("default")
    assert on_own.delete(held, only_last=True) is Settled.DONE
    on_own.push("default", payload("ready"))
    assert reserved(on_own).token > held.token


def test_a_waiting_worker_outlives_the_server(own_server: RedisServer, on_own: RedisDriver) -> None:
    """It is told, waits again, and then hears of a push."""
    waiting, told, found = threading.Event(), threading.Event(), list[Reservation | None]()

    def work() -> None:
        waiting.set()
        try:
            on_own.reserve(["default"], wait=60)
        except DriverError:
            told.set()
        back.wait(60)
        found.append(on_own.reserve(["default"], wait=60))
        on_own.home.close()

    back = threading.Event()
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    waiting.wait(60)
    own_server.kill()
    assert told.wait(60)
    own_server.restart()
    back.set()
    on_own.push("default", payload())
    thread.join(60)

    assert ["job"] == [each and each.payload.id for each in found]


def test_a_full_server_takes_no_push_and_all_that_frees_memory(own_server: RedisServer, on_own: RedisDriver) -> None:
    for job_id in ("a", "b", "c", "d"):
        on_own.push("default", payload(job_id))
    first = reserved(on_own)
    own_server.say("CONFIG SET maxmemory 1")

    with pytest.raises(DriverError, match=r"is out of memory \(its maxmemory is reached\): nothing was stored"):
        on_own.push("default", payload("more"))
    second, third = reserved(on_own), reserved(on_own)
    assert [Settled.DONE] * 3 == [
        on_own.release(first),
        on_own.extend(second, 60),
        on_own.delete(third, effects=Effects(failed=FAILED._replace(payload=payload("c"))), only_last=True),
    ]
    assert on_own.delete(second, effects=Effects(pushes=(Push("next", payload("link")),))) is Settled.DONE
    own_server.say("CONFIG SET maxmemory 0")
    assert ["a", "d"] == [each.payload.id for each in sorted(on_own.listed("default"))][:2]
    assert ["c"] == [record.id for record in RedisFailedStore(on_own.home).listed()]
    assert on_own.find("more") is None


def test_a_replica_is_named_and_a_primary_again_is_used(own_server: RedisServer, on_own: RedisDriver) -> None:
    """As after a failover."""
    on_own.push("default", payload())
    own_server.say("REPLICAOF 127.0.0.1 1")
    with pytest.raises(DriverError, match="is a replica, and cannot be written: name the primary"):
        on_own.reserve(["default"])
    own_server.say("REPLICAOF NO ONE")

    assert "job" == reserved(on_own).payload.id


def test_a_server_before_7_0_is_understood_when_it_refuses_a_command_of_a_script(
    driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code word of its error stands behind where in the script that was. As after a failover, it is asked again."""
    driver.push("default", payload())
    ask, where = Link.ask, "Error running script (call to f_57a3c133): @user_script:75: @user_script: 75: -"

    def refusing(link: Link, command: bytes) -> object:
        if b"EVALSHA" not in command or not refusals:
            return ask(link, command)
        raise ResponseError(where + refusals.pop())

    monkeypatch.setattr(Link, "ask", refusing)
    refusals = ["READONLY You can't write against a read only replica."]
    assert "job" == reserved(driver).payload.id
    refusals = ["OOM command not allowed when used memory > 'maxmemory'."]
    with pytest.raises(DriverError, match="is out of memory"):
        driver.push("default", payload("other"))


def test_the_notes_that_wake_workers_do_not_pile_up(driver: RedisDriver, redis_server: RedisServer) -> None:
    driver.bulk(Push("default", payload(str(number))) for number in range(500))
    for number in range(20):
        driver.push("default", payload(f"delayed {number}"), delay=30 - number)

    assert int(redis_server.say("LLEN queues:default:notify")) <= 16


def test_nothing_is_left_when_all_is_done(driver: RedisDriver, home: RedisHome, redis_server: RedisServer) -> None:
    """But for the counter of tokens, the names of queues until somebody looks, and a few notes."""
    driver.push_locked(LOCKED)
    driver.push("default", payload(), delay=-1)
    driver.delete(reserved(driver), effects=Effects(unlocks=(Unlock("key", "locked"),)))
    held = reserved(driver)
    driver.release(held, verdict="killed")
    driver.delete(held)
    assert [] == driver.counts()

    assert {b"qcore:tokens", b"queues:default:notify"} == set(home.client._raw.keys("*"))
    assert 0 < int(redis_server.say("TTL queues:default:notify")) <= 3600, "one would stay for each name of a queue"


def test_what_others_put_into_a_list_comes_as_it_is(driver: RedisDriver, home: RedisHome) -> None:
    """The push of another library, or an id whose payload somebody removed: to be refused by who reads it, not lost."""
    home.client._raw.rpush("queues:default", b'{"job": "\xff"}')
    driver.push("default", payload("gone"))
    home.client._raw.delete("qcore:job:gone")
    first, second = reserved(driver), reserved(driver)

    assert [b'{"job": "\xff"}', b"gone"] == [each.payload.body for each in (first, second)]
    assert [Settled.DONE] * 2 == [driver.delete(each, only_last=True) for each in (first, second)]
    assert driver.counts() == []


def test_how_long_jobs_wait_is_told_by_the_time_of_the_server(home: RedisHome) -> None:
    class Ahead(SystemClock):
        now = staticmethod(lambda: SystemClock.now() + 3600)

    ahead = RedisDriver(home, Ahead())
    ahead.push("default", payload())
    ahead.push("later", payload("later"), delay=0.001)
    [default] = [each for each in ahead.counts() if each.queue == "default"]

    assert default.waited is not None
    assert 0 <= default.waited < 60


def test_what_others_put_into_the_sorted_sets_stops_no_queue(driver: RedisDriver, home: RedisHome) -> None:
    """Laravel has the same names: its payloads are the members, and their scores are whole seconds."""
    home.client._raw.zadd("queues:default:delayed", {"theirs, delayed": 5})
    home.client._raw.zadd("queues:default:reserved", {"theirs, reserved": 5})
    driver.push("default", payload("ours"))

    assert 3 == driver.size("default")
    assert ["ours"] == [each.payload.id for each in driver.listed("default")]
    taken = [reserved(driver) for _ in range(3)]
    assert {b"theirs, delayed", b"theirs, reserved"} == {each.payload.body for each in taken[:2]}
    assert "ours" == taken[2].payload.id


def test_what_others_put_there_is_cleared_and_counted(driver: RedisDriver, home: RedisHome) -> None:
    home.client._raw.rpush("queues:default", *(f"theirs {number}" for number in range(500)))
    home.client._raw.zadd("queues:default:delayed", {f"theirs {number}": 5 for number in range(500)})
    driver.push("default", payload("ours"))

    assert 1001 == driver.clear("default")
    assert 0 == driver.size("default")


def test_who_may_not_block_looks_for_jobs_and_says_so_once(
    url: str, home: RedisHome, caplog: pytest.LogCaptureFixture
) -> None:
    home.client._raw.execute_command("ACL", "SETUSER", "worker", "on", ">pw", "~*", "+@all", "-@blocking")
    not_blocking = RedisHome(client_of({"url": url, "username": "worker", "password": "pw"}))
    waiter, clock = Waiter(not_blocking), FrozenClock()
    waiter._clock = clock  # type: ignore[assignment]
    start = clock.monotonic()

    for _ in range(1_000):
        waiter.wait((b"default",), 60)
    not_blocking.close()
    home.client._raw.execute_command("ACL", "DELUSER", "worker")

    assert 49 < clock.monotonic() - start < 50
    assert 1 == len(caplog.messages)
    assert "does not let this user do that" in caplog.text
    assert "looking for jobs every 50 ms until it can be waited on" in caplog.text


def test_failed_jobs_are_read_in_pieces_that_keep_the_server_busy_for_a_moment_only(
    home: RedisHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, answers = RedisFailedStore(home), list[object]()
    for number in range(205):
        failed.add(FAILED._replace(payload=payload(f"job {number}")))
    run = RedisHome.run

    def noting(home: RedisHome, *arguments: Any, **more: Any) -> object:
        answers.append(answer := run(home, *arguments, **more))
        return answer

    monkeypatch.setattr(RedisHome, "run", noting)

    assert [f"job {number}" for number in reversed(range(205))] == [each.payload.id for each in failed.listed()]
    assert max(len(answer) for answer in answers if isinstance(answer, list)) <= 200
    assert 205 == failed.flush()


def test_only_the_answers_of_a_server_nearby_are_stayed_awake_for(home: RedisHome) -> None:
    class Poll:
        looks = 0

        def poll(self, timeout: int) -> list[object]:
            assert timeout == 0
            self.looks += 1
            return []

    held = home.link()
    held._poll = poll = Poll()  # type: ignore[assignment]
    held._far = 0
    answers = [held.ask(b"*2\r\n$4\r\nECHO\r\n$1\r\n%d\r\n" % (number % 10)) for number in range(42)]

    assert [b"%d" % (number % 10) for number in range(42)] == answers
    assert 2 * 400 == poll.looks, "after a look that was in vain, twenty calls do without"


def test_a_key_of_somebody_else_is_told(driver: RedisDriver, home: RedisHome) -> None:
    home.client._raw.set("queues:default", "mine")

    with pytest.raises(DriverError, match="holds something of another kind under a key of qcore"):
        driver.push("default", payload())


NAMES = [
    "a" * 200, "a b", "a\r\nDEL 1", "a\0b", "{x}", "a}b{", "x:delayed", "x:delayed:", "x:reserved", "x:notify", "*",
    "?[a]",
    "../../etc/passwd", "';DROP TABLE jobs;--", "%s%n", "${jndi:x}", "-x", "\u202eabc", "a\u200bb", "e\u0301", "\u00e9",
    "Default", "default", "default ", "tokens", "qcore:tokens", "",
]  # fmt: skip


@pytest.mark.parametrize("name", ["queues:next", "queues:next:delayed", "queues:next:notify"])
def test_a_job_is_not_lost_when_what_follows_it_meets_a_key_of_somebody_else(
    driver: RedisDriver, home: RedisHome, name: str
) -> None:
    home.client._raw.set(name, "theirs")
    held = pushed_and_reserved(driver)

    with pytest.raises(DriverError, match="holds something of another kind"):
        driver.delete(held, effects=Effects(pushes=(Push("next", payload("follow-up")),)))

    assert Settled.DONE == driver.delete(held)


def test_any_name_is_carried_and_none_is_another(driver: RedisDriver, home: RedisHome) -> None:
    """Of queues, jobs, keys, batches and their members."""
    store, batches = RedisStore(home, FrozenClock()), RedisBatchStore(home, FrozenClock())
    for name in NAMES:
        driver.push(name, payload(name, name.encode()))
        store.put(name, f"of {name}")
        batches.create(new_batch(EVERY, name))
        batches.add(name, [name], [])

    assert sorted(NAMES) == [count.queue for count in driver.counts()]
    assert NAMES == [reserved(driver, name).payload.id for name in NAMES]
    assert [f"of {name}" for name in NAMES] == [store.get(name) for name in NAMES]
    assert [[name] for name in NAMES] == [batches.members(name, State.PENDING) for name in NAMES]
    assert sorted(NAMES) == sorted(batch.id for batch in batches.listed())
    assert [1] * len(NAMES) == [driver.clear(name) for name in NAMES]


@pytest.mark.parametrize("name", ["a" * 513, "\u00e9" * 257, "a\ud800"])
def test_a_name_that_no_server_should_hold_is_refused_before_anything_is_sent(driver: RedisDriver, name: str) -> None:
    with pytest.raises(DriverError, match="cannot"):
        driver.push(name, payload())
    with pytest.raises(DriverError, match="cannot"):
        driver.push("default", payload(name))
    with pytest.raises(DriverError, match="cannot"):
        driver.push_locked(Push("default", payload(), 0, Lock(name, "job", None)))

    assert driver.counts() == []


BODIES = {
    "null": b"null", "truncated": b'{"a', "BOM": b"\xef\xbb\xbf{}", "UTF-16": "{}".encode("utf-16"), "NaN": b"NaN",
    "a huge integer": b"9" * 5000, "deep": b"[" * 100_000, "double keys": b'{"a":1,"a":2}', "RESP": b"$-1\r\n*3\r\n",
    "64 KiB + 1": b"x" * 65_537, "16 MiB": b"\0\xff" * (8 << 20),
}  # fmt: skip


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_any_bytes_are_carried_everywhere(driver: RedisDriver, home: RedisHome, body: bytes) -> None:
    driver.push("default", payload("job", body))
    held = reserved(driver)
    found = driver.find("job")
    driver.delete(held, effects=Effects(failed=FAILED._replace(payload=held.payload)), only_last=True)
    failed = RedisFailedStore(home).find("job")

    assert [body] * 3 == [each and each.payload.body for each in (held, found, failed)]


def test_a_body_that_no_server_takes_is_refused_before_it_is_sent(
    driver: RedisDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qcore.redis.records.LARGEST", 10)

    with pytest.raises(DriverError, match="redis cannot hold a payload of 11 bytes"):
        driver.push("default", payload("job", b"x" * 11))


def test_a_forked_process_has_connections_of_its_own(url: str) -> None:
    script = """
    import os, sys
    from qcore.clock import SystemClock
    from qcore.driver import Payload
    from qcore.drivers.redis import RedisDriver
    from qcore.redis.client import client_of
    from qcore.redis.home import RedisHome
    home = RedisHome(client_of({"url": sys.argv[1]}))
    driver = RedisDriver(home, SystemClock())
    driver.push("default", Payload("of parent", b""))
    mine = home.link()
    child = os.fork()
    if child == 0:
        driver.push("default", Payload("of child", b""))
        assert not mine.usable and home.link() is not mine
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert home.link() is mine
    print(driver.size("default"), mine.usable)
    """
    said = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script), url],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ("2 True\n", "") == (said.stdout, said.stderr)


def test_a_batch_that_others_change_meanwhile_is_counted_anew(home: RedisHome, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading it and deleting a member somebody else counts another one."""
    on = scene_on(home)
    on.batches.close(BATCH, 1.0)
    effects, counted = RedisDriver._effects, list[str]()

    def effects_while_another_is_counted(driver: RedisDriver, effects_: Effects) -> list[bytes | str | int]:
        made = effects(driver, effects_)
        if not counted:
            counted.append("b")
            on.batches.settle(BatchStep(BATCH, "b", State.DONE, 1.0))
        return made

    monkeypatch.setattr(RedisDriver, "_effects", effects_while_another_is_counted)
    settled = on.driver.delete(on.held, effects=Effects(batch=BatchStep(BATCH, "job", State.DONE, 2.0)))

    found = on.batches.find(BATCH)
    assert isinstance(found, BatchRecord)
    assert (Settled.DONE, 2, 0, 2.0) == (settled, found.done, found.pending, found.finished_at)
    assert 2 == on.driver.size("callbacks")


def test_a_million_is_not_moved_when_it_falls_due(driver: RedisDriver, redis_server: RedisServer) -> None:
    """A reserve of one of many looks at the first only: the server counts the commands it runs for it."""
    clock = driver._clock
    assert isinstance(clock, FrozenClock)

    def commands() -> int:
        redis_server.say("CONFIG RESETSTAT")
        reserved(driver)
        said = driver.home.client._raw.info("commandstats")
        # Not those of whoever asks: redis-py names itself to servers that want to know.
        return sum(its["calls"] for name, its in said.items() if not re.search("config|client", name))

    driver.bulk(Push("default", Payload(str(number), b""), 5) for number in range(1000))
    clock.advance(5)
    driver.reserve(["empty"])  # the server knows the script
    first = commands()
    driver.bulk(Push("default", Payload(f"more {number}", b""), 5) for number in range(3000))
    clock.advance(100)

    assert first == commands()
