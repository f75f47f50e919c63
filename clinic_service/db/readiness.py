"""Tests whether the database can be used: it answers, its schema is current, and it accepts writes."""

from __future__ import annotations

import threading
import time

from sqlalchemy import Connection, Engine

from clinic_service.db.engine import Database, probe_engine
from clinic_service.db.failures import cause_of
from clinic_service.db.schema import is_current

# The sum is below two seconds, the maximum time to notice a dead database.
_ANSWER_SECONDS = 1.5
_FRESH_SECONDS = 0.4

_SILENT = "The database does not answer in time."
_READ_ONLY = "The database cannot be used: it is read-only."
_OLD_SCHEMA = "The schema of the database is not at the revision that this program needs."


class Readiness:
    """Tests one database. Safe to share between threads. It connects and starts threads only when it is asked."""

    def __init__(self, database: Database) -> None:
        self._engine = probe_engine(database.url)
        self._lock = threading.Lock()
        self._test: _Test | None = None

    def obstacle(self) -> str | None:
        """Why the database cannot be used, in a sentence that names no host, file or user; None when it can be used.

        Returns within two seconds, whatever the database does. Calls at the same time share one test.
        """
        with self._lock:
            if self._test is None or self._test.is_over():
                self._test = _Test(self._engine)
            test = self._test
        return test.result()


class _Test:
    """One test of the database, in a thread of its own, because it may take longer than a caller waits."""

    def __init__(self, engine: Engine) -> None:
        self._started = time.monotonic()
        self._done = threading.Event()
        self._obstacle: str | None = _SILENT
        threading.Thread(target=self._take, args=(engine,), name="readiness", daemon=True).start()

    def is_over(self) -> bool:
        """Whether the test has ended, and is too old to be used again."""
        return self._done.is_set() and time.monotonic() - self._started > _FRESH_SECONDS

    def result(self) -> str | None:
        """As `Readiness.obstacle`."""
        self._done.wait(max(0.0, self._started + _ANSWER_SECONDS - time.monotonic()))
        return self._obstacle

    def _take(self, engine: Engine) -> None:
        try:
            self._obstacle = _find_obstacle(engine)
        finally:
            self._done.set()


def _find_obstacle(engine: Engine) -> str | None:
    try:
        with engine.connect() as connection:
            return _try_to_write(connection) if is_current(connection) else _OLD_SCHEMA
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
