"""Connection pools that are watched: how many connections are in use, and how long work waits for a free one.

The library of the metrics is imported in the functions that use it, because most commands do not need it.
"""

from __future__ import annotations

import logging
import time
from typing import ClassVar

from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

# A pool logs under the name of its class, and at the level INFO that it was disposed of.
logging.getLogger(__name__).setLevel(logging.WARNING)


class MeasuredPool(QueuePool):
    """A pool of fixed size."""

    # The label of its metrics.
    label: ClassVar[str]
    _is_disposed = False

    def measure(self) -> None:
        """Set the metrics of connections in use to those of this moment."""
        from clinic_service.metrics.counters import set_pool_use

        set_pool_use(self.label, self.checkedout(), self.size())

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
