"""A connection to PostgreSQL that does not wait for ever when nothing comes back over the network any more.

The server ends a statement that takes too long, but it cannot end one whose answer is lost on the way.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

import psycopg

from clinic_service import clock, deadline
from clinic_service.deadline import DeadlineExceeded

T = TypeVar("T")

CONNECT_SECONDS = 5
# More than the server needs to end a statement at its own limit and to say so.
_MORE_THAN_THE_SERVER = 2.0
# For ending a transaction when the time for the request is over.
_AT_LEAST = 1.0


class LimitedConnection(psycopg.Connection[Any]):
    """Waits for an answer no longer than the request may take; then it is closed, and OperationalError raised."""

    statement_seconds = 0.0

    def wait(self, gen: Generator[Any, Any, T], *arguments: Any, **options: Any) -> T:
        end = clock.monotonic() + _patience(self.statement_seconds)
        return super().wait(self._until(end, gen), *arguments, **options)

    def _until(self, end: float, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """What the driver waits for; it is told regularly that nothing has come yet."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and clock.monotonic() >= end:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("No answer came in time.")
                wanted = gen.send(ready)
        except StopIteration as done:
            result: T = done.value
            return result


def limited(statement_seconds: int) -> type[LimitedConnection]:
    """The kind of connection for a server that ends statements after so many seconds."""
    return type("LimitedConnection", (LimitedConnection,), {"statement_seconds": float(statement_seconds)})


def _patience(statement_seconds: float) -> float:
    longest = statement_seconds + _MORE_THAN_THE_SERVER
    try:
        return max(_AT_LEAST, deadline.shortened(longest))
    except DeadlineExceeded:
        return _AT_LEAST
