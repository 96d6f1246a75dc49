"""An App in memory, and what jobs said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from qcore import App, Config
from tests.contrib.saying import said

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def app() -> Iterator[App]:
    said.clear()
    app = App(Config(default="memory"))
    with app.activate():
        yield app
    app.close()
