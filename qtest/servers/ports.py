"""Ports that nobody listens on."""

from __future__ import annotations

import secrets
import socket

_FIRST = 10_000
_LAST = 22_000
"""Below the ports from which clients call out, so that a server which is away for a moment gets its own back."""

CLUSTER_BUS = 10_000
"""The nodes of a redis cluster talk to each other on the port so much above their own."""


def free_port() -> int:
    """Find a port of this machine that is free, and the one of a cluster's bus above it, too."""
    while True:
        # Not `random`: test runners give it the same seed in each of their processes.
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if _is_free(port) and _is_free(port + CLUSTER_BUS):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
