"""A redis server as a home: where it is, how it is asked, and the scripts that it runs.

Nothing is imported here: whoever only reads a configuration does not wait for it.
"""

TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname", "ssl_cert_reqs")
"""Settings of a ``rediss://`` connection that go to redis-py as they are."""

SETTINGS = ("url", "prefix", "block_for", "cluster", "username", "password", "socket_timeout", *TLS, "client")
"""Settings of a connection that say where its keys live and how they are reached."""
