"""Two rows in every table of the models, also in those that are yet to come: one with every value, one with none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Boolean, Column, Enum, Float, Integer, LargeBinary, Table, insert

from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.types import CreationTime, Json, JsonText, UtcDateTime

# What a format with escapes, quotes or separators could change.
_TEXTS = ("\\N", "a\tb\\tc", 'Zoë "O\'Hara"\r\n', " \\. ", "\U0001f600\u2028;,|", "")
_TIMES = (
    datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC),
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
)
_CREATED = datetime(2026, 3, 1, 10, 0, 0, 123456, tzinfo=UTC)
_FLOATS = (0.1 + 0.2, 1e300, 5e-324, 3.0, -7.25)
_DOCUMENT = {"z": [1, 2.5, None, True], "a": {"é": "\\u0000 \\N\t"}}
# Not as this program writes it.
_DOCUMENT_TEXT = '{ "b" : 1.50,\n "a" : "\\u00e9\\\\N\\t" }'

Row = dict[str, Any]


def fill_every_table(database: Database) -> None:
    """Store the rows in `database`."""
    with database.write_engine.begin() as connection:
        for letter in ("a", "b"):
            stored: dict[str, Row] = {}
            for table in Base.metadata.sorted_tables:
                stored[table.name] = _row(table, letter, stored)
                connection.execute(insert(table), stored[table.name])


def _row(table: Table, letter: str, parents: dict[str, Row]) -> Row:
    row = {column.name: _value(column, number, letter) for number, column in enumerate(table.columns)}
    for constraint in table.foreign_key_constraints:
        for key in constraint.elements:
            row[key.parent.name] = parents[key.column.table.name][key.column.name]
    return row


def _value(column: Column[Any], number: int, letter: str) -> Any:
    if letter == "b" and column.nullable:
        return None
    match column.type:
        case Enum() as kind:
            return kind.python_type(kind.enums[-1])
        case Boolean():
            return number % 2 == (letter == "a")
        case Integer():
            return 7 if letter == "a" else -(2**31)
        case Float():
            return _FLOATS[number % len(_FLOATS)]
        case LargeBinary():
            return bytes(range(256)) + letter.encode()
        case CreationTime():
            return _CREATED
        case UtcDateTime():
            return _TIMES[number % len(_TIMES)]
        case Json():
            return _DOCUMENT
        case JsonText():
            return _DOCUMENT_TEXT
        case _:
            return f"{letter}{_TEXTS[number % len(_TEXTS)]}"[: getattr(column.type, "length", None)]
