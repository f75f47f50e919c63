"""The base of all repositories, and the unit through which they send their statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from sqlalchemy import Connection, CursorResult, Delete, Executable, Insert, Row, Update
from sqlalchemy.orm import Session
from sqlalchemy.sql.selectable import TypedReturnsRows

from clinic_service import clock
from clinic_service.db.dialects import snapshot
from clinic_service.db.ids import new_id
from clinic_service.db.prepared import Parameters, Query, prepared

if TYPE_CHECKING:
    from clinic_service.db.prepared import AnySelect

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Unit:
    """A unit's connection, session and time, and the one way to send its statements.

    A statement that is a constant of a module or a class is compiled once (see `prepared.py`): `rows` and `first` read
    by it, `insert` and `change` write. `execute` is for what cannot be compiled once: a statement composed for the
    request, one with a list of values (`in_`), and one that writes and answers (`returning`). Entities come from the
    `session`.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        """The unit's connection, for what is not a constant statement."""
        self._engine, self._raw = connection.engine, connection.connection

    @overload
    def rows(self, statement: Query[R], parameters: Parameters) -> list[R]: ...
    @overload
    def rows(self, statement: AnySelect[*Ts], parameters: Parameters) -> list[Row[*Ts]]: ...
    def rows(self, statement: Query[R] | AnySelect[*Ts], parameters: Parameters) -> list[Any]:
        """The rows of a constant statement, of the row type of the query or as named tuples."""
        self.flush()
        return prepared(statement, self._engine.dialect).rows(self._engine, self._raw, parameters)

    @overload
    def first(self, statement: Query[R], parameters: Parameters) -> R | None: ...
    @overload
    def first(self, statement: AnySelect[*Ts], parameters: Parameters) -> Row[*Ts] | None: ...
    def first(self, statement: Query[R] | AnySelect[*Ts], parameters: Parameters) -> Any | None:
        """The first row of a constant statement; None when there is none."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def insert(self, statement: Insert, *rows: Parameters) -> int:
        """Store `rows`. Each has a value for every column that the statement names, or else for all those of the table.

        Returns the number of rows that were stored.
        """
        return self._write(statement, rows)

    def change(self, statement: Update | Delete, *rows: Parameters) -> int:
        """Update or delete by a constant statement, with the parameters of each of `rows`. Returns the number of rows."""
        return self._write(statement, rows)

    def _write(self, statement: Insert | Update | Delete, rows: Sequence[Parameters]) -> int:
        self.flush()
        return prepared(statement, self._engine.dialect).write(self._engine, self._raw, rows) if rows else 0

    @overload
    def execute(
        self, statement: TypedReturnsRows[*Ts], parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[*Ts]: ...
    @overload
    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]: ...
    def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | list[dict[str, Any]] | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a Core statement that cannot be compiled once, after the session has written what it holds."""
        self.flush()
        return self.connection.execute(statement, parameters)

    @cached_property
    def session(self) -> Session:
        """The ORM session, for units that write."""
        return Session(self.connection, autoflush=True, expire_on_commit=False, join_transaction_mode="control_fully")

    def flush(self) -> None:
        """Send what the session has not written yet to the database, so that a violated constraint raises now."""
        if "session" in self.__dict__:
            self.session.flush()
            # A savepoint of the session guards only what is sent through the session, or through its connection.
            self.session.connection()

    def snapshot(self) -> AbstractContextManager[None]:
        """Let all queries in the block see the database as of one moment; for units that read."""
        return snapshot(self.connection)

    @cached_property
    def creation_time(self) -> datetime:
        """The one time of this unit, UTC, to the microsecond: the creation time of every row that it makes."""
        return clock.precise_now()

    @cached_property
    def now(self) -> datetime:
        """The time of this unit as it is shown: cut to milliseconds."""
        return clock.truncate(self.creation_time)

    def new_id(self) -> str:
        """The id of a new row: ids are ordered by the times of their units, then as they were made."""
        return new_id(self.creation_time)


class Repository:
    """A set of queries that are sent within one unit.

    Statements are constants with bind parameters, because building a statement costs more than running it. Each stands
    beside the method that runs it.
    """

    def __init__(self, uow: Unit) -> None:
        self._uow = uow
