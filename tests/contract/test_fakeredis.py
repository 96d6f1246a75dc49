"""The redis driver and its stores keep every promise on a fake server, which runs the same scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fakeredis
import pytest

from qcore.redis.client import Client
from qcore.redis.home import RedisHome
from tests.contract.redis_home import Batched, Driven, Failed, Stored

if TYPE_CHECKING:
    from collections.abc import Iterator


class OnFake:
    """A server of its own for each test."""

    @pytest.fixture(autouse=True)
    def _home(self) -> Iterator[None]:
        client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        self.home = RedisHome(lambda: Client(client, "the fake server"))
        yield
        self.home.close()


class TestDriver(OnFake, Driven):
    pass


class TestBatchStore(OnFake, Batched):
    pass


class TestStore(OnFake, Stored):
    pass


class TestFailedStore(OnFake, Failed):
    pass
