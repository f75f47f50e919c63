"""The record in a backup file: what the file holds, so that damage is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, column, inspect, select, table

from clinic_service import __version__, clock
from clinic_service.db.transfer.digest import TableDigest

_BACKUP = table("backup", column("created_time"), column("revision"))
_TABLES = table("backup_tables", column("name"), column("rows"), column("sha256"))
# The tables of a backup file that are not tables of the database.
OWN_TABLES = frozenset({_BACKUP.name, _TABLES.name})

_CREATE = """
    DROP TABLE IF EXISTS backup;
    DROP TABLE IF EXISTS backup_tables;
    CREATE TABLE backup (created_time TEXT NOT NULL, revision TEXT NOT NULL, program_version TEXT NOT NULL);
    CREATE TABLE backup_tables (name TEXT PRIMARY KEY, rows INTEGER NOT NULL, sha256 TEXT NOT NULL);
"""


class Contents(NamedTuple):
    """The contents of one table: the number of its rows, and their digest."""

    rows: int
    digest: str


class Record(NamedTuple):
    """The facts about a backup. It contains everything that was stored before `created_time`, at `revision`.

    `tables` has the contents of each table by name.
    """

    created_time: datetime
    revision: str
    tables: dict[str, Contents]


def contents(digests: Iterable[TableDigest]) -> dict[str, Contents]:
    """The contents by the name of the table."""
    return {digest.name: Contents(digest.rows, digest.hexdigest()) for digest in digests}


def write_record(file: sqlite3.Connection, record: Record) -> None:
    """Store `record` in the file, instead of one that is there."""
    file.executescript(_CREATE)
    with file:
        file.execute(
            "INSERT INTO backup VALUES (?, ?, ?)", (clock.to_wire(record.created_time), record.revision, __version__)
        )
        rows = [(name, *each) for name, each in record.tables.items()]
        file.executemany("INSERT INTO backup_tables VALUES (?, ?, ?)", rows)


def read_record(file: Connection) -> Record | None:
    """The record in the file; None when it has none. Raises DBAPIError when it cannot be read."""
    if not inspect(file).has_table(_BACKUP.name):
        return None
    created_time, revision = file.execute(select(_BACKUP)).one()
    tables = {name: Contents(rows, digest) for name, rows, digest in file.execute(select(_TABLES))}
    return Record(clock.from_wire(created_time), revision, tables)
