"""Digests of tables, which are equal on both engines when the rows are equal."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Float, Table

# The value for an absent number. SQLite stores a NaN as NULL, so no stored number is a NaN.
_ABSENT = float("nan")


class TableDigest:
    """A digest of the rows that are added, and their number.

    It covers each column by itself, because columns can be encoded much faster than rows. Backup files keep digests, so
    the encoding must never change: floats are eight bytes, all other values JSON. The order of the columns does not count,
    because SQLite and PostgreSQL may have added them at different times.
    """

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.rows = 0
        self._columns = [(column.name, sha256(), _encoder(column.type)) for column in table.columns]

    def add(self, columns: Sequence[Sequence[Any]]) -> None:
        """Add rows, given as the values of each column in the order of the table, in the form that `rows.read` gives."""
        self.rows += len(columns[0])
        for values, (_, digest, encode) in zip(columns, self._columns, strict=True):
            digest.update(encode(values))

    def hexdigest(self) -> str:
        """The digest of what was added so far."""
        whole = sha256()
        for name, digest, _ in sorted(self._columns, key=lambda column: column[0]):
            whole.update(f"{name} {digest.hexdigest()}\n".encode())
        return whole.hexdigest()


def _encoder(type_: object) -> Callable[[Sequence[Any]], bytes]:
    return _floats if isinstance(type_, Float) else _others


def _floats(values: Sequence[float | None]) -> bytes:
    # SQLite does not tell -0.0 from 0.0. The addition makes them equal.
    return struct.pack(f"<{len(values)}d", *[_ABSENT if value is None else value + 0.0 for value in values])


def _others(values: Sequence[Any]) -> bytes:
    return orjson.dumps(values, default=_bytes_as_json)[1:-1] + b","


def _bytes_as_json(value: bytes | memoryview) -> list[str]:
    # A list, so that it differs from the text of the same digits.
    return [value.hex()]
