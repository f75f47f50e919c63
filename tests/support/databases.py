"""A PostgreSQL server for the run, a database for each test process, and emptying it between tests."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import create_engine, make_url, text

from clinic_service.db.base import Base
from clinic_service.db.engine import Database, normal_url
from tests.support.postgresql import postgresql_server

__all__ = ["clear", "create_database", "postgresql_server"]


@contextmanager
def create_database(server_url: str) -> Iterator[str]:
    """A new database on the server; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    _on_server(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _on_server(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _on_server(url: str, statement: str) -> None:
    engine = create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def clear(database: Database) -> None:
    """Delete every row of every table, whoever wrote it: all in one message, since this follows nearly every test."""
    deletes = "".join(f"DELETE FROM {table.name};" for table in reversed(Base.metadata.sorted_tables))
    with closing(database.write_engine.raw_connection()) as connection, closing(connection.cursor()) as cursor:
        if database.url.get_backend_name() == "sqlite":
            cursor.executescript(f"BEGIN IMMEDIATE;{deletes}COMMIT")
        else:
            cursor.execute(deletes)
            connection.commit()
