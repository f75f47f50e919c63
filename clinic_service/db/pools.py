"""Connection pools that are watched: how many connections are in use, and how long work waits for a free one.

Between two units, connections are kept beside their pool.

The library of the metrics is imported in the functions that use it, because most commands do not need it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from typing import ClassVar

from sqlalchemy import Connection, Engine
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

# The key under which a connection has its pool.
_POOL = "pool"
# A pool logs under the name of its class, and at the level INFO that it was disposed of.
logging.getLogger(__name__).setLevel(logging.WARNING)


class MeasuredPool(QueuePool):
    """A pool of fixed size."""

    # The label of its metrics.
    label: ClassVar[str]
    _is_disposed = False

    def measure(self, kept: int = 0) -> None:
        """Set the metrics of connections in use to those of this moment. `kept` of them are checked out, but not in use."""
        from clinic_service.metrics.counters import set_pool_use

        set_pool_use(self.label, self.checkedout() - kept, self.size())

    def dispose(self) -> None:
        """Close the connections that are free, and later each other one when it is returned. Then the pool is not used."""
        self._is_disposed = True
        super().dispose()

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if self._is_disposed:
            # The library would keep it in a pool that nobody uses, where it stays open until the garbage is collected.
            record.close()
        else:
            super()._do_return_conn(record)

    def _do_get(self) -> ConnectionPoolEntry:
        if self.checkedin() or self.overflow() < 0:
            # A connection is free, or may be opened.
            return super()._do_get()
        from clinic_service.metrics.counters import observe_pool_wait

        started = time.perf_counter()
        try:
            return super()._do_get()
        finally:
            observe_pool_wait(self.label, time.perf_counter() - started)


class ReadPool(MeasuredPool):
    """The pool of the connections that only read."""

    label = "read"


class WritePool(MeasuredPool):
    """The pool of the connections for transactions."""

    label = "write"


class KeptConnections:
    """Connections that were checked out of the pool of `engine` once, and are used by one unit after the other.

    To check a connection out and in again takes longer than a look-up by key. At most `most` free connections are kept.
    """

    def __init__(self, engine: Engine, most: int) -> None:
        self._engine, self._most = engine, most
        self._free: deque[Connection] = deque()
        self._lock = threading.Lock()
        # The number of threads that may have to wait for the pool.
        self._waiting = 0

    def __len__(self) -> int:
        """The number of connections that are kept and not in use."""
        return len(self._free)

    def take(self) -> Connection:
        """A connection that the caller gives back or closes. Raises what the pool raises."""
        return self._take_free() or self._check_out()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection, which is in no transaction, for the next unit, or return it to the pool."""
        if not self._is_usable(connection) or len(self._free) >= self._most:
            connection.close()
            return
        self._free.append(connection)
        # A waiting thread waits in the pool, so it needs a connection there.
        if self._waiting:
            self._return_one()

    def close(self) -> None:
        """Return the free connections to the pool."""
        while self._free:
            self._return_one()

    def _return_one(self) -> None:
        with suppress(IndexError):
            self._free.pop().close()

    def _take_free(self) -> Connection | None:
        with suppress(IndexError):
            while not self._is_usable(connection := self._free.pop()):
                connection.close()
            return connection
        return None

    def _is_usable(self, connection: Connection) -> bool:
        # The engine gets another pool when a connection was lost, because then all are, and when it is disposed of.
        if connection.invalidated:
            return False
        raw = connection.connection
        return raw.is_valid and raw.info[_POOL] is self._engine.pool

    def _check_out(self) -> Connection:
        with self._lock:
            self._waiting += 1
        try:
            # A connection may have been given back just before this thread was counted as waiting.
            return self._take_free() or self._connect()
        finally:
            with self._lock:
                self._waiting -= 1

    def _connect(self) -> Connection:
        connection = self._engine.connect()
        connection.info[_POOL] = self._engine.pool
        return connection
