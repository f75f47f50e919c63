"""Circuit breaker: a system that fails several times in a row is not called for a while, to save the time of waiting.

When the breaker is closed, calls are made. After several failures in a row it is open, and calls are refused at once. After
a pause it is half open: one call is made, and the others are still refused. The outcome of this call closes or opens it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

from clinic_service import clock
from clinic_service.deadline import DeadlineExceeded
from clinic_service.errors import BadGateway, Unavailable

FAILURES = 5
PAUSE_SECONDS = 10.0


class CircuitOpen(Unavailable):
    """The other system failed several times in a row, so it is not called now."""

    message = "Another service cannot be reached just now."

    def __init__(self, seconds: float) -> None:
        """`seconds`: the time until the system may be called again."""
        super().__init__()
        self.retry_after = max(1, ceil(seconds))


class Breaker:
    """The circuit breaker for one other system. Safe to share between threads. Its lock is not held during a call."""

    def __init__(self, service: str = "", *, failures: int = FAILURES, pause_seconds: float = PAUSE_SECONDS) -> None:
        """`service`: the name of the other system in metrics; `failures`: the number of failures in a row that opens the
        breaker; `pause_seconds`: the time for which it stays open.
        """
        self._service = service
        self._limit = failures
        self._pause = pause_seconds
        self._failures = 0
        # None while closed; otherwise the time of the monotonic clock at which the next call may try.
        self._next_try: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Make one call in the block. When the breaker is open, raises CircuitOpen, and the block does not run.

        Unavailable, raised in the block, counts as a failure of the other system; BadGateway counts as an answer. A
        call that was stopped because the time for the request was over counts as neither.
        """
        self._admit()
        try:
            yield
        except DeadlineExceeded:
            raise
        except Unavailable:
            self._fail()
            raise
        except BadGateway:
            self._succeed()
            raise
        self._succeed()

    def _admit(self) -> None:
        with self._lock:
            if self._next_try is None:
                return
            now = clock.monotonic()
            if now < self._next_try:
                self._count("refused")
                raise CircuitOpen(self._next_try - now)
            # This call is made. If its outcome is never known, another call is made after a further pause.
            self._next_try = now + self._pause

    def _succeed(self) -> None:
        self._count("answered")
        with self._lock:
            self._failures = 0
            if self._next_try is not None:
                self._next_try = None
                self._change_open(-1)

    def _fail(self) -> None:
        self._count("failed")
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                if self._next_try is None:
                    self._change_open(1)
                self._next_try = clock.monotonic() + self._pause

    def _count(self, outcome: str) -> None:
        # Imported here, because commands that call no other system do not need the library of the metrics.
        from clinic_service.metrics.counters import count_remote_call

        count_remote_call(self._service, outcome)

    def _change_open(self, number: int) -> None:
        from clinic_service.metrics.counters import change_open_breakers

        change_open_breakers(self._service, number)
