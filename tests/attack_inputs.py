"""Input of somebody who means harm: names, ids, and payloads. Drivers are attacked by ``qtest.contract_names``."""

from __future__ import annotations

import json
from typing import Any

from qtest.contract_names import NAMES as NAMES  # noqa: PLC0414 - this is where tests look for it

REFUSED = {
    "empty",
    "a space at the end",
    "lines",
    "NUL",
    "a comma",
    "201 characters",
    "10 kB",
    "from right to left",
    "zero width",
    "a lone surrogate",
}
"""Names that no queue, connection or job may have; all others are carried."""

ALIASES = (
    "os.system",
    "os:system",
    "builtins.eval",
    "builtins:eval",
    "__main__.x",
    "qcore.Job",
    "qcore.jobs:Job",
    "job.__class__.__mro__",
    "attacked:Victim.handle",
    "attacked:Victim._secret",
    "attacked:Abstract",
    "attacked:victim",
    "ATTACKED:VICTIM",
    "attacked:Victim ",
    "../attacked:Victim",
    "",
    "x" * 10_000,
    "\ud800",
)
"""Names of jobs that a payload may bear, and behind which there is no job."""


def body(**fields: Any) -> dict[str, Any]:
    """Give the payload of a job that runs, changed."""
    return {
        "uuid": "attack",
        "displayName": "Victim",
        "job": "qcore:call",
        "data": {"commandName": "attacked:Victim", "command": {"name": "a"}},
        "id": "attack",
        **fields,
    }


def written(**fields: Any) -> bytes:
    """Write such a payload."""
    return json.dumps(body(**fields)).encode()


def _chain(links: str) -> dict[str, Any]:
    return {"id": "c", "links": links, "catch": [], "connection": None, "queue": None}


REFUSED_BODIES = {
    "a backoff with one bad number among 100 000": written(backoff=[0] * 100_000 + [-1]),
    "a chain of 10 000 links that are none": written(chain=_chain("~" * 10_000)),
    "a chain in itself": written(chain=_chain(json.dumps(_chain("x")))),
    "middleware that is a class of somebody": written(middleware=[{"$object": ["subprocess:Popen", {"args": "true"}]}]),
    "middleware that is a word": written(middleware="RateLimited"),
    "a delay that is a job": written(timeout={"$object": ["os:system", {}]}),
    "100 000 keys in place of a state": written(
        data={"commandName": "attacked:Victim", "command": dict.fromkeys(map(str, range(100_000)), 0)}, maxTries=-1
    ),
    "tags that are no words and a name that is none": written(displayName=5, tags=[{}]),
    "a retry until after the end of time": written(retryUntil=1e18),
    "17 MB": written(displayName="x" * 17_000_000, maxTries=-1),
}
"""Payloads that are no jobs: kept byte for byte, with a reason, and nothing of them is run."""

CARRIED_BODIES = {
    "attempts of its own": written(attempts=-1),
    "attempts as a text": written(attempts="9"),
    "too many attempts": written(attempts=1 << 63),
    "no tries": written(maxTries=0),
    "no time limit": written(timeout=0),
    "a backoff of 100 000": written(backoff=[0] * 100_000),
    "a delay of its own": written(delay=1e308),
    "a queue of its own": written(queue="other", connection="other"),
    "a field twice, the last counts": written().replace(b'{"uuid"', b'{"maxTries": -1, "uuid"', 1)[:-1]
    + b', "maxTries": 1}',
    "a field that looks like code": written(__class__="os.system", __proto__={"x": 1}),
}
"""Payloads that are strange, and jobs: they run once, as what they are."""

TERMINAL = "\x1b[2J\x1b]0;owned\x07\r\n2026-01-01 INFO fake\u202e\x9b31m"
"""Clears the screen, names the window, pretends to be another line, turns the text around."""
