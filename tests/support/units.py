"""Units of work that are still open, or that fail, while an operation is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event, select

from clinic_service import clock
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork, writing
from tests.support.client import Reply
from tests.support.statements import counting

_seconds = count(1)


def meanwhile(database: Database, work: Callable[[UnitOfWork], object], call: Callable[[], Reply]) -> Reply:
    """What `call` gets that comes while a unit that has done `work` is open: it has to wait for the end of the unit."""
    with ThreadPoolExecutor(1) as pool:
        with writing(database) as unit:
            work(unit)
            other = pool.submit(call)
            with pytest.raises(StillRunning):
                other.result(timeout=0.3)
        return other.result(timeout=10)


def number_of_statements(database: Database, call: Callable[[], Reply]) -> int:
    """How many statements the successful `call` sends, SQLite's BEGIN not counted, a second after the last one."""
    with clock.frozen(clock.now() + timedelta(seconds=next(_seconds))), counting(database) as statements:
        assert call().status in (200, 204)
    return len([sql for sql in statements if sql != "BEGIN IMMEDIATE"])


def everything(database: Database) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with database.read_engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)))) for table in Base.metadata.sorted_tables
        }


@contextmanager
def _failing_at(database: Database, number: int) -> Iterator[None]:
    """Raises RuntimeError instead of sending statement `number` of a transaction."""
    sent = count()

    def note(*_: Any) -> None:
        if next(sent) == number:
            raise RuntimeError("the database failed here, as the test asked for")

    event.listen(database.write_engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database.write_engine, "before_cursor_execute", note)


def assert_all_or_nothing(database: Database, call: Callable[[], Reply], statements: int) -> None:
    """A failure at each statement of `call` leaves no trace; without one it succeeds and sends so many `statements`.

    SQLite's BEGIN is not counted.
    """
    before = everything(database)
    first = 1 if database.url.get_backend_name() == "sqlite" else 0
    for number in range(first, first + statements):
        with _failing_at(database, number):
            assert call().status == 500
        assert everything(database) == before
    with _failing_at(database, first + statements):
        assert call().status in (200, 204)
    assert everything(database) != before
