"""Locks on whole tables."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table, text

# All later requests queue behind whoever waits for such a lock, so nobody waits longer than this.
TIMEOUT = "5s"


def lock_for_reading(connection: Connection, tables: Sequence[Table]) -> None:
    """Lock `tables` until the transaction ends: nobody can empty, drop or alter them, and everybody can write rows.

    A snapshot does not protect from TRUNCATE: the table would be read as empty. On SQLite it does.
    """
    _lock(connection, tables, "ACCESS SHARE")


def lock_exclusively(connection: Connection, tables: Sequence[Table]) -> None:
    """Lock `tables` until the transaction ends: nobody else can read or write them.

    On SQLite the transaction already has the only write lock, and others read what was there before.
    """
    _lock(connection, tables, "ACCESS EXCLUSIVE")


def names_of(tables: Sequence[Table]) -> str:
    """The names of `tables` as a list in SQL."""
    return ", ".join(f'"{table.name}"' for table in tables)


def _lock(connection: Connection, tables: Sequence[Table], mode: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{TIMEOUT}'"))
        connection.execute(text(f"LOCK TABLE {names_of(tables)} IN {mode} MODE"))
