"""Reads and writes whole tables in batches, in constant memory.

Both engines give and take rows in the form in which SQLite stores them: times as text, flags as 0 and 1, JSON documents as
their text. On PostgreSQL the conversions of the column types lead to that form and back, and the protocol carries values in
their binary formats, because writing and parsing numbers as text takes longer than everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Column, Connection, Dialect, Float, String, Table, collate, insert, select, type_coerce
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import NullType, TypeEngine

from clinic_service.db.types import Json, JsonText

# Rows that are held at once. A summary document has about 12 kB.
BATCH = 1000
# A batch: the values of each column, in the order of the table.
Columns = Sequence[Sequence[Any]]
_Convert = Callable[[Any], Any]

_SQLITE: Dialect = sqlite.dialect()
# The numbers of two types of PostgreSQL.
_TEXT, _JSON = 25, 114


def read(connection: Connection, table: Table) -> Iterator[Columns]:
    """All rows of `table` in the order of its primary key."""
    is_sqlite = connection.dialect.name == "sqlite"
    statement = select(*(type_coerce(column, NullType() if is_sqlite else _type(column)) for column in table.columns))
    ordered = statement.order_by(*(_by_bytes(column, is_sqlite) for column in table.primary_key))
    converts: list[_Convert | None] = [None if is_sqlite else _to_sqlite(column) for column in table.columns]
    if not is_sqlite:
        _fetch_binary(connection)
    result = connection.execute(ordered, execution_options={"yield_per": BATCH})
    for rows in result.partitions():
        yield _converted(zip(*rows, strict=True), converts)


def write(connection: Connection, table: Table, batches: Iterable[Columns]) -> None:
    """Store the rows of `batches` in `table`. Raises DBAPIError when the database refuses them."""
    if connection.dialect.name == "sqlite":
        _insert(connection, table, batches)
    else:
        _copy_in(connection, table, batches)


def _insert(connection: Connection, table: Table, batches: Iterable[Columns]) -> None:
    statement = str(insert(table).compile(dialect=_SQLITE, column_keys=table.columns.keys()))
    for columns in batches:
        connection.exec_driver_sql(statement, list(zip(*columns, strict=True)))


def _fetch_binary(connection: Connection) -> None:
    """Let cursors on the server, which read in batches, fetch values in their binary formats."""
    from psycopg import ServerCursor
    from psycopg.pq import Format

    class BinaryCursor(ServerCursor[Any]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.format = Format.BINARY

    driver: Any = connection.connection.driver_connection
    driver.server_cursor_factory = BinaryCursor


def _copy_in(connection: Connection, table: Table, batches: Iterable[Columns]) -> None:
    import psycopg

    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(column.name) for column in table.columns)
    statement = f"COPY {quote(table.name)} ({names}) FROM STDIN (FORMAT BINARY)"
    converts = [_from_sqlite(column, connection.dialect) for column in table.columns]
    try:
        with closing(connection.connection.cursor()) as cursor:
            types = _binary_types(cursor, f"SELECT {names} FROM {quote(table.name)} LIMIT 0")
            with cursor.copy(statement) as copy:
                copy.set_types(types)
                for columns in batches:
                    for row in zip(*_converted(columns, converts), strict=True):
                        copy.write_row(row)
    except psycopg.Error as error:
        # As SQLAlchemy would raise it, but without the values.
        raise DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True) from error


def _binary_types(cursor: Any, statement: str) -> list[int]:
    """The types, as numbers of PostgreSQL, of the columns that `statement` selects."""
    cursor.execute(statement)
    # The binary format of a document is that of a text. The driver would encode the text once more.
    return [_TEXT if column.type_code == _JSON else column.type_code for column in cursor.description]


def _converted(columns: Iterable[Sequence[Any]], converts: Sequence[_Convert | None]) -> Columns:
    return [
        values if convert is None else _each_converted(values, convert)
        for values, convert in zip(columns, converts, strict=True)
    ]


def _each_converted(values: Sequence[Any], convert: _Convert) -> list[Any]:
    # Flags, enumerations and most times repeat, so each distinct value is converted once.
    known = {value: None if value is None else convert(value) for value in set(values)}
    return [known[value] for value in values]


def _by_bytes(column: Column[Any], is_sqlite: bool) -> Any:
    # The order of text on PostgreSQL is that of the collation, which is "C" only for columns of the type `ExactText`.
    return column if is_sqlite or not isinstance(column.type, String) else collate(column, "C")


def _type(column: Column[Any]) -> TypeEngine[Any]:
    # A document is moved as its text. Decoding it could change it.
    return JsonText() if isinstance(column.type, Json) else column.type


def _to_sqlite(column: Column[Any]) -> _Convert | None:
    type_ = _type(column)
    return None if isinstance(type_, Float) else type_.dialect_impl(_SQLITE).bind_processor(_SQLITE)


def _from_sqlite(column: Column[Any], dialect: Dialect) -> _Convert | None:
    type_ = _type(column)
    if isinstance(type_, Float):
        return None
    decode = type_.dialect_impl(_SQLITE).result_processor(_SQLITE, None)
    encode = type_.dialect_impl(dialect).bind_processor(dialect)
    if decode is None or encode is None:
        return decode or encode
    return lambda value: encode(decode(value))
