"""Tests whether requests can be answered: the database answers, its schema is current, and it accepts writes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Engine

from clinic_service.db.engine import Database, probe_engine
from clinic_service.db.failures import cause_of
from clinic_service.db.schema import is_current, needs_newer_program

_log = logging.getLogger(__name__)

# A further test: why requests cannot be answered; None when nothing is in the way.
FindObstacle = Callable[[], str | None]

# The sum is below two seconds, the maximum time to notice a dead database.
_ANSWER_SECONDS = 1.5
_FRESH_SECONDS = 0.4

_SILENT = "The database does not answer in time."
_READ_ONLY = "The database cannot be used: it is read-only."
_OLD_SCHEMA = "The schema of the database is not at the revision that this program needs."
_OLD_PROGRAM = "The schema of the database needs a newer version of this program."


class Readiness:
    """Tests one database. Safe to share between threads. It connects and starts threads only when it is asked."""

    def __init__(self, database: Database, audit: FindObstacle | None = None) -> None:
        """`audit` tests whether requests can be recorded."""
        self._engine = probe_engine(database.url)
        self._finders = [lambda: _find_obstacle(self._engine), *([audit] if audit else [])]
        self._last: str | None = None
        self._lock = threading.Lock()
        self._test: _Test | None = None

    def obstacle(self) -> str | None:
        """Why requests cannot be answered, in a sentence that names no host, file or user; None when they can.

        Returns within two seconds, whatever the database does. Calls at the same time share one test. A change is logged.
        """
        with self._lock:
            if self._test is None or self._test.is_over():
                self._test = _Test(self._finders)
            test = self._test
        found = test.result()
        with self._lock:
            last, self._last = self._last, found
        if found != last:
            _log.warning("ready" if found is None else "not_ready", extra={"reason": found})
        return found


class _Test:
    """One test, in a thread of its own, because it may take longer than a caller waits."""

    def __init__(self, finders: Sequence[FindObstacle]) -> None:
        self._started = time.monotonic()
        self._done = threading.Event()
        self._obstacle: str | None = _SILENT
        threading.Thread(target=self._take, args=(finders,), name="readiness", daemon=True).start()

    def is_over(self) -> bool:
        """Whether the test has ended, and is too old to be used again."""
        return self._done.is_set() and time.monotonic() - self._started > _FRESH_SECONDS

    def result(self) -> str | None:
        """As `Readiness.obstacle`."""
        self._done.wait(max(0.0, self._started + _ANSWER_SECONDS - time.monotonic()))
        return self._obstacle

    def _take(self, finders: Sequence[FindObstacle]) -> None:
        try:
            self._obstacle = next(filter(None, (find() for find in finders)), None)
        finally:
            self._done.set()


def _find_obstacle(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            if not is_current(connection):
                return _OLD_SCHEMA
            return _OLD_PROGRAM if needs_newer_program(connection) else _try_to_write(connection)
    except Exception as error:
        cause = cause_of(error, engine.url)
        return f"The database cannot be used: {cause.what if cause else 'it is not as this program needs it'}."


def _try_to_write(connection: Connection) -> str | None:
    """Write something that changes nothing. Raises the error that a request that writes would get."""
    if connection.dialect.name == "sqlite":
        # Writes the first page of the file again.
        connection.exec_driver_sql("PRAGMA user_version = 0")
        return None
    is_read_only = connection.exec_driver_sql("SELECT current_setting('transaction_read_only')").scalar() == "on"
    connection.exec_driver_sql("BEGIN")
    # With this little memory, the rows go into a temporary file on the disk of the database, which is deleted afterwards.
    connection.exec_driver_sql("SET LOCAL work_mem = '64kB'")
    connection.exec_driver_sql("SELECT count(*) FROM generate_series(1, 5000)")
    connection.exec_driver_sql("COMMIT")
    return _READ_ONLY if is_read_only else None
