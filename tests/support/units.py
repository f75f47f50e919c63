"""Units of work that are still open, or that fail, while an operation is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

from sqlalchemy import event, select

from clinic_service import clock
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork, writing
from tests.support.client import Reply
from tests.support.databases import filled_tables
from tests.support.meeting import meeting
from tests.support.statements import counting

_seconds = count(1)
# Made once: some tests ask for everything before and after each statement of an operation.
_ROWS = {table.name: select(table) for table in Base.metadata.sorted_tables}


def meanwhile(database: Database, work: Callable[[UnitOfWork], object], call: Callable[[], Reply]) -> Reply:
    """What `call` gets that comes while a unit that has done `work` is open: it has to wait for the end of the unit."""
    with ThreadPoolExecutor(1) as pool, meeting(database) as met:
        with writing(database) as unit:
            work(unit)
            other = pool.submit(call)
            met.wait_for([other])
        return other.result(timeout=60)


def number_of_statements(database: Database, call: Callable[[], Reply]) -> int:
    """How many statements the successful `call` sends, a second after the last one."""
    with clock.frozen(clock.now() + timedelta(seconds=next(_seconds))), counting(database) as statements:
        assert call().status in (200, 202, 204)
    return len(statements)


def everything(database: Database) -> dict[str, list[Any]]:
    """All rows of all tables but the audit trail, which has a row about each write that is allowed."""
    return {name: rows for name, rows in everything_recorded(database).items() if not name.startswith("audit_")}


def everything_recorded(database: Database) -> dict[str, list[Any]]:
    """All rows of all tables."""
    with database.read_engine.connect() as connection:
        filled = {table.name for table in filled_tables(connection)}
        return {
            name: sorted(map(repr, connection.execute(rows))) if name in filled else [] for name, rows in _ROWS.items()
        }


def _difference(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> dict[str, set[Any]]:
    """By table, the rows that are only in one of the two."""
    return {table: rows for table in before if (rows := set(before[table]) ^ set(after[table]))}


@contextmanager
def _failing_at(database: Database, number: int) -> Iterator[list[str]]:
    """Raises RuntimeError instead of sending statement `number` of a transaction, the COMMIT included.

    Gives a list that is empty unless it came to that.
    """
    sent, failed = count(), list[str]()

    def note(*_: Any) -> None:
        if next(sent) == number:
            failed.append("the database failed here, as the test asked for")
            raise RuntimeError(*failed)

    events = ("before_cursor_execute", "commit")
    for name in events:
        event.listen(database.write_engine, name, note)
    try:
        yield failed
    finally:
        for name in events:
            event.remove(database.write_engine, name, note)


def assert_all_or_nothing(
    database: Database,
    call: Callable[[], Reply],
    statements: int | None = None,
    compensate: Callable[[], None] = lambda: None,
) -> None:
    """A failure at each statement of `call` in turn leaves no trace; without one it succeeds and changes something.

    `statements`: how many there must be, the COMMIT and the row of the audit trail not counted.
    `compensate` does what the relay does after a failure, for calls that are more than one transaction.
    """
    compensate()
    before = everything_recorded(database)
    for number in count():
        with _failing_at(database, number) as failed:
            reply = call()
        if not failed:
            break
        assert reply.status == 500, f"the failure of statement {number} was not noticed"
        compensate()
        left = _difference(before, everything_recorded(database))
        assert not left, f"statement {number} failed, and this was left behind or is missing: {left}"
    assert 200 <= reply.status < 300, reply.json
    after = everything_recorded(database)
    assert len(after["audit_entries"]) == len(before["audit_entries"]) + 1
    assert _difference(before, after).keys() > {"audit_entries"}
    if statements is not None:
        # The COMMIT and the row of the audit trail are not counted.
        assert number - 2 == statements
