"""What the settings are, where they come from, and that what is wrong is said before it is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qcore import App, Config, ConfigError, JobDefinitionError
from qcore.hiding import SECRET_KEYS
from qcore.sql import Database


def load(toml: str = "", *, file: str = "qcore.toml", **environ: str) -> Config:
    """Read the configuration of the current folder, which holds that file."""
    if toml:
        Path(file).write_text(toml)
    return Config.load(environ=environ)


def opened(config: Config) -> App:
    """What a process does at its start."""
    return App(config)


def test_the_defaults_are_a_file_beside_nothing(an_empty_folder: Path) -> None:
    config = load()

    assert ("database", "default", "default", ()) == (config.default, config.failed, config.store, config.imports)
    assert (an_empty_folder, "the defaults") == (config.root, config.source)
    assert ["database", "memory", "sync", "null"] == list(config.connections)
    assert {"keys": SECRET_KEYS} == config.redact


FULL = """
default = "fast"
failed = "null"
store = "memory"
imports = ["shop.jobs", "billing"]
[connections.fast]
driver = "database"
queue = "imports"
retry_after = 30.5
url = "sqlite:///data/q.sqlite3"
synchronous = "FULL"
[payload]
max_bytes = 5000
max_depth = 9
[worker]
tries = 3
backoff = [1, 5]
[redact]
keys = ["card"]
"""


@pytest.mark.parametrize(
    ("file", "toml"),
    [("qcore.toml", FULL), ("pyproject.toml", "[tool.qcore]" + FULL.replace("\n[", "\n[tool.qcore."))],
)
def test_a_file_says_it_all(file: str, toml: str) -> None:
    config = load(toml, file=file)

    assert (file, "fast", "null", "memory") == (config.source, config.default, config.failed, config.store)
    assert ("shop.jobs", "billing") == config.imports
    assert {
        "driver": "database",
        "queue": "imports",
        "retry_after": 30.5,
        "url": "sqlite:///data/q.sqlite3",
        "synchronous": "FULL",
    } == config.connections["fast"]
    assert ({"max_bytes": 5000, "max_depth": 9}, {"tries": 3, "backoff": [1, 5]}) == (config.payload, config.worker)
    assert {"keys": ("card",)} == config.redact
    app = opened(config)
    assert ("imports", 30.5) == (app.connection().default_queue, app.connection().driver.retry_after)


def test_the_nearest_file_counts_from_the_folder_upward(an_empty_folder: Path) -> None:
    inner = an_empty_folder / "project" / "src" / "deep"
    inner.mkdir(parents=True)
    (an_empty_folder / "qcore.toml").write_text('default = "null"')
    (an_empty_folder / "project" / "qcore.toml").write_text('default = "memory"')

    config = Config.load(inner, environ={})
    assert ("memory", an_empty_folder / "project") == (config.default, config.root)


def test_qcore_toml_counts_before_pyproject_toml_beside_it(an_empty_folder: Path) -> None:
    (an_empty_folder / "pyproject.toml").write_text('[tool.qcore]\ndefault = "null"')

    assert "memory" == load('default = "memory"').default


def test_a_pyproject_without_settings_is_still_the_root(an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (an_empty_folder / "pyproject.toml").write_text('[project]\nname = "x"')
    (an_empty_folder / "src").mkdir()
    monkeypatch.chdir("src")

    assert ("database", an_empty_folder) == (load().default, load().root)


def test_a_file_can_be_named(an_empty_folder: Path) -> None:
    (an_empty_folder / "conf").mkdir()
    (an_empty_folder / "conf" / "queue.toml").write_text('default = "null"')

    config = load('default = "memory"', QCORE_CONFIG="conf/queue.toml")
    assert ("null", an_empty_folder / "conf", "queue.toml") == (config.default, config.root, config.source)


# The environment, over the file, over the defaults.


def test_the_environment_beats_the_file_which_beats_the_defaults() -> None:
    file = '[payload]\nmax_bytes = 5\nmax_depth = 6\n[connections.database]\nqueue = "file"\nretry_after = 7'
    config = load(file, QCORE_PAYLOAD_MAX_DEPTH="8", QCORE_CONNECTIONS_DATABASE_QUEUE="env")

    assert {"max_bytes": 5, "max_depth": 8} == config.payload
    assert {"driver": "database", "queue": "env", "retry_after": 7} == config.connections["database"]


@pytest.mark.parametrize("variable", ["QUEUE_CONNECTION", "QCORE_CONNECTION", "QCORE_DEFAULT"])
def test_the_default_connection_can_stand_in_the_environment(variable: str) -> None:
    assert "memory" == load('default = "null"', **{variable: "memory"}).default


def test_the_own_variable_beats_the_one_of_everybody() -> None:
    assert "memory" == load(QUEUE_CONNECTION="null", QCORE_CONNECTION="memory").default


@pytest.mark.parametrize(
    ("variable", "text", "table", "value"),
    [
        ("QCORE_FAILED", "null", "failed", "null"),
        ("QCORE_STORE", "memory", "store", "memory"),
        ("QCORE_IMPORTS", "shop.jobs, billing,", "imports", ("shop.jobs", "billing")),
        ("QCORE_PAYLOAD_MAX_BYTES", "5000", "payload", {"max_bytes": 5000}),
        ("QCORE_WORKER_TRIES", "3", "worker", {"tries": 3}),
        ("QCORE_WORKER_SLEEP", "0.5", "worker", {"sleep": 0.5}),
        ("QCORE_WORKER_MAX_TIME", "60", "worker", {"max_time": 60}),
        ("QCORE_WORKER_QUEUE", "high,low", "worker", {"queue": "high,low"}),
        ("QCORE_WORKER_NAME", "007", "worker", {"name": "007"}),
        ("QCORE_REDACT_KEYS", "card, iban", "redact", {"keys": ("card", "iban")}),
    ],
)
def test_every_setting_has_a_variable(variable: str, text: str, table: str, value: object) -> None:
    assert value == getattr(load(**{variable: text}), table)


def test_the_settings_of_a_connection_have_variables() -> None:
    config = load(
        QCORE_CONNECTIONS_DATABASE_URL="sqlite:///env.sqlite3",
        QCORE_CONNECTIONS_DATABASE_RETRY_AFTER="30",
        QCORE_CONNECTIONS_MEMORY_QUEUE="42",
        QCORE_CONNECTIONS_NEW_ONE_DRIVER="memory",
    )

    assert {"driver": "database", "url": "sqlite:///env.sqlite3", "retry_after": 30} == config.connections["database"]
    assert {"driver": "memory", "queue": "42"} == config.connections["memory"]
    assert {"driver": "memory"} == config.connections["new_one"]


def test_the_name_of_a_connection_may_have_dashes_and_capitals() -> None:
    config = load('[connections.My-Own]\ndriver = "memory"', QCORE_CONNECTIONS_MY_OWN_QUEUE="env")

    assert {"driver": "memory", "queue": "env"} == config.connections["My-Own"]


def test_an_empty_variable_says_nothing() -> None:
    config = load('default = "memory"', QCORE_DEFAULT="", QUEUE_CONNECTION="", QCORE_CONNECTIONS_DATABASE_URL="")

    assert ("memory", {"driver": "database"}) == (config.default, config.connections["database"])


def test_variables_that_are_read_elsewhere_are_left_alone() -> None:
    assert load(QCORE_APP="pkg:app", PATH="/bin") == load()


@pytest.mark.parametrize(
    "variable", ["QCORE_TRIES", "QCORE_WORKER_SPEED", "QCORE_CONNECTIONS_DATABASE_PORT", "QCORE_X_Y"]
)
def test_an_unknown_variable_is_refused(variable: str) -> None:
    with pytest.raises(ConfigError, match=rf"the environment variable {variable} .*(QCORE_WORKER_TRIES|retry_after)"):
        load(**{variable: "3"})


# What is wrong is said at the start, with what would be right.


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (
            "defaults = 3",
            r"qcore\.toml: defaults is no setting; there are default, failed, store, imports, keys, connections",
        ),
        ("root = '/'", "root is no setting"),
        ("[worker]\nspeed = 3", r"\[worker\] has no speed; it has backoff, max_jobs"),
        ("[payload]\nbytes = 3", r"\[payload\] has no bytes; it has max_bytes, max_depth"),
        ("[redact]\nwords = 3", r"\[redact\] has no words; it has keys"),
        ("worker = 3", "worker is a table of settings, got 3"),
        ("connections = 3", "connections is a table of settings, got 3"),
        ("payload = []", r"payload is a table of settings, got \[\]"),
        ("[connections]\nmine = 3", "the connection 'mine' is a table that names its driver, got 3"),
        ("[connections]\ndatabase = 3", "the connection 'database' is a table"),
        ("[connections.mine]\nqueue = 'x'", "the connection 'mine' is a table that names its driver"),
        ("[connections.mine]\ndriver = 3", "the connection 'mine' is a table that names its driver"),
        ("[connections.mine]\ndriver = 'kafka'", "'kafka'; there are database, memory, null, redis, sync"),
        (
            "[connections.mine]\ndriver = 'memory'\nurl = 'x'",
            "no setting url; the driver 'memory' takes driver, queue, retry",
        ),
        ("[connections.database]\nretry_after = 'x'", "retry_after of the connection 'database' is a number.* got 'x'"),
        ("[connections.database]\nretry_after = -1", "retry_after of the connection 'database' is a number"),
        ("[connections.database]\nretry_after = 0", "retry_after of the connection 'database' is a number"),
        ("[connections.database]\nretry_after = true", "retry_after of the connection 'database' is a number"),
        ("[connections.database]\nretry_after = nan", "retry_after of the connection 'database' is a number"),
        ("[connections.database]\nretry_after = inf", "retry_after of the connection 'database' is a number"),
        ("[connections.database]\nqueue = 'a,b'", "queue of the connection 'database' is not right: 'a,b' cannot be"),
        ("[connections.database]\nqueue = 3", "queue of the connection 'database' is not right: a queue name is text"),
        ("[connections.database]\nurl = 3", "url of the connection 'database' is a text, got 3"),
        ("[connections.database]\nsynchronous = 1", "synchronous of the connection 'database' is a text, got 1"),
        ("imports = 3", r"qcore\.toml: imports is a list of names, got 3"),
        ("imports = [3]", "imports is a list of names"),
        ("imports = ['']", "imports is a list of names"),
        ("[redact]\nkeys = 3", r"\[redact\] keys is a list of names, got 3"),
        ("[redact]\nkeys = ['']", r"\[redact\] keys is a list of names"),
        ("[payload]\nmax_bytes = '1M'", "max_bytes"),
        ("default = 3", "default is the name of a connection, got 3"),
        ("failed = []", "failed is the name of a connection"),
        ("store = {}", "store is the name of a connection"),
        ("default = 'redis'", r"no connection 'redis' \(qcore\.toml\); there are database, memory, null, sync"),
        ("failed = 'redis'", "no connection 'redis'"),
        ("store = 'redis'", "no connection 'redis'"),
        ("default = ", r"qcore\.toml cannot be read: "),
        ("[a]\n[a]", r"qcore\.toml cannot be read: "),
    ],
)
def test_a_wrong_setting_is_named_at_the_start(toml: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        opened(load(toml))


@pytest.mark.parametrize("toml", ["tool = 3", "[tool]\nqcore = 3"])
def test_a_pyproject_with_nonsense_is_refused(toml: str) -> None:
    with pytest.raises(ConfigError, match=r"\[tool\.qcore\] is a table of settings, got 3"):
        load(toml, file="pyproject.toml")


@pytest.mark.parametrize("named", ["missing.toml", "."])
def test_a_named_file_that_cannot_be_read_is_refused(named: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(QCORE_CONFIG=named)


def test_a_file_that_is_no_text_is_refused(an_empty_folder: Path) -> None:
    (an_empty_folder / "qcore.toml").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ConfigError, match="cannot be read"):
        load()


def test_a_wrong_file_is_seen_although_a_variable_covers_it() -> None:
    """Nonsense in the file does not end in a traceback."""
    with pytest.raises(ConfigError):
        load("default = [", QCORE_DEFAULT="memory")
    assert load("connections = 3", QCORE_CONNECTIONS_DATABASE_QUEUE="x").connections["database"]["queue"] == "x"


@pytest.mark.parametrize(("variable", "text"), [("RETRY_AFTER", "soon"), ("RETRY_AFTER", "-5"), ("QUEUE", "a,b")])
def test_a_wrong_variable_is_refused(variable: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable.lower()} of the connection 'database' is"):
        opened(load(**{f"QCORE_CONNECTIONS_DATABASE_{variable}": text}))


# In code.


def test_a_config_in_code_is_checked_like_a_file(an_empty_folder: Path) -> None:
    wrong: list[dict[str, Any]] = [{"imports": 3}, {"default": None}, {"worker": {"speed": 1}}, {"redact": {"keys": 3}}]
    for settings in wrong:
        with pytest.raises(ConfigError):
            Config(**settings)
    config = Config(imports="jobs", root="folder")  # type: ignore[arg-type] # a text is taken for what is meant
    assert (("jobs",), an_empty_folder / "folder") == (config.imports, config.root)


def test_the_default_can_be_replaced() -> None:
    config = load("[connections.mine]\ndriver = 'memory'")

    assert replace(config, default="mine") == config.with_default("mine")
    assert "mine" == opened(config.with_default("mine")).connection().name


def test_a_wrong_queue_is_an_error_of_the_configuration() -> None:
    assert issubclass(JobDefinitionError, ConfigError)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (None, "{root}/.qcore/queue.sqlite3"),
        ("sqlite:///data/q.sqlite3", "{root}/data/q.sqlite3"),
        ("sqlite:///./q.sqlite3", "{root}/q.sqlite3"),
        ("sqlite+pysqlite:///q.sqlite3", "{root}/q.sqlite3"),
        ("sqlite:////var/lib/q.sqlite3", "/var/lib/q.sqlite3"),
    ],
)
def test_a_sqlite_file_lies_below_the_root(
    url: str | None, place: str, an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the current folder is: the dispatching process and the worker may have different ones."""
    (an_empty_folder / "src").mkdir()
    config = load("[connections.database]\n" + (f'url = "{url}"' if url else ""))
    monkeypatch.chdir("src")

    home = opened(config).connection().driver.home
    assert isinstance(home, Database)
    assert Path(place.format(root=an_empty_folder)) == Path(home.place)


def test_other_addresses_are_taken_as_they_are() -> None:
    app = opened(load('[connections.database]\nurl = "sqlite://"'))

    with pytest.raises(ConfigError, match="memory of its own"):
        app.connection().size()


def test_a_key_that_is_too_short_is_blamed_on_where_it_stands() -> None:
    with pytest.raises(ConfigError, match=r"^QCORE_KEYS: key number 1 has 5 characters"):
        load('default = "memory"', QCORE_KEYS="short")
    with pytest.raises(ConfigError, match=r"^qcore\.toml: keys: key number 1 has 5 characters"):
        load('keys = ["short"]')


def test_a_queue_that_was_made_marks_the_folder_of_a_project(an_empty_folder: Path) -> None:
    """Else a command that is said in a subfolder would make another queue there."""
    inner = an_empty_folder / "project" / "jobs" / "deep"
    inner.mkdir(parents=True)
    (an_empty_folder / "project" / ".qcore").mkdir()

    assert an_empty_folder / "project" == Config.load(inner, environ={}).root
    (an_empty_folder / "pyproject.toml").write_text("")
    assert an_empty_folder == Config.load(inner, environ={}).root


def test_the_queue_of_the_home_folder_is_that_of_no_project_below(
    an_empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = an_empty_folder / "home" / "project"
    inner.mkdir(parents=True)
    (an_empty_folder / ".qcore").mkdir()
    (an_empty_folder / "home" / ".qcore").mkdir()
    monkeypatch.setenv("HOME", str(inner.parent))

    assert inner == Config.load(inner, environ={}).root
    assert inner.parent == Config.load(inner.parent, environ={}).root
