"""Backup files.

A backup file is an SQLite database with all tables, and a record of their contents. The backup of an SQLite database is a
copy of its pages. The backup of a PostgreSQL database is filled with its rows. Both can be restored into both engines.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import Connection, MetaData, NullPool, Table, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext

from clinic_service import clock
from clinic_service.db import schema
from clinic_service.db.engine import normal_url
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.files import file_url
from clinic_service.db.sqlite import is_sqlite
from clinic_service.db.transfer.copy import digests, fill
from clinic_service.db.transfer.progress import Progress
from clinic_service.db.transfer.record import OWN_TABLES, Record, contents, read_record, write_record
from clinic_service.db.transfer.source import opened_source, require_database, snapshot_of

# Pages that are copied between two reports of the progress.
_PAGES = 10_000


class Backup(NamedTuple):
    """A backup that is open: its record, and its rows at the revision of this program."""

    record: Record
    rows: Connection


def make_backup(url: str, file: Path, tables: Sequence[Table], *, progress: Progress) -> Record:
    """Write a backup of the database at `url` to `file`, which only its owner can read. A service may write meanwhile.

    The file appears when it is complete, and replaces one that is there. Raises DatabaseUnusable when the database cannot
    be used or is damaged, OSError when the file cannot be written.
    """
    require_database(url)
    with _partial(file) as partial:
        make = _copy_pages if is_sqlite(normal_url(url)) else _export_rows
        record = make(url, partial, tables, progress)
        with explained(file_url(partial)), closing(sqlite3.connect(partial)) as connection:
            # With a write-ahead log the backup would be more than one file.
            connection.execute("PRAGMA journal_mode = DELETE")
            write_record(connection, record)
    return record


@contextmanager
def opened_backup(file: Path, *, progress: Progress) -> Iterator[Backup]:
    """Verify and open the backup in `file`: read all rows, and compare their digests with the record in the file.

    The file is not changed; a backup of an older revision is upgraded in a temporary copy. Raises DatabaseUnusable when
    the file is no backup, is damaged, or is of a revision that this program does not know.
    """
    with _reading(file) as connection:
        record = read_record(connection)
        if record is None:
            raise _foreign(file)
        if schema.suffices(record.revision) and record.revision != schema.head():
            raise DatabaseUnusable(
                f"{file} is of revision {record.revision}, and the last one that this program knows is {schema.head()}. "
                "Restore it with a newer program."
            )
        if contents(digests(connection, _tables_in(connection), progress, "Checking")) != record.tables:
            raise _damaged(file)
        if record.revision == schema.head():
            yield Backup(record, connection)
            return
    with _upgraded_copy(file) as copy, _reading(copy) as connection:
        yield Backup(record, connection)


def _copy_pages(url: str, partial: Path, _tables: Sequence[Table], progress: Progress) -> Record:
    time = clock.now()
    with snapshot_of(url) as source, closing(sqlite3.connect(partial)) as target, explained(file_url(partial)):
        revision = str(schema.revision_of(source))
        # The file is written to the disk when it is complete.
        target.execute("PRAGMA synchronous = OFF")
        pages: sqlite3.Connection = source.connection.driver_connection  # type: ignore[assignment]
        pages.backup(target, pages=_PAGES, progress=lambda _, left, total: progress("Copying", total - left, total))
        fault = target.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if fault != "ok":
        words = " ".join(fault.split())
        raise DatabaseUnusable(
            f"The database is damaged: {words}. No backup was made. Restore it from an earlier backup."
        )
    with _reading(partial) as connection:
        # Also those of a newer program.
        found = digests(connection, _tables_in(connection), progress, "Checking")
    return Record(time, revision, contents(found))


def _export_rows(url: str, partial: Path, tables: Sequence[Table], progress: Progress) -> Record:
    time = clock.now()
    with opened_source(url, tables) as source:
        found = fill(file_url(partial).render_as_string(), source, tables, replace=False, progress=progress)
    return Record(time, schema.head(), contents(found))


@contextmanager
def _partial(file: Path) -> Iterator[Path]:
    """A new file beside `file`, which takes its place after the block, or is deleted when the block fails."""
    descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", suffix=".partial", dir=file.parent)
    partial = Path(name)
    try:
        yield partial
        os.fsync(descriptor)
        partial.replace(file)
        _sync_folder(file.parent)
    finally:
        os.close(descriptor)
        for suffix in ("", "-journal", "-wal", "-shm"):
            Path(name + suffix).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make sure that a new name in `folder` outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _upgraded_copy(file: Path) -> Iterator[Path]:
    # Only the owner can look into the folder.
    with tempfile.TemporaryDirectory(prefix="clinic-service-") as folder:
        copy = Path(folder) / "backup.db"
        shutil.copyfile(file, copy)
        schema.upgrade(file_url(copy).render_as_string())
        yield copy


@contextmanager
def _reading(file: Path) -> Iterator[Connection]:
    """A connection to a file that nobody writes, which can be on a medium that cannot be written."""

    def explain(context: ExceptionContext) -> None:
        code = getattr(context.original_exception, "sqlite_errorcode", None)
        raise _foreign(file) if code == sqlite3.SQLITE_NOTADB else _damaged(file)

    address = f"file:{quote(str(file.absolute()))}?mode=ro&immutable=1"
    engine = create_engine(file_url(file), creator=lambda: sqlite3.connect(address, uri=True), poolclass=NullPool)
    event.listen(engine, "handle_error", explain)
    with engine.connect() as connection:
        yield connection


def _tables_in(connection: Connection) -> list[Table]:
    """The tables of the database, whatever its revision is."""
    metadata = MetaData()
    metadata.reflect(connection)
    return [table for table in metadata.sorted_tables if table.name not in OWN_TABLES | schema.BOOKKEEPING]


def _foreign(file: Path) -> DatabaseUnusable:
    return DatabaseUnusable(
        f"{file} was not made by `clinic-service db backup`. To copy a database file, set CLINIC_DATABASE_URL to its URL "
        "and run `clinic-service db copy`."
    )


def _damaged(file: Path) -> DatabaseUnusable:
    return DatabaseUnusable(f"{file} is damaged: it does not hold what the backup had. Use another backup.")
