"""The redis driver behind a proxy that hands answers on byte by byte, and stops or closes the connection within one."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

import pytest

from qcore.clock import SystemClock
from qcore.drivers.redis import RedisDriver
from qcore.errors import DriverError
from qcore.redis.client import client_of
from qcore.redis.home import RedisHome
from qtest.contract_base import payload
from qtest.servers.server import wait_for
from tests.contract.lost_answers import CALLS, Scene
from tests.contract.redis_home import parts_of, scene_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from qtest.servers import RedisServer


class Proxy:
    """Hands on what a client says as it is, and what the server answers one byte at a time."""

    def __init__(self, port: int) -> None:
        self.cuts: list[int] = []
        """After so many bytes of answers, from now on, the connection is closed; the next number counts from there."""
        self.stalls = False
        """True when it is not closed then: the rest comes when the client goes on talking."""
        self._heard = threading.Event()
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._start(self._hand_on, client, server)
            self._start(self._answer, server, client)

    def _hand_on(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while said := client.recv(65536):
                self._heard.set()
                server.sendall(said)
        except OSError:
            pass
        self._close(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while said := server.recv(65536):
                for byte in said:
                    self._heard.clear()
                    if self._is_cut() and not (self.stalls and self._heard.wait(60)):
                        return
                    client.sendall(bytes([byte]))
        except OSError:
            pass
        finally:
            self._close(client, server)

    def _is_cut(self) -> bool:
        if self.cuts:
            self.cuts[0] -= 1
            if self.cuts[0] < 0:
                self.cuts.pop(0)
                return True
        return False

    def _close(self, *ends: socket.socket) -> None:
        self._heard.set()
        for end in ends:
            with suppress(OSError):  # the other thread was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    redis_server.fresh()
    with Proxy(redis_server.port) as proxy:
        yield proxy


@pytest.fixture
def scene_of(proxy: Proxy) -> Iterator[Callable[[], Scene]]:
    """Make a scene like any other, which shares nothing with them but the server."""
    homes: list[RedisHome] = []

    def make() -> Scene:
        homes.append(RedisHome(client_of({"url": proxy.url}), prefix=f"{len(homes)}:"))
        return scene_on(homes[-1])

    yield make
    for home in homes:
        home.close()


OFTEN = [
    name
    for name in CALLS
    if name.startswith(("push", "reserve", "delete", "release", "extend")) and name != "delete with all that follows"
]
"""Without the one that reads a batch: that is a thousand bytes."""


@pytest.mark.parametrize("name", OFTEN)
def test_an_answer_may_break_off_at_any_byte(proxy: Proxy, scene_of: Callable[[], Scene], name: str) -> None:
    """The call is made again on another connection: nothing of the old answer is taken for that to another call."""
    plain = scene_of()
    expected = CALLS[name](plain)
    for at in count():
        scene = scene_of()
        proxy.cuts = [at]
        answer = CALLS[name](scene)
        if proxy.cuts:
            break
        assert (expected, plain.everything()) == (answer, scene.everything()), f"cut after {at} bytes"
    assert at > 3, "nothing was cut"


@pytest.mark.parametrize("name", ["push", "reserve", "delete", "delete with what follows and reserve"])
def test_after_an_answer_that_broke_off_twice_the_next_calls_are_answered_with_what_is_theirs(
    proxy: Proxy, redis_server: RedisServer, scene_of: Callable[[], Scene], name: str
) -> None:
    for at in count():
        scene = scene_of()
        proxy.cuts = [at, at]
        try:
            CALLS[name](scene)
        except DriverError as error:
            assert "cannot be reached" in str(error)  # noqa: PT017 - the last ones do not break off twice
        if proxy.cuts:
            break
        seen = scene.everything()
        direct = RedisHome(client_of({"url": redis_server.url}), prefix=scene.driver.home._prefix)
        scene.look_through(parts_of(direct, scene.clock))
        assert scene.everything() == seen, f"cut after {at} bytes"
        direct.close()
    assert at > 3, "nothing was cut"


@pytest.mark.parametrize("name", ["push", "reserve", "delete", "delete with what follows and reserve"])
def test_an_answer_that_comes_too_late_is_not_taken_for_that_to_the_next_call(
    proxy: Proxy, scene_of: Callable[[], Scene], name: str
) -> None:
    plain = scene_of()
    expected = CALLS[name](plain)
    proxy.stalls = True
    for at in (0, 1, 3):
        scene = scene_of()
        scene.driver.home.link()._raw._sock.settimeout(0.05)
        proxy.cuts = [at]
        assert expected == CALLS[name](scene)
        assert [] == proxy.cuts
        assert plain.everything() == scene.everything()


@pytest.mark.parametrize("at", range(0, 70, 5))
def test_a_call_that_wakes_a_worker_may_break_off_at_any_byte(proxy: Proxy, redis_server: RedisServer, at: int) -> None:
    waiting, pushing = (RedisHome(client_of({"url": url})) for url in (proxy.url, redis_server.url))
    driver = RedisDriver(waiting, SystemClock())
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(driver.reserve, ["default"], wait=60)
        assert wait_for(lambda: "blocked_clients:1" in redis_server.say("INFO clients"))
        proxy.cuts = [at]
        RedisDriver(pushing, SystemClock()).push("default", payload())
        reservation = found.result(60)
        pool.submit(waiting.close).result(60)
    pushing.close()

    assert reservation is not None
    assert "job" == reservation.payload.id
