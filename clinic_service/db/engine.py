"""The engines: one for transactions, one for reads, and one that carries out revisions."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from clinic_service.config import Config, ConfigError

_POOL_WAIT_SECONDS = 2
_STATEMENT_TIMEOUT_SECONDS = 15
_BUSY_TIMEOUT_SECONDS = 5
# Revisions wait for each other, so they wait longer than a request does.
_REVISION_BUSY_TIMEOUT_SECONDS = 60


class Database:
    """The two engines of one database.

    `write_engine` is for transactions. On SQLite each one takes the write lock when it begins, so that it waits its
    turn instead of failing half-way; on PostgreSQL they are READ COMMITTED.
    `read_engine` is for single statements that need no transaction: no BEGIN, no ROLLBACK, and it refuses to write.
    """

    def __init__(self, url: str, *, sqlite_synchronous: str = "FULL", pool_size: int = 2) -> None:
        """Nothing connects yet. Raises ConfigError."""
        self.url = normal_url(url)
        pool: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": _POOL_WAIT_SECONDS}
        self.write_engine = _engine(self.url, sqlite_synchronous, **pool, **_transactions(self.url))
        # Set on the engine, because setting it at each checkout costs more than the statement; for the same reason
        # nothing is reset when a connection is given back: there is never anything to undo.
        self.read_engine = _engine(
            self.url,
            sqlite_synchronous,
            read_only=True,
            # A thread that prepares a request holds one connection while the embedded directory asks by another.
            **pool | {"pool_size": 2 * pool_size},
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            skip_autocommit_rollback=True,
        )
        _begin_immediate(self.write_engine)

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self.write_engine.dispose()
        self.read_engine.dispose()


def open_database(config: Config) -> Database:
    """The database that `config` names. Raises ConfigError."""
    return Database(config.database_url, sqlite_synchronous=config.sqlite_synchronous, pool_size=config.threads)


def normal_url(url: str) -> URL:
    """`url` with its driver named. Raises ConfigError."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("The database URL cannot be read; write sqlite:///FILE or postgresql://…") from None
    if parsed.get_backend_name() == "sqlite":
        return _file_url(parsed)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        _require_driver()
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"{parsed.get_backend_name()} is not supported; write sqlite:///FILE or postgresql://…")


def _require_driver() -> None:
    if find_spec("psycopg") is None:
        raise ConfigError("The driver for PostgreSQL is not installed: pip install 'clinic-service[postgresql]'")


def _file_url(url: URL) -> URL:
    in_memory = not url.database or ":memory:" in url.database or "memory" in url.query.get("mode", "")
    if in_memory:
        raise ConfigError(
            "SQLite in memory cannot be used, because several connections share the database; write sqlite:///FILE."
        )
    return url.set(drivername="sqlite+pysqlite")


def revision_engine(url: str) -> Engine:
    """An engine for changing the schema: it waits long, has no statement timeout and does not enforce foreign keys.

    SQLite rebuilds a table to change it, which with foreign keys on would delete the rows that refer to it.
    """
    target = normal_url(url)
    engine = _engine(target, "FULL", busy_timeout=_REVISION_BUSY_TIMEOUT_SECONDS, foreign_keys=False, timeout=0)
    _begin_immediate(engine)
    return engine


def _engine(
    url: URL,
    synchronous: str,
    *,
    busy_timeout: int = _BUSY_TIMEOUT_SECONDS,
    foreign_keys: bool = True,
    timeout: int = _STATEMENT_TIMEOUT_SECONDS,
    read_only: bool = False,
    **options: Any,
) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, **options)
        pragmas = _sqlite_pragmas(synchronous, busy_timeout, foreign_keys, read_only)
        event.listen(engine, "connect", partial(_set_up_sqlite, pragmas))
    else:
        # The driver itself decodes JSON, so it is told what to decode it with.
        arguments = {"options": _postgresql_options(url, timeout, read_only)}
        engine = create_engine(url, connect_args=arguments, json_deserializer=orjson.loads, **options)
        if timeout:
            _limit_waiting(engine, timeout)
    return engine


def _limit_waiting(engine: Engine, timeout: int) -> None:
    # Imported here, because who uses SQLite need not have the driver.
    from clinic_service.db.link import CONNECT_SECONDS, limited

    kind = limited(timeout)

    def connect(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Any:
        return kind.connect(*arguments, **{"connect_timeout": CONNECT_SECONDS} | options)

    event.listen(engine, "do_connect", connect)


def _transactions(url: URL) -> dict[str, Any]:
    # SQLite's own level for a writing transaction cannot be chosen: there is only one.
    return {} if url.get_backend_name() == "sqlite" else {"isolation_level": "READ COMMITTED"}


def _sqlite_pragmas(synchronous: str, busy_timeout: int, foreign_keys: bool, read_only: bool) -> list[str]:
    return [
        # First, so that the next one waits as well.
        f"busy_timeout = {busy_timeout * 1000}",
        "journal_mode = WAL",
        f"synchronous = {synchronous}",
        f"foreign_keys = {_switch(foreign_keys)}",
        # Each connection has a small cache of its own; what all of them read, they read from the system's.
        "cache_size = -8192",
        "mmap_size = 2147418112",
        "temp_store = MEMORY",
        f"query_only = {_switch(read_only)}",
    ]


def _set_up_sqlite(pragmas: list[str], connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself; `_begin_immediate` does.
    connection.isolation_level = None
    for pragma in pragmas:
        connection.execute(f"PRAGMA {pragma}")


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _begin_immediate(engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        return

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", on_begin)


def _postgresql_options(url: URL, timeout: int, read_only: bool) -> str:
    settings = {
        "statement_timeout": f"{timeout}s",
        "timezone": "UTC",
        "default_transaction_read_only": _switch(read_only),
        # Every question is a few look-ups: compiling it, or sharing it out among processes, takes longer than answering.
        "jit": "off",
        "max_parallel_workers_per_gather": 0,
        # The default is for disks that have to move an arm.
        "random_page_cost": 1.1,
        # Clinics are very different in size: to list one by a plan made for the average one is slow in the largest. What
        # transactions send are look-ups by key and new rows, for which one plan does.
        "plan_cache_mode": "force_custom_plan" if read_only else "auto",
    }
    ours = " ".join(f"-c {name}={value}" for name, value in settings.items())
    theirs = url.query.get("options", "")
    # What the URL says comes last, so it wins.
    return f"{ours} {theirs if isinstance(theirs, str) else ' '.join(theirs)}".strip()
