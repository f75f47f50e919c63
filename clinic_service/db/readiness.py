"""Tests whether requests can be answered: the database answers, its schema is current, and it accepts writes.

Of a Citus cluster it also tests whether all machines answer. Without some of them, requests about other clinics succeed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

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
_MACHINES_SILENT = "Not all machines of the cluster answer in time."
_IS_CLUSTER = text("SELECT to_regclass('pg_dist_node') IS NOT NULL")
_MACHINES = text(
    "SELECT count(*) FILTER (WHERE NOT citus_check_connection_to_node(nodename, nodeport)), count(*)"
    " FROM pg_dist_node WHERE isactive AND noderole = 'primary'"
)
_OLD_PROGRAM = "The schema of the database needs a newer version of this program."


class Health(StrEnum):
    """Whether requests can be answered: all, those that need no machine that is gone, or none."""

    OK = "ok"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"


class Readiness:
    """Tests one database. Safe to share between threads. It connects and starts threads only when it is asked."""

    def __init__(self, database: Database, audit: FindObstacle | None = None) -> None:
        """`audit` tests whether requests can be recorded."""
        self._engine = probe_engine(database.url)
        self._finders = [lambda: _find_obstacle(self._engine), *([audit] if audit else [])]
        self._find_gap = lambda: _find_gap(self._engine)
        self._last: str | None = None
        self._lock = threading.Lock()
        self._test: _Test | None = None

    def obstacle(self) -> str | None:
        """Why requests cannot be answered, in a sentence that names no host, file or user; None when they can.

        Returns within two seconds, whatever the database does. Calls at the same time share one test. A change is logged.
        """
        return self._result().obstacle

    def health(self) -> Health:
        """As `obstacle`, in a word."""
        return self._result().health

    def _result(self) -> _Result:
        with self._lock:
            if self._test is None or self._test.is_over():
                self._test = _Test(self._finders, self._find_gap)
            test = self._test
        found = test.result()
        reason = found.obstacle or found.gap
        with self._lock:
            last, self._last = self._last, reason
        if reason != last:
            words = {Health.OK: "ready", Health.DEGRADED: "degraded", Health.UNAVAILABLE: "not_ready"}
            _log.warning(words[found.health], extra={"reason": reason})
        return found


class _Result(NamedTuple):
    """Why no requests can be answered, and why some of them cannot; None when they can."""

    obstacle: str | None
    gap: str | None

    @property
    def health(self) -> Health:
        if self.obstacle is not None:
            return Health.UNAVAILABLE
        return Health.OK if self.gap is None else Health.DEGRADED


class _Test:
    """One test, in a thread of its own, because it may take longer than a caller waits."""

    def __init__(self, finders: Sequence[FindObstacle], find_gap: FindObstacle) -> None:
        self._started = time.monotonic()
        self._done = threading.Event()
        self._result = _Result(_SILENT, None)
        threading.Thread(target=self._take, args=(finders, find_gap), name="readiness", daemon=True).start()

    def is_over(self) -> bool:
        """Whether the test has ended, and is too old to be used again."""
        return self._done.is_set() and time.monotonic() - self._started > _FRESH_SECONDS

    def result(self) -> _Result:
        """What was found; the database is silent when nothing was found in time."""
        self._done.wait(max(0.0, self._started + _ANSWER_SECONDS - time.monotonic()))
        return self._result

    def _take(self, finders: Sequence[FindObstacle], find_gap: FindObstacle) -> None:
        try:
            obstacle = next(filter(None, (find() for find in finders)), None)
            # This is the result if a machine of the cluster does not answer in time.
            self._result = _Result(obstacle, _MACHINES_SILENT)
            self._result = _Result(obstacle, None if obstacle else find_gap())
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


def _find_gap(engine: Engine) -> str | None:
    """Which part of a cluster is gone; None when none is, or when the database is no cluster."""
    if engine.dialect.name == "sqlite":
        return None
    try:
        with engine.connect() as connection:
            if not connection.execute(_IS_CLUSTER).scalar():
                return None
            gone, number = connection.execute(_MACHINES).one()
    except Exception:
        return _MACHINES_SILENT
    return f"{gone} of the {number} machines of the cluster cannot be reached." if gone else None


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
