"""Opens the database whose rows are moved, as of one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Table

from clinic_service.db import schema
from clinic_service.db.base import Base
from clinic_service.db.dialects import snapshot
from clinic_service.db.distribution import is_distributed
from clinic_service.db.engine import Database, normal_url
from clinic_service.db.failures import DatabaseUnusable, database_name, explained
from clinic_service.db.files import database_file
from clinic_service.db.limits import REVISION
from clinic_service.db.transfer.locks import lock_for_reading


@contextmanager
def opened_source(url: str, tables: Sequence[Table]) -> Iterator[Connection]:
    """A connection that sees the database at `url` as of one moment, while a service may go on writing to it.

    Raises ConfigError for an unsuitable URL, DatabaseUnusable when the database cannot be used or is not at the revision
    that this program knows.
    """
    _require_head(url)
    with snapshot_of(url) as connection:
        require_one_machine(connection)
        lock_for_reading(connection, tables)
        yield connection


@contextmanager
def snapshot_of(url: str) -> Iterator[Connection]:
    """A connection that only reads, sees the database as of one moment, and has no timeouts."""
    database = Database(url, pool_size=1, limits=REVISION)
    try:
        with explained(database.url), database.read_engine.connect() as connection, snapshot(connection):
            yield connection
    finally:
        database.dispose()


def require_database(url: str) -> str:
    """The revision of the database at `url`. Raises DatabaseUnusable when there is no database, or an empty one."""
    revision = schema.current(url)
    if revision is None:
        name = database_name(normal_url(url))
        raise DatabaseUnusable(f"{name} does not exist or has no tables, so there is nothing to copy.")
    return revision


def _require_head(url: str) -> None:
    revision = require_database(url)
    if not schema.suffices(revision):
        raise DatabaseUnusable(
            f"The database is at revision {revision}, and this program copies only databases at {schema.head()}. "
            "Run `clinic-service db upgrade` first, or use the program that serves this database."
        )
    if revision != schema.head():
        raise DatabaseUnusable(
            f"The database is at revision {revision}, and the last one that this program knows is {schema.head()}. "
            "Use the program that serves this database."
        )


def require_one_machine(connection: Connection) -> None:
    """Raise DatabaseUnusable when the tables are spread over a cluster, which has no state as of one moment."""
    if is_distributed(connection, Base.metadata):
        raise DatabaseUnusable(
            "The tables are distributed over several machines, so they cannot be read or filled as of one moment. Back up "
            "each machine with the tools of PostgreSQL. To fill a cluster, fill a database that is not distributed, and "
            "then run `clinic-service db distribute`."
        )


def require_different(source: str, target: str) -> None:
    """Raise DatabaseUnusable when both URLs name the same database."""
    files = database_file(source), database_file(target)
    same_file = files[0] is not None and files[1] is not None and files[0].resolve() == files[1].resolve()
    if same_file or normal_url(source) == normal_url(target):
        raise DatabaseUnusable("Source and target are the same database.")
