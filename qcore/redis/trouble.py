"""What a server complains about, in one line that says what to do."""

from __future__ import annotations

import re

from redis import exceptions

from qcore.errors import DriverError

TROUBLE = (exceptions.RedisError, exceptions.RedisClusterException)
"""What redis-py raises when a server cannot be asked, or refuses."""

_CAUSES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.AuthenticationError, "refuses the user or password ({error}): correct them in the url or the settings"),
    (exceptions.AuthorizationError, "refuses the user or password ({error}): correct them in the url or the settings"),
    (exceptions.BusyLoadingError, "is loading its data: it will be back by itself"),
    (exceptions.ReadOnlyError, "is a replica, and cannot be written: name the primary, or connect through Sentinel"),
    (exceptions.OutOfMemoryError, "is out of memory (its maxmemory is reached): nothing was stored; give it more"),
    (exceptions.NoPermissionError, "does not let this user do that ({error}): see the ACL rules in docs/redis.md"),
    (exceptions.AskError, "is a node of a cluster: set cluster = true"),  # MovedError among them
    (exceptions.ClusterDownError, "is a cluster that is down ({error}): it will be back when its nodes are"),
    (exceptions.TimeoutError, "did not answer in time ({error})"),
    (exceptions.ConnectionError, "cannot be reached ({error}): is it running, and is the url right?"),
)

_WORDS = (
    ("max number of clients", "has no room for another connection: raise its maxclients, or run fewer workers"),
    ("NOAUTH", "wants a password: put it into the url or the settings"),
    ("WRONGPASS", "refuses the user or password: correct them in the url or the settings"),
    ("can't run this command", "does not let this user do that ({error}): see the ACL rules in docs/redis.md"),
    ("NOPERM", "does not let this user do that ({error}): see the ACL rules in docs/redis.md"),
    ("OOM", "is out of memory (its maxmemory is reached): nothing was stored; give it more"),
    ("READONLY", "is a replica, and cannot be written: name the primary, or connect through Sentinel"),
    ("LOADING", "is loading its data: it will be back by itself"),
    ("MASTERDOWN", "is a replica whose primary is down: it will be back by itself"),
    ("BUSY", "is busy with a script of somebody else: it will be back when that ends, or is killed"),
    (
        "WRONGTYPE",
        "holds something of another kind under a key of qcore ({error}): set another prefix for one of the two",
    ),
    ("MISCONF", "cannot write to its disk, and so refuses all writes: look at its log; nothing was stored"),
    ("NOREPLICAS", "has too few replicas to take writes: it will be back when they are"),
    ("DB index is out of range", "has no database of that number: the url ends with one, most servers have 0 to 15"),
    ("Cluster mode is not enabled", "is no cluster: leave the setting cluster out"),
    ("All slots are not covered", "is a cluster that is down ({error}): it will be back when its nodes are"),
    ("MOVED", "is a node of a cluster: set cluster = true"),  # as redis-py 5 says it
    ("non local key in a cluster node", "is a node of a cluster: set cluster = true"),
    ("certificate is not valid for", "has the certificate of another host ({error}): name the host as it does"),
    ("certificate has expired", "has a certificate that has expired: renew it"),
    ("certificate verify failed:", "has a certificate that is not trusted ({error}): name its CA by ssl_ca_certs"),
    ("No master found", "is no Sentinel that answers and knows this primary: do they run, and is its name right?"),
    ("unknown command 'SENTINEL'", "is no Sentinel: name one, or write redis:// for a server without"),
    ("unknown command 'EVALSHA'", "runs no scripts: is it a Sentinel? Then write redis+sentinel://HOST:PORT/NAME"),
    ("unknown command", "does not know a command ({error}): qcore needs redis 6.2 or newer"),
)

_FROM_SCRIPT = re.compile(r"^Error running script \(call to \w+\): (?:@user_script: ?\d+: )*-?")
"""What servers before 7.0 write before an error of a command in a script."""


def said_by(error: Exception) -> str:
    """Give what a server complained about in one line, from its code word on."""
    return _FROM_SCRIPT.sub("", " ".join(str(error).split()))


def explained(error: Exception, where: str) -> DriverError:
    """Make the error of a server one that a user can act on; raise it ``from`` the original."""
    if isinstance(error, exceptions.RedisClusterException) and isinstance(error.__cause__, TROUBLE):
        error = error.__cause__  # what the last node said
    said = said_by(error)[:200]
    for word, line in _WORDS:
        if said.startswith(word) or f" {word} " in f" {said} ":
            return DriverError(f"{where} {line.format(error=said)}")
    if isinstance(error, exceptions.TimeoutError) and where.startswith("rediss"):
        return DriverError(f"{where} did not answer in time ({said}): does it speak TLS there? redis:// is without")
    if where.startswith("redis://") and re.search("reset by peer|closed by server", said):
        return DriverError(
            f"{where} cannot be reached ({said}): is it running, and does it want TLS there? rediss:// is with"
        )
    for kind, line in _CAUSES:
        if isinstance(error, kind):
            return DriverError(f"{where} {line.format(error=said)}")
    return DriverError(f"{where}: {type(error).__name__}: {said}")
