"""Constant statements, compiled once and executed on the driver's own cursor.

For a look-up by key, `Connection.execute` of SQLAlchemy costs several times the time of the database. For a statement that
is a module constant, most of that work is done once, at the first use: the SQL text, the order of the parameters and the
conversions of the columns. All other statements use `Connection.execute`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any

from sqlalchemy import Dialect, Engine, Insert, PoolProxiedConnection, Select, bindparam, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import CompoundSelect

from clinic_service.db.base import Base

Query = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]
Convert = Callable[[Any], Any]
Parameters = Mapping[str, Any]


def insert_into(model: type[Base], *columns: str) -> Insert:
    """The constant statement that stores rows of `model` with exactly these columns."""
    table: Any = model.__table__
    return insert(table).values({column: bindparam(column) for column in columns})


class Prepared:
    """One statement for one dialect. Expanding parameters (lists of any length) are not supported."""

    def __init__(self, statement: Query | UpdateBase, dialect: Dialect) -> None:
        self._dialect = dialect
        compiled: Any = statement.compile(dialect=dialect)
        self._text: str = compiled.string
        self._names: list[str] | None = compiled.positiontup
        self._constants: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        self._binds: dict[str, Convert] = dict(compiled._bind_processors)
        columns = [] if isinstance(statement, UpdateBase) else list(statement.selected_columns)
        self._row: Any = namedtuple("Row", [str(column.key) for column in columns])  # type: ignore[misc]
        self._converts = [
            (index, convert)
            for index, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None)) is not None
        ]

    def rows(self, engine: Engine, raw: PoolProxiedConnection, parameters: Parameters) -> list[Any]:
        """All rows, as named tuples. Raises DBAPIError as `Connection.execute` does."""
        made, converts, make = [], self._converts, self._row._make
        for row in self._run(engine, raw, self._values(parameters)):
            values = list(row)
            for index, convert in converts:
                values[index] = convert(values[index])
            made.append(make(values))
        return made

    def write(self, engine: Engine, raw: PoolProxiedConnection, rows: Sequence[Parameters]) -> None:
        """Insert, update or delete with the parameters of each of `rows`.

        Raises DBAPIError as `Connection.execute` does.
        """
        values = [self._values(row) for row in rows]
        many = len(values) > 1
        self._run(engine, raw, values if many else values[0], many=many, answers=False)

    def _run(
        self, engine: Engine, raw: PoolProxiedConnection, values: Any, *, many: bool = False, answers: bool = True
    ) -> Any:
        try:
            with closing(raw.cursor()) as cursor:
                # Listeners to statements, such as tests that count them, are called for these as well.
                for listener in engine.dispatch.before_cursor_execute:
                    listener(None, cursor, self._text, values, None, many)
                (cursor.executemany if many else cursor.execute)(self._text, values)
                return cursor.fetchall() if answers else None
        except Exception as error:
            raise self._wrapped(error, engine, raw) from error

    def _values(self, parameters: Parameters) -> Any:
        given = {**self._constants, **parameters} if self._constants else parameters
        if self._binds:
            given = {name: self._binds[name](value) if name in self._binds else value for name, value in given.items()}
        return given if self._names is None else [given[name] for name in self._names]

    def _wrapped(self, error: Exception, engine: Engine, raw: PoolProxiedConnection) -> Exception:
        """`error` as SQLAlchemy would raise it. When the connection is lost, all connections of the pool are closed."""
        driver_error = self._dialect.loaded_dbapi.Error
        if not isinstance(error, driver_error):
            return error
        is_gone = self._dialect.is_disconnect(error, raw, None)
        if is_gone:
            raw.invalidate(error)
            engine.dispose()
        return DBAPIError.instance(
            self._text,
            None,
            error,
            driver_error,
            hide_parameters=True,
            connection_invalidated=is_gone,
            dialect=self._dialect,
        )


_prepared: dict[tuple[str, Query | UpdateBase], Prepared] = {}


def prepared(statement: Query | UpdateBase, dialect: Dialect) -> Prepared:
    """The compiled `statement`, which must be a module constant, for this dialect."""
    key = (dialect.name, statement)
    found = _prepared.get(key)
    if found is None:
        found = _prepared[key] = Prepared(statement, dialect)
    return found
