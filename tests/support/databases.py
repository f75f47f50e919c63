"""A PostgreSQL server for the run, a database for each test process, and emptying it between tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, create_engine, literal, make_url, select, text, union_all

from clinic_service.db.base import Base
from clinic_service.db.engine import Database, normal_url
from tests.support.clusters import CLUSTER_URL
from tests.support.postgresql import postgresql_server

__all__ = ["clear", "create_database", "empty_database", "filled_tables", "open_transactions", "postgresql_server"]


@contextmanager
def create_database(server_url: str) -> Iterator[str]:
    """A new database on the server; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    _on_server(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _on_server(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def empty_database(engine_name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new database on the engine: a file in `folder`, or on the server that a run of the tests has."""
    if engine_name == "sqlite":
        yield f"sqlite:///{folder / 'test.db'}"
    else:
        with create_database(request.getfixturevalue("postgresql_url")) as url:
            yield url


def _on_server(url: str, statement: str) -> None:
    engine = create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


_TABLES = {table.name: table for table in Base.metadata.sorted_tables}
# One statement for all tables, because most of them are empty after most tests.
_FILLED = union_all(*(select(literal(name)).where(select(table).exists()) for name, table in _TABLES.items()))


def _filled(connection: Connection) -> set[str]:
    return set(connection.scalars(_FILLED))


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(table).limit(1)).first() is not None


def filled_tables(connection: Connection) -> list[Table]:
    """The tables that have rows; a table comes after those that its foreign keys name."""
    # Citus has no plan for one statement about tables of all kinds.
    names = {n for n, table in _TABLES.items() if _has_rows(connection, table)} if CLUSTER_URL else _filled(connection)
    return [table for name, table in _TABLES.items() if name in names]


def clear(database: Database) -> None:
    """Delete every row of every table, whoever wrote it."""
    with database.write_engine.begin() as connection:
        for table in reversed(filled_tables(connection)):
            connection.execute(table.delete())


def open_transactions(database: Database) -> int:
    """How many transactions that may write are open."""
    checked_out: int = database.write_engine.pool.checkedout()  # type: ignore[attr-defined]
    return checked_out - len(database.writers)
