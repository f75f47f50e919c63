"""SQL that differs between the two engines, and what their errors mean."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Boolean,
    ColumnElement,
    Connection,
    Table,
    UniqueConstraint,
    bindparam,
    case,
    text,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType

from clinic_service.db.base import Base
from clinic_service.db.failures import DatabaseUnusable
from clinic_service.db.limits import POOLER
from clinic_service.db.types import TextList, UtcDateTime

_SERIALIZATION_FAILURE = "40001"
_DEADLOCK = "40P01"
_READ_ONLY = "25006"
# In this order: connection lost; read-only; no disk space, memory or connection left; lock timeout; canceled or shutting
# down; disk error.
_UNAVAILABLE_STATES = ("08", _READ_ONLY, "53", "55P03", "57", "58")
_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_UNAVAILABLE = (
    *_SQLITE_BUSY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
)
# A machine of a Citus cluster reports like this that it has lost another one.
_INTERNAL = "XX000"
_LOST_MACHINE = re.compile(r"connection|remote node|could not (send|receive)")
# A machine of a Citus cluster names its part of a table, and the constraints of that part, with a number at the end.
_SHARD = re.compile(r"_\d{6,}$")
# The error of another machine has the name only in its text.
_CONSTRAINT_IN_TEXT = re.compile(r'violates [a-z -]*constraint "([^"]+)"')
_SQLITE_PREFIX = re.compile(r"(UNIQUE|CHECK) constraint failed: (.+)", re.DOTALL)
# The key of an advisory lock: any number that no other program uses in the same database.
_REVISION_LOCK = 0x636C696E6963
# A statement of a revision waits for the lock of a table only this long, because all later requests queue behind it.
_REVISION_LOCK_TIMEOUT = "5s"


def is_retryable(error: BaseException) -> bool:
    """Whether the transaction failed only because of a concurrent one, so that it can succeed when it runs again."""
    if not isinstance(error, DBAPIError):
        return False
    return _state(error) in (_SERIALIZATION_FAILURE, _DEADLOCK) or _sqlite_code(error) in _SQLITE_BUSY


def is_unavailable(error: BaseException) -> bool:
    """Whether the database could not be reached or used, through no fault of the statement."""
    if isinstance(error, PoolTimeout | DatabaseUnusable):
        return True
    if not isinstance(error, DBAPIError):
        return False
    return (
        error.connection_invalidated
        # No statement was running, so connecting, BEGIN or COMMIT failed.
        or error.statement is None
        or _state(error).startswith(_UNAVAILABLE_STATES)
        or (_state(error) == _INTERNAL and _LOST_MACHINE.search(str(error.orig)) is not None)
        or _sqlite_code(error) in _SQLITE_UNAVAILABLE
    )


def is_read_only(error: BaseException) -> bool:
    """Whether a write was refused because the connection or the database is read-only."""
    if not isinstance(error, DBAPIError):
        return False
    return _state(error) == _READ_ONLY or _sqlite_code(error) == sqlite3.SQLITE_READONLY


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _sqlite_code(error: DBAPIError) -> int | None:
    code = getattr(error.orig, "sqlite_errorcode", None)
    # The lower byte is the kind of the error. The upper bytes are details.
    return None if code is None else code & 0xFF


def constraint_name(error: IntegrityError) -> str | None:
    """The name of the constraint or unique index that was violated.

    None for a missing value and, on SQLite, for a foreign key, which it does not name.
    """
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is not None:
        return _postgresql_name(diagnosis.constraint_name, str(error.orig))
    found = _SQLITE_PREFIX.search(str(error.orig))
    if found is None:
        return None
    kind, detail = found.groups()
    return detail if kind == "CHECK" else _unique_name(detail)


def _postgresql_name(name: str | None, message: str) -> str | None:
    if name is None:
        found = _CONSTRAINT_IN_TEXT.search(message)
        name = found[1] if found else None
    return None if name is None else _SHARD.sub("", name)


def _unique_name(detail: str) -> str | None:
    """The name of the constraint or index on the columns `table.a, table.b`. SQLite reports only the columns."""
    columns = [column.split(".") for column in detail.split(", ")]
    table = Base.metadata.tables.get(columns[0][0])
    if table is None:
        return None
    wanted = [column for _, column in columns]
    return next((name for name, names in _unique_columns(table) if names == wanted), None)


def _unique_columns(table: Table) -> Iterator[tuple[str, list[str]]]:
    yield str(table.primary_key.name), table.primary_key.columns.keys()
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield str(constraint.name), constraint.columns.keys()
    for index in table.indexes:
        if index.unique:
            yield str(index.name), index.columns.keys()


def insert_or_update(target: type[Base] | Table, *changed: str) -> Insert:
    """An insert that, where a row with the same primary key exists, sets its columns `changed` instead.

    All columns but the key when none are named.
    """
    table = target if isinstance(target, Table) else target.metadata.tables[target.__tablename__]
    changed = changed or tuple(column.name for column in table.columns if not column.primary_key)
    # Both engines accept the same syntax, though the library has a construct for each.
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns), set_={name: statement.excluded[name] for name in changed}
    )


def insert_or_add(model: type[Base], *counted: str) -> Insert:
    """An insert that, where a row with the same primary key exists, adds to its columns `counted` instead."""
    table = model.metadata.tables[model.__tablename__]
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + statement.excluded[name] for name in counted},
    )


def insert_or_skip(model: type[Base]) -> Insert:
    """An insert that skips rows whose key exists already."""
    return insert(model.metadata.tables[model.__tablename__]).on_conflict_do_nothing()


class _MillisecondAfter(FunctionElement[datetime]):
    """A stored time plus one millisecond."""

    inherit_cache = True
    type = UtcDateTime()


@compiles(_MillisecondAfter, "postgresql")
def _on_postgresql(element: _MillisecondAfter, compiler: SQLCompiler, **options: Any) -> str:
    time = compiler.process(element.clauses, **options)
    # Time with a zone plus interval depends on the zone of the session, and Citus refuses such expressions in CASE.
    return f"((({time} AT TIME ZONE 'UTC') + interval '1 millisecond') AT TIME ZONE 'UTC')"


@compiles(_MillisecondAfter, "sqlite")
def _on_sqlite(element: _MillisecondAfter, compiler: SQLCompiler, **options: Any) -> str:
    time = compiler.process(element.clauses, **options)
    # SQLite calculates with fractions of a day, which are not exact. So the milliseconds are calculated from the text.
    return (
        f"CASE substr({time}, 21, 3) WHEN '999'"
        f" THEN strftime('%Y-%m-%dT%H:%M:%S.000Z', substr({time}, 1, 19), '+1 second')"
        f" ELSE substr({time}, 1, 20) || printf('%03dZ', substr({time}, 21, 3) + 1) END"
    )


def moved_on(column: Any) -> ColumnElement[datetime]:
    """The new value for the time in `column`: the parameter `now`, or the old time plus a millisecond when that is later.

    So the value always grows, even when the clock was set back.
    """
    now: BindParameter[datetime] = bindparam("now", type_=UtcDateTime())
    return case((column < now, now), else_=_MillisecondAfter(column))


class contains(FunctionElement[bool]):  # noqa: N801 - used as a function
    """Whether the first argument contains the second one. No character is a wildcard."""

    inherit_cache = True
    type = Boolean()


@compiles(contains, "postgresql")
def _contains_on_postgresql(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(strpos({compiler.process(element.clauses, **options)}) > 0)"


@compiles(contains, "sqlite")
def _contains_on_sqlite(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    return f"(instr({compiler.process(element.clauses, **options)}) > 0)"


class has_text(FunctionElement[bool]):  # noqa: N801 - used as a function
    """Whether the first argument, bytes, contains the second one, a text, in UTF-8."""

    inherit_cache = True
    type = Boolean()


@compiles(has_text, "postgresql")
def _has_text_on_postgresql(element: has_text, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = (compiler.process(each, **options) for each in element.clauses)
    return f"(position(convert_to({part}, 'UTF8') IN {whole}) > 0)"


@compiles(has_text, "sqlite")
def _has_text_on_sqlite(element: has_text, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = (compiler.process(each, **options) for each in element.clauses)
    return f"(instr({whole}, CAST({part} AS BLOB)) > 0)"


class _Among(FunctionElement[Any]):
    inherit_cache = True
    # With the type Boolean the SQL for SQLite would be `(… IN …) = 1`, which uses no index.
    type = NullType()


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} = ANY ({texts}))"


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({texts})))"


def among(column: Any, name: str) -> ColumnElement[bool]:
    """Whether `column` is in the list of texts that the parameter `name` holds.

    In contrast to an expanding parameter, the SQL is the same for every length, so that the statement can be constant.
    """
    return _Among(column, bindparam(name, type_=TextList()))


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Let all queries in the block see the database as of one moment. The connection must not be in a transaction."""
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql("BEGIN" if is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        connection.exec_driver_sql("COMMIT")


def is_one_transaction(connection: Connection) -> bool:
    """Whether all revisions of one run must be one transaction.

    On SQLite the transaction is the lock against other processes. Behind a transaction pooler no session state, such as a
    session lock, outlives a transaction.
    """
    return connection.dialect.name == "sqlite" or POOLER in connection.get_execution_options()


@contextmanager
def revision_lock(connection: Connection) -> Iterator[None]:
    """Let only one process at a time change the schema; the others wait.

    On SQLite the transaction of the revision is already such a lock.
    """
    if connection.dialect.name == "sqlite":
        yield
    elif is_one_transaction(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _REVISION_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{_REVISION_LOCK_TIMEOUT}'"))
        yield
    else:
        with _session_lock(connection):
            yield


@contextmanager
def _session_lock(connection: Connection) -> Iterator[None]:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _REVISION_LOCK})
    connection.execute(text(f"SET lock_timeout = '{_REVISION_LOCK_TIMEOUT}'"))
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _REVISION_LOCK})
        connection.execute(text("RESET lock_timeout"))
        connection.commit()
