"""The engines: one for transactions, one for reads, and one that carries out revisions."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from sqlalchemy import Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from clinic_service.config import Config, ConfigError
from clinic_service.db.limits import POOLER, PROBE, REQUEST, REVISION, Limits
from clinic_service.db.sqlite import begin_immediate, is_sqlite, sqlite_engine

_POOL_WAIT_SECONDS = 2
_UNREADABLE = "The database URL cannot be read; write sqlite:///FILE or postgresql://user:password@host:port/name"


class Database:
    """The two engines of one database.

    `write_engine` is for transactions. On SQLite each one takes the write lock when it begins, so that it waits its
    turn instead of failing half-way; on PostgreSQL they are READ COMMITTED.
    `read_engine` is for single statements that need no transaction: no BEGIN, no ROLLBACK, and it refuses to write.
    """

    def __init__(
        self, url: str, *, sqlite_synchronous: str = "FULL", pool_size: int = 2, limits: Limits = REQUEST
    ) -> None:
        """Nothing connects yet. Raises ConfigError."""
        self.url = normal_url(url)
        pool: dict[str, Any] = {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": _POOL_WAIT_SECONDS}
        self.write_engine = _engine(self.url, limits, synchronous=sqlite_synchronous, **pool, **_transactions(self.url))
        # Set on the engine, because setting it at each checkout costs more than the statement; for the same reason
        # nothing is reset when a connection is given back: there is never anything to undo.
        self.read_engine = _engine(
            self.url,
            limits,
            synchronous=sqlite_synchronous,
            read_only=True,
            # A thread that prepares a request holds one connection while the embedded directory asks by another.
            **pool | {"pool_size": 2 * pool_size},
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            skip_autocommit_rollback=True,
        )
        if is_sqlite(self.url):
            begin_immediate(self.write_engine)

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self.write_engine.dispose()
        self.read_engine.dispose()


def open_database(config: Config) -> Database:
    """The database that `config` names. Raises ConfigError."""
    return Database(config.database_url, sqlite_synchronous=config.sqlite_synchronous, pool_size=config.worker_threads)


def normal_url(url: str) -> URL:
    """`url` with its driver named. Raises ConfigError."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(_UNREADABLE) from None
    if is_sqlite(parsed):
        return _file_url(parsed)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return _server_url(parsed)
    raise ConfigError(f"{parsed.get_backend_name()} is not supported; write sqlite:///FILE or postgresql://…")


def _server_url(url: URL) -> URL:
    _require_driver()
    if url.query.get(POOLER, "transaction") != "transaction":
        raise ConfigError("The database URL names a kind of pooler that is not known; write pooler=transaction.")
    return url.set(drivername="postgresql+psycopg")


def _require_driver() -> None:
    if find_spec("psycopg") is None:
        raise ConfigError("The driver for PostgreSQL is not installed: pip install 'clinic-service[postgresql]'")


def _file_url(url: URL) -> URL:
    file = url.database or ""
    if not file or ":memory:" in file or "memory" in url.query.get("mode", ""):
        raise ConfigError(
            "SQLite in memory cannot be used, because several connections share the database; write sqlite:///FILE."
        )
    if url.host or url.query or file.startswith("file:"):
        raise ConfigError("The URL of an SQLite database names a file and nothing else; write sqlite:///FILE.")
    return url.set(drivername="sqlite+pysqlite")


def revision_engine(url: str) -> Engine:
    """An engine for changing the schema: it waits long, has no statement timeout and does not enforce foreign keys.

    SQLite rebuilds a table to change it, which with foreign keys on would delete the rows that refer to it.
    """
    target = normal_url(url)
    engine = _engine(target, REVISION, foreign_keys=False)
    if is_sqlite(target):
        begin_immediate(engine)
    return engine


def probe_engine(url: URL) -> Engine:
    """An engine for the question whether the database can be used: it connects each time, and waits for nothing long."""
    # What it writes may be lost when the power fails.
    return _engine(url, PROBE, synchronous="NORMAL", isolation_level="AUTOCOMMIT", poolclass=NullPool)


def _engine(
    url: URL,
    limits: Limits,
    *,
    synchronous: str = "FULL",
    foreign_keys: bool = True,
    read_only: bool = False,
    **options: Any,
) -> Engine:
    if is_sqlite(url):
        return sqlite_engine(
            url, limits, synchronous=synchronous, foreign_keys=foreign_keys, read_only=read_only, **options
        )
    # Its driver need not be installed where nobody uses it.
    from clinic_service.db.postgresql import postgresql_engine

    return postgresql_engine(url, limits, read_only=read_only, **options)


def _transactions(url: URL) -> dict[str, Any]:
    # SQLite's own level for a writing transaction cannot be chosen: there is only one.
    return {} if is_sqlite(url) else {"isolation_level": "READ COMMITTED"}
