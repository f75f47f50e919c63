"""Puts a database back to the state in which it was found, on either engine, while a server uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from sqlalchemy import text

from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.files import database_file
from clinic_service.db.snapshot import Snapshot


class Restorable(Protocol):
    def restore(self) -> None:
        """Give all tables the rows that they had at the start."""


def restorable(url: str) -> Restorable:
    """The database at `url`, which can be put back to its present state."""
    file = database_file(url)
    return Snapshot(Path(file)) if file else _Copies(url)


class _Copies:
    """A PostgreSQL database whose rows are copied to a schema of their own."""

    def __init__(self, url: str) -> None:
        self._engine = Database(url, pool_size=1).write_engine
        self._tables = [table.name for table in Base.metadata.sorted_tables]
        with self._engine.begin() as connection:
            connection.execute(text("DROP SCHEMA IF EXISTS kept CASCADE"))
            connection.execute(text("CREATE SCHEMA kept"))
            for table in self._tables:
                connection.execute(text(f"CREATE TABLE kept.{table} AS TABLE {table}"))

    def restore(self) -> None:
        with self._engine.begin() as connection:
            # No trigger and no check of foreign keys while rows are copied.
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for table in reversed(self._tables):
                connection.execute(text(f"DELETE FROM {table}"))
            for table in self._tables:
                connection.execute(text(f"INSERT INTO {table} SELECT * FROM kept.{table}"))
