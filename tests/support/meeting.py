"""Calls that meet at a lock of the database: a test waits until they are there, however long that takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from threading import get_ident
from typing import Any

from sqlalchemy import text

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
        # Of SQLite, where a transaction waits when it begins, and only there: the threads that are beginning one.
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

    def noting(self, begin: Any) -> Any:
        """`begin`, which begins a transaction, but known to the meeting while it runs."""

        def do_begin(connection: Any) -> None:
            self._beginning.add(get_ident())
            try:
                begin(connection)
            finally:
                self._beginning.discard(get_ident())

        return do_begin


@contextmanager
def meeting(database: Database) -> Iterator[Meeting]:
    """A meeting of calls that begin while the block runs."""
    met, dialect = Meeting(database), database.write_engine.dialect
    begin = dialect.do_begin
    dialect.do_begin = met.noting(begin)  # type: ignore[method-assign]
    try:
        yield met
    finally:
        dialect.do_begin = begin  # type: ignore[method-assign]
