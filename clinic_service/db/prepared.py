"""Constant statements, compiled once and run on the driver's own cursor.

SQLAlchemy's general way of executing a statement costs several times what the database takes to answer a look-up by key.
For the statements that are module constants nothing of it has to happen twice: the text, the order of the parameters and
the conversions of the columns are settled at the first use. Everything else goes through `Connection.execute`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import CompoundSelect

Statement = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
Convert = Callable[[Any], Any]


class Prepared:
    """One statement for one engine. Its lists of values, if any, cannot vary in length (no expanding parameters)."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        compiled: Any = statement.compile(dialect=dialect)
        self._text: str = compiled.string
        self._names: list[str] | None = compiled.positiontup
        self._constants: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._binds: dict[str, Convert] = dict(compiled._bind_processors)
        columns = list(statement.selected_columns)
        self._row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]
        self._converts = [
            (index, convert)
            for index, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]

    def rows(self, connection: Connection, parameters: Mapping[str, Any]) -> list[Any]:
        """All rows, as named tuples. Raises DBAPIError as `Connection.execute` would."""
        cursor = connection.connection.cursor()
        values = self._values(parameters)
        # Who listens to statements (tests that count them, tracing) hears these as well.
        for listener in connection.engine.dispatch.before_cursor_execute:
            listener(connection, cursor, self._text, values, None, False)
        try:
            cursor.execute(self._text, values)
            found = cursor.fetchall()
        except Exception as error:
            raise _wrapped(error, connection, self._text) from error
        finally:
            cursor.close()
        return [self._made(row) for row in found]

    def _values(self, parameters: Mapping[str, Any]) -> Any:
        given = {**self._constants, **parameters} if self._constants else parameters
        if self._binds:
            given = {name: self._binds[name](value) if name in self._binds else value for name, value in given.items()}
        return given if self._names is None else [given[name] for name in self._names]

    def _made(self, row: Any) -> Any:
        values = list(row)
        for index, convert in self._converts:
            values[index] = convert(values[index])
        return self._row._make(values)


def _wrapped(error: Exception, connection: Connection, text: str) -> Exception:
    """`error` as SQLAlchemy would raise it; a connection that is gone is taken out of the pool."""
    dialect = connection.dialect
    if not isinstance(error, dialect.loaded_dbapi.Error):
        return error
    is_gone = dialect.is_disconnect(error, connection.connection, None)
    if is_gone:
        connection.invalidate(error)
    return DBAPIError.instance(
        text,
        None,
        error,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=is_gone,
        dialect=dialect,
    )


_prepared: dict[tuple[str, Statement], Prepared] = {}


def prepared(statement: Statement, dialect: Dialect) -> Prepared:
    """What `statement`, which must be a constant, is for `dialect`."""
    key = (dialect.name, statement)
    found = _prepared.get(key)
    if found is None:
        found = _prepared[key] = Prepared(statement, dialect)
    return found
