"""The deadline of a request: the moment by which it must be answered, known to everything that is done for it.

`dispatch` begins it. Whoever calls another system, or begins a transaction, asks here how much time is left. Threads
that work for a request run in a copy of its context (`contextvars.copy_context`), so they have its deadline as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from clinic_service import clock
from clinic_service.errors import Unavailable

_end: ContextVar[float | None] = ContextVar("deadline", default=None)


class DeadlineExceeded(Unavailable):
    """The time for the request is over."""

    message = "The request could not be completed in time."


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Give the block at most so many seconds; an earlier deadline that is in force stays so."""
    end = clock.monotonic() + seconds
    before = _end.get()
    token = _end.set(end if before is None else min(before, end))
    try:
        yield
    finally:
        _end.reset(token)


@contextmanager
def unlimited() -> Iterator[None]:
    """Let the block run without a deadline, for what has to be done even when the time is over."""
    token = _end.set(None)
    try:
        yield
    finally:
        _end.reset(token)


def remaining() -> float | None:
    """Seconds until the deadline, None without one. Raises DeadlineExceeded when no time is left."""
    end = _end.get()
    if end is None:
        return None
    seconds = end - clock.monotonic()
    if seconds <= 0:
        raise DeadlineExceeded
    return seconds


def shortened(seconds: float) -> float:
    """`seconds`, or what is left until the deadline when that is less. Raises DeadlineExceeded when no time is left."""
    left = remaining()
    return seconds if left is None else min(seconds, left)
