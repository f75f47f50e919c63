"""Counting the statements that an operation sends to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from clinic_service.db.engine import Database

AUDIT_ROW = "INSERT INTO audit_entries "


@contextmanager
def counting(database: Database) -> Iterator[list[str]]:
    """Collects the SQL of every statement sent while the block runs; one with many rows of values counts once.

    The row that every write adds to the audit trail is left out.
    """
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith(AUDIT_ROW):
            sent.append(statement)

    engines = (database.read_engine, database.write_engine)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
