"""Calls that meet at a lock of the database: a test waits until they are there, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from sqlalchemy import event, text

from clinic_service.db.engine import Database

# Only a test that hangs for good meets this limit.
_SECONDS = 60
_BLOCKED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0"
)


class Meeting:
    """Knows how many transactions wait for a lock."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Of SQLite, where a transaction waits in its first statement, and only there: the threads that are in it.
        self._beginning = set[int]()

    def wait_for(self, calls: Sequence[Future[Any]]) -> None:
        """Return when each of `calls` waits for a lock. Raises AssertionError when one of them ends instead."""
        deadline = time.monotonic() + _SECONDS
        while self._waiting() < len(calls):
            assert not any(call.done() for call in calls), "a call did not wait for the lock"
            assert time.monotonic() < deadline, "a call neither ends nor waits for a lock"
            time.sleep(0.002)

    def _waiting(self) -> int:
        if self._database.url.get_backend_name() == "sqlite":
            return len(self._beginning)
        with self._database.read_engine.connect() as connection:
            return int(connection.execute(_BLOCKED).scalar_one())

    def begins(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement == "BEGIN IMMEDIATE":
            self._beginning.add(get_ident())

    def has_begun(self, *_: Any) -> None:
        self._beginning.discard(get_ident())


@contextmanager
def meeting(database: Database) -> Iterator[Meeting]:
    """A meeting of calls that begin while the block runs."""
    met = Meeting(database)
    listeners = (
        ("before_cursor_execute", met.begins),
        ("after_cursor_execute", met.has_begun),
        ("handle_error", met.has_begun),
    )
    for name, listener in listeners:
        event.listen(database.write_engine, name, listener)
    try:
        yield met
    finally:
        for name, listener in listeners:
            event.remove(database.write_engine, name, listener)
