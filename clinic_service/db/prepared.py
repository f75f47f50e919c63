"""Constant statements, compiled once and executed on the driver's own cursor.

For a look-up by key, `Connection.execute` of SQLAlchemy costs several times the time of the database. For a statement that
is a module constant, most of that work is done once, at the first use: the SQL text, the order of the parameters and the
conversions of the columns. All other statements use `Connection.execute`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, TypeVarTuple

from sqlalchemy import ColumnElement, Dialect, Engine, Float, Insert, PoolProxiedConnection, Select, bindparam, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import CompoundSelect
from sqlalchemy.sql.type_api import TypeEngine

from clinic_service.db.base import Base

R = TypeVar("R")
Ts = TypeVarTuple("Ts")
Convert = Callable[[Any], Any]
Converts = Sequence[tuple[int, Convert]]
Parameters = Mapping[str, Any]

# Fewer rows are converted one by one.
_FEW_ROWS = 8


class Query(Generic[R]):
    """A constant statement that reads, and the type of its rows: a NamedTuple with a field for each column, in order.

    mypy compares the types of the fields with those of the first ten columns; `select` tells no more. Raises TypeError
    when the names are others.
    """

    def __init__(self, row: Callable[[*Ts], R], statement: AnySelect[*Ts]) -> None:
        row_type: Any = row
        if row_type._fields != _names(statement.selected_columns):
            raise TypeError(f"{row_type.__name__} must have the fields {_names(statement.selected_columns)}.")
        self.statement = statement
        self.row_type: type[R] = row_type


if TYPE_CHECKING:
    # At run time these classes of the library take no types of columns.
    AnySelect = Select[*Ts] | CompoundSelect[*Ts]
    Constant = Query[Any] | AnySelect[*tuple[Any, ...]] | UpdateBase


def _names(columns: Iterable[ColumnElement[Any]]) -> tuple[str, ...]:
    return tuple(str(column.key) for column in columns)


def _row_type(columns: Iterable[ColumnElement[Any]]) -> Any:
    # What has no name, such as a count, is read by its place.
    return namedtuple("Row", _names(columns), rename=True)


def insert_into(model: type[Base], *columns: str) -> Insert:
    """The constant statement that stores rows of `model` with exactly these columns."""
    table: Any = model.__table__
    return insert(table).values({column: bindparam(column) for column in columns})


class Prepared:
    """One statement for one dialect. Expanding parameters (lists of any length) are not supported."""

    def __init__(self, constant: Constant, dialect: Dialect) -> None:
        self._dialect = dialect
        statement = constant.statement if isinstance(constant, Query) else constant
        compiled: Any = statement.compile(dialect=dialect)
        self._text: str = compiled.string
        self._is_positional = compiled.positiontup is not None
        binds: dict[str, Convert] = compiled._bind_processors
        self._binds = [(name, binds.get(name)) for name in compiled.positiontup or compiled.params]
        self._constants: dict[str, Any] = {name: value for name, value in compiled.params.items() if value is not None}
        columns = [] if isinstance(statement, UpdateBase) else list(statement.selected_columns)
        # The constructor of the type itself would check the number of values of each row.
        self._make: Convert = partial(
            tuple.__new__, constant.row_type if isinstance(constant, Query) else _row_type(columns)
        )
        self._converts = [
            (index, convert)
            for index, column in enumerate(columns)
            if (convert := _converter(column.type, dialect)) is not None
        ]

    def rows(self, engine: Engine, raw: PoolProxiedConnection, parameters: Parameters) -> list[Any]:
        """All rows, of the type of the query or as named tuples. Raises DBAPIError as `Connection.execute` does."""
        found = self._run(engine, raw, self._values(parameters))
        if self._converts:
            # Both are the same. The second takes two thirds of the time for a page, and three times as long for one row.
            found = (_convert_rows if len(found) < _FEW_ROWS else _convert_columns)(found, self._converts)
        return list(map(self._make, found))

    def write(self, engine: Engine, raw: PoolProxiedConnection, rows: Sequence[Parameters]) -> int:
        """Insert, update or delete with the parameters of each of `rows`. Returns how many rows of the table it changed.

        Raises DBAPIError as `Connection.execute` does.
        """
        values = [self._values(row) for row in rows]
        many = len(values) > 1
        changed: int = self._run(engine, raw, values if many else values[0], many=many, answers=False)
        return changed

    def _run(
        self, engine: Engine, raw: PoolProxiedConnection, values: Any, *, many: bool = False, answers: bool = True
    ) -> Any:
        # The driver's connection itself, because the wrapper of the pool has nothing to do for a cursor.
        connection: Any = raw.dbapi_connection
        try:
            cursor = connection.cursor()
            # Listeners to statements, such as tests that count them, are called for these as well.
            for listener in engine.dispatch.before_cursor_execute:
                listener(None, cursor, self._text, values, None, many)
            (cursor.executemany if many else cursor.execute)(self._text, values)
            return cursor.fetchall() if answers else cursor.rowcount
        except Exception as error:
            raise self._wrapped(error, engine, raw) from error

    def _values(self, parameters: Parameters) -> Any:
        given = {**self._constants, **parameters} if self._constants else parameters
        if self._is_positional:
            return [convert(given[name]) if convert else given[name] for name, convert in self._binds]
        return {name: convert(given[name]) if convert else given[name] for name, convert in self._binds}

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


def _convert_rows(rows: Iterable[Sequence[Any]], converts: Converts) -> Iterable[Sequence[Any]]:
    converted = [list(row) for row in rows]
    for values in converted:
        for index, convert in converts:
            values[index] = convert(values[index])
    return converted


def _convert_columns(rows: Iterable[Sequence[Any]], converts: Converts) -> Iterable[Sequence[Any]]:
    columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for index, convert in converts:
        columns[index] = map(convert, columns[index])
    return zip(*columns, strict=True)


def _converter(type_: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """How values of a column are converted; None when they are used as the driver returns them."""
    # The drivers return floats, and SQLAlchemy's own converter would need the driver's description of the column.
    return None if isinstance(type_, Float) else type_.dialect_impl(dialect).result_processor(dialect, None)


_prepared: dict[tuple[str, Constant], Prepared] = {}


def prepared(constant: Constant, dialect: Dialect) -> Prepared:
    """The compiled statement, which must be a module constant, for this dialect."""
    key = (dialect.name, constant)
    found = _prepared.get(key)
    if found is None:
        found = _prepared[key] = Prepared(constant, dialect)
    return found
