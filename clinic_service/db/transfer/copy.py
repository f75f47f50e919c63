"""Fills a database with all rows of another one, in one transaction: all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, Table, exists, func, literal, select, text, union_all
from sqlalchemy.exc import DBAPIError, IntegrityError

from clinic_service.db import schema
from clinic_service.db.dialects import constraint_name
from clinic_service.db.engine import revision_engine
from clinic_service.db.failures import DatabaseUnusable, explain, explained
from clinic_service.db.transfer.digest import TableDigest
from clinic_service.db.transfer.locks import lock_exclusively, names_of
from clinic_service.db.transfer.progress import Progress, counted
from clinic_service.db.transfer.rows import Columns, read, write
from clinic_service.db.transfer.source import require_one_machine

# The maximum number of tables that an error message names.
_NAMED_TABLES = 3


def digests(connection: Connection, tables: Sequence[Table], progress: Progress, phase: str) -> list[TableDigest]:
    """The digest of each of `tables`."""
    add = counted(progress, phase, _count_rows(connection, tables))
    made = [TableDigest(table) for table in tables]
    for table, digest in zip(tables, made, strict=True):
        for _ in _digested(connection, table, digest, add):
            pass
    return made


def fill(
    url: str,
    source: Connection,
    tables: Sequence[Table],
    *,
    replace: bool,
    progress: Progress,
) -> list[TableDigest]:
    """Store all rows of `source` in the database at `url`, read them back, compare, and return their digests.

    A database without tables gets them first. Raises DatabaseUnusable, and leaves all rows as they were, when the database
    cannot be used, is of another revision than this program, holds rows and `replace` is not set, or does not take a row.
    """
    _require_revision(url)
    copied = counted(progress, "Copying", _count_rows(source, tables))
    engine = revision_engine(url)
    try:
        with explained(engine.url), engine.begin() as target:
            require_one_machine(target)
            _prepare(target, tables)
            if replace:
                _delete_all(target, tables)
            _require_empty(target, tables)
            with _without_indexes(target, tables):
                found = [_copy_table(source, target, table, copied) for table in tables]
            _compare(found, digests(target, tables, progress, "Comparing"))
            _require_references(target)
    finally:
        engine.dispose()
    return found


def _count_rows(connection: Connection, tables: Sequence[Table]) -> int:
    """The number of rows in all `tables`."""
    counts = (select(func.count().label("rows")).select_from(table) for table in tables)
    every = union_all(*counts).subquery()
    return int(connection.execute(select(func.sum(every.c.rows))).scalar_one())


def _require_revision(url: str) -> None:
    revision = schema.current(url)
    if revision is None:
        schema.upgrade(url)
    elif not schema.suffices(revision):
        raise DatabaseUnusable(
            f"The target database is at revision {revision}; this program needs {schema.head()}. "
            "Run `clinic-service db upgrade` on it first."
        )
    elif revision != schema.head():
        raise DatabaseUnusable(
            f"The target database is at revision {revision}, and the last one that this program knows is {schema.head()}. "
            "Use the program that serves that database."
        )


def _prepare(target: Connection, tables: Sequence[Table]) -> None:
    lock_exclusively(target, tables)
    if target.dialect.name == "postgresql":
        # For the sorts that make indexes.
        target.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
    else:
        # In kibibytes. A page that does not fit is written again whenever it changes.
        target.exec_driver_sql("PRAGMA cache_size = -262144")


def _delete_all(target: Connection, tables: Sequence[Table]) -> None:
    if target.dialect.name == "postgresql":
        target.execute(text(f"TRUNCATE {names_of(tables)}"))
    else:
        for table in reversed(tables):
            target.execute(table.delete())


def _require_empty(target: Connection, tables: Sequence[Table]) -> None:
    filled = (select(literal(table.name)).where(exists(select(literal(1)).select_from(table))) for table in tables)
    names = list(target.execute(union_all(*filled)).scalars())
    if names:
        others = f" and {len(names) - _NAMED_TABLES} more" if len(names) > _NAMED_TABLES else ""
        raise DatabaseUnusable(
            f"The target database is not empty: it has rows in {', '.join(names[:_NAMED_TABLES])}{others}. "
            "Name an empty database, or add --replace to delete everything that is in this one."
        )


@contextmanager
def _without_indexes(target: Connection, tables: Sequence[Table]) -> Iterator[None]:
    """Drop all indexes, and make them again after the block, which is several times faster than to fill them row by row."""
    indexes = [index for table in tables for index in table.indexes]
    for index in indexes:
        index.drop(target)
    yield
    for index in indexes:
        with _refusals(target, f"The rows do not fit the index {index.name}"):
            index.create(target)


def _copy_table(source: Connection, target: Connection, table: Table, copied: Callable[[int], None]) -> TableDigest:
    digest = TableDigest(table)
    with _refusals(target, f"A row does not fit the table {table.name}"):
        write(target, table, _digested(source, table, digest, copied))
    return digest


@contextmanager
def _refusals(target: Connection, reason: str) -> Iterator[None]:
    """Explain why the target does not take a row, without the values of the row.

    Errors of the source are explained already. The other errors are those of the conversions of column types.
    """
    try:
        yield
    except (DBAPIError, ValueError, LookupError, TypeError) as error:
        rule = constraint_name(error) if isinstance(error, IntegrityError) else None
        refusal = f"{reason}{f' ({rule})' if rule else ''}. Nothing was stored."
        raise DatabaseUnusable(explain(error, target.engine.url) or refusal) from error


def _digested(source: Connection, table: Table, digest: TableDigest, add: Callable[[int], None]) -> Iterator[Columns]:
    with explained(source.engine.url):
        for columns in read(source, table):
            digest.add(columns)
            yield columns
            add(len(columns[0]))


def _compare(read_: list[TableDigest], stored: list[TableDigest]) -> None:
    for before, after in zip(read_, stored, strict=True):
        if (before.rows, before.hexdigest()) != (after.rows, after.hexdigest()):
            raise DatabaseUnusable(
                f"The rows of the table {after.name} are not the same in both databases. Nothing was stored."
            )


def _require_references(target: Connection) -> None:
    """PostgreSQL checks references itself. SQLite does not while tables are filled."""
    if target.dialect.name == "sqlite":
        broken = target.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise DatabaseUnusable(
                f"A row of the table {broken[0]} refers to a row of {broken[2]} that does not exist. Nothing was stored."
            )
