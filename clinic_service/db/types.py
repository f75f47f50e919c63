"""Column types that behave the same on every engine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, overload

import orjson
from sqlalchemy import ARRAY, Column, ColumnElement, DateTime, Dialect, Enum, Label, String, Text, cast, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from clinic_service import clock

# Longer than any member, so that a new member changes only the CHECK constraint.
_ENUM_LENGTH = 32
# A point in time that a model holds, or that a query reads as the text that is sent (`WireTimeText`).
AnyTime = datetime | str
_WIRE_TIME_LENGTH = len("2000-01-01T00:00:00.000Z")


class ExactText(TypeDecorator[str]):
    """Text that is compared and sorted byte by byte, whatever the collation of the database is."""

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[str]:
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(String(self.length, collation))


class ObjectId(ExactText):
    """An id of `db.ids.new_id`: 24 lower-case hex characters."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(24)


class UserId(ExactText):
    """The id of an account: ten hex characters, or a UUID of 36 characters."""

    cache_ok = True

    def __init__(self) -> None:
        super().__init__(36)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time with millisecond precision, read in UTC.

    SQLite has no type for times, so there it is stored as the text that the API sends, which sorts in order of time.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        kept_as_text = dialect.name == "sqlite"
        return dialect.type_descriptor(String(_WIRE_TIME_LENGTH) if kept_as_text else DateTime(timezone=True))

    # Instead of `process_bind_param` and `process_result_value`, which would cost another call for each value.
    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], Any]:
        """The conversion of a parameter, which raises ValueError for a time without a zone."""
        kept = self._kept(dialect)

        def convert(value: datetime | None) -> Any:
            if value is None:
                return None
            if value.tzinfo is None:
                raise ValueError("A time without a zone cannot be stored.")
            return kept(value.astimezone(UTC))

        return convert

    def _kept(self, dialect: Dialect) -> Callable[[datetime], Any]:
        """The function that gives a time in UTC as it is stored."""
        return clock.to_wire if dialect.name == "sqlite" else clock.truncate

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - SQLAlchemy's
        return _time_of_text if dialect.name == "sqlite" else _in_utc


def _time_of_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)


def _in_utc(value: datetime | None) -> datetime | None:
    return None if value is None else value.astimezone(UTC)


class CreationTime(UtcDateTime):
    """The time at which a row was created, stored in microseconds because lists are ordered by it; shown in milliseconds.

    On SQLite its text is longer than the declared length, which SQLite ignores.
    """

    cache_ok = True

    def _kept(self, dialect: Dialect) -> Callable[[datetime], Any]:
        return clock.to_precise_text if dialect.name == "sqlite" else _unchanged


def _unchanged(time: datetime) -> datetime:
    return time


class WireTimeText(UtcDateTime):
    """A stored time that is read as the text that the API sends, for answers that only pass it on.

    On SQLite the stored text begins with it. Parsing and formatting a time would cost more than the rest of a row.
    """

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 - SQLAlchemy's
        return _wire_of_text if dialect.name == "sqlite" else _wire_of_time


def _wire_of_text(value: str | None) -> str | None:
    return None if value is None else f"{value[:23]}Z"


def _wire_of_time(value: datetime | None) -> str | None:
    return None if value is None else clock.to_wire(value.astimezone(UTC))


@overload
def wire_time(time: InstrumentedAttribute[datetime]) -> Label[str]: ...
@overload
def wire_time(time: InstrumentedAttribute[datetime | None] | Column[Any]) -> Label[str | None]: ...
def wire_time(time: Any) -> Label[Any]:
    """The column `time`, with its own name, read as a `WireTimeText`."""
    return type_coerce(time, WireTimeText).label(time.key)


def json_text(value: Any) -> str:
    """`value` as JSON text, with times as the API sends them."""
    return orjson.dumps(value, default=_json_default, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _json_default(value: Any) -> Any:
    if isinstance(value, datetime):
        return clock.to_wire(clock.truncate(value.astimezone(UTC)))
    raise TypeError(f"{type(value).__name__} has no JSON form.")


class JsonText(UserDefinedType[str]):
    """A JSON document that is read and written as its text, without being parsed.

    `type_coerce(column, JsonText)` reads a column of type Json like this.
    """

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def column_expression(self, column: ColumnElement[str]) -> ColumnElement[str]:
        # Otherwise the driver of PostgreSQL would decode the document.
        return cast(column, Text)


class TextList(TypeDecorator[list[str]]):
    """A list of texts as one parameter, for `dialects.among`: an array, or JSON text on SQLite, which has no arrays."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else ARRAY(Text()))

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:
        return orjson.dumps(value).decode() if dialect.name == "sqlite" else value


class Json(UserDefinedType[Any]):
    """A JSON object or array, decoded. None is an absent document (NULL), never JSON's null.

    Changes inside a loaded value are not detected: assign a new value.
    """

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSON"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:  # noqa: ARG002 - SQLAlchemy's signature
        return lambda value: None if value is None else json_text(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any] | None:  # noqa: ARG002
        if dialect.name == "postgresql":
            return None  # the driver has decoded it
        return lambda value: None if value is None else orjson.loads(value)


def string_enum(members: type[StrEnum], name: str) -> Enum:
    """The type of a column that holds a member of `members`, stored as its value.

    A CHECK constraint, named after the table and `name`, lists the values.
    """
    return Enum(
        members,
        name=name,
        native_enum=False,
        length=_ENUM_LENGTH,
        create_constraint=True,
        validate_strings=True,
        values_callable=lambda kind: [member.value for member in kind],
    )
