"""Circuit breaker: a system that keeps failing is left alone for a while, so that nobody waits for it in vain.

Closed, calls pass. After several failures in a row it is open: calls are refused at once. When the pause is over it is
half open: one call may try, and while it does the others are still refused. The outcome of the try closes or opens it.
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
    """The other system has failed several times in a row, so it is not called just now."""

    message = "Another service cannot be reached just now."

    def __init__(self, seconds: float) -> None:
        """`seconds`: when it may be called again."""
        super().__init__()
        self.retry_after = max(1, ceil(seconds))


class Breaker:
    """The breaker of one other system. Safe to share between threads; its lock is never held during a call."""

    def __init__(self, *, failures: int = FAILURES, pause_seconds: float = PAUSE_SECONDS) -> None:
        """`failures`: how many in a row open it; `pause_seconds`: how long it stays open."""
        self._limit = failures
        self._pause = pause_seconds
        self._failures = 0
        # None while closed; otherwise the time of the monotonic clock at which the next call may try.
        self._next_try: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Make one call in the block. Raises CircuitOpen instead of making it.

        Unavailable, raised in the block, is a failure of the other system; BadGateway is an answer. A call that was cut
        short because the time for the request was over says nothing about the other system.
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
                raise CircuitOpen(self._next_try - now)
            # This call tries. Should its outcome never be known, another one may after a further pause.
            self._next_try = now + self._pause

    def _succeed(self) -> None:
        with self._lock:
            self._failures, self._next_try = 0, None

    def _fail(self) -> None:
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._next_try = clock.monotonic() + self._pause
