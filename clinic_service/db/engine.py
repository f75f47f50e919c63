"""The engines: for transactions, for reads, for revisions and for probes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from sqlalchemy import Engine, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from clinic_service.config import Config, ConfigError
from clinic_service.db.limits import POOLER, PROBE, REQUEST, REVISION, Timeouts
from clinic_service.db.pools import KeptConnections, MeasuredPool, ReadPool, WritePool
from clinic_service.db.sqlite import begin_immediate, is_sqlite, sqlite_engine

_POOL_WAIT_SECONDS = 2
_UNREADABLE = "The database URL cannot be read; write sqlite:///FILE or postgresql://user:password@host:port/name"


class Database:
    """The two engines of one database.

    `write_engine` is for transactions. On SQLite each one takes the write lock when it begins, so that it waits then
    and does not fail later. On PostgreSQL transactions are READ COMMITTED. `read_engine` is for single statements that
    need no transaction. It sends no BEGIN and no ROLLBACK, and refuses to write. `writers` and `readers` are the
    connections of these engines for units.
    """

    def __init__(
        self, url: str, *, sqlite_synchronous: str = "FULL", pool_size: int = 2, limits: Timeouts = REQUEST
    ) -> None:
        """Does not connect yet. Raises ConfigError."""
        self.url = normal_url(url)
        # Up to `pool_size` connections are kept for units. The rest are for those who take one from the engine.
        pool: dict[str, Any] = {"max_overflow": 0, "pool_timeout": _POOL_WAIT_SECONDS}
        self.write_engine = _engine(
            self.url,
            limits,
            synchronous=sqlite_synchronous,
            poolclass=WritePool,
            pool_size=pool_size + 1,
            **pool,
            **_transactions(self.url),
        )
        # The isolation level is set on the engine, because setting it at each checkout costs more than the statement.
        # For the same reason connections are not reset when they return to the pool: there is never anything to roll
        # back.
        self.read_engine = _engine(
            self.url,
            limits,
            synchronous=sqlite_synchronous,
            read_only=True,
            poolclass=ReadPool,
            # While a thread prepares a request it holds one connection, and the embedded directory uses a second one.
            pool_size=2 * pool_size,
            **pool,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
            skip_autocommit_rollback=True,
        )
        if is_sqlite(self.url):
            begin_immediate(self.write_engine)
        self.writers = KeptConnections(self.write_engine, pool_size)
        self.readers = KeptConnections(self.read_engine, pool_size)

    def measure(self) -> None:
        """Set the metrics of connections in use to those of this moment."""
        for pool, kept in ((self.write_engine.pool, self.writers), (self.read_engine.pool, self.readers)):
            if isinstance(pool, MeasuredPool):
                pool.measure(len(kept))

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        self.readers.close()
        self.writers.close()
        self.write_engine.dispose()
        self.read_engine.dispose()


def open_database(config: Config) -> Database:
    """The database of `config`. Raises ConfigError."""
    return Database(config.database_url, sqlite_synchronous=config.sqlite_synchronous, pool_size=config.worker_threads)


def normal_url(url: str) -> URL:
    """`url` with the name of the driver. Raises ConfigError."""
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
        raise ConfigError("The database URL names an unknown kind of pooler; write pooler=transaction.")
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
    """An engine for changes of the schema. It has no timeouts and does not enforce foreign keys.

    SQLite rebuilds a table to change it. With foreign keys enforced, that would delete the rows that refer to the table.
    """
    target = normal_url(url)
    engine = _engine(target, REVISION, foreign_keys=False)
    if is_sqlite(target):
        begin_immediate(engine)
    return engine


def probe_engine(url: URL) -> Engine:
    """An engine that tests whether the database can be used. It connects each time, and has short timeouts."""
    # What the probe writes may be lost when the power fails.
    return _engine(url, PROBE, synchronous="NORMAL", isolation_level="AUTOCOMMIT", poolclass=NullPool)


def _engine(
    url: URL,
    limits: Timeouts,
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
    # Imported here, because the driver of PostgreSQL need not be installed where only SQLite is used.
    from clinic_service.db.postgresql import postgresql_engine

    return postgresql_engine(url, limits, read_only=read_only, **options)


def _transactions(url: URL) -> dict[str, Any]:
    # SQLite has only one isolation level for transactions that write.
    return {} if is_sqlite(url) else {"isolation_level": "READ COMMITTED"}
