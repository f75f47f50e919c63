"""The deadline of a request: the moment by which it must be answered.

`dispatch` sets it. Code that calls another system or begins a transaction asks here how much time is left. Threads that
work for a request run in a copy of its context (`contextvars.copy_context`), so they have the same deadline.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar

from clinic_service import clock
from clinic_service.errors import Unavailable

_end: ContextVar[float | None] = ContextVar("deadline", default=None)


class DeadlineExceeded(Unavailable):
    """The time for the request is over."""

    message = "The request could not be completed in time."


class _Ending:
    """Sets the moment of the deadline during a block."""

    __slots__ = ("_moment", "_token")

    # A class, because a generator would cost every request twice as much.
    def __init__(self, moment: float | None) -> None:
        self._moment = moment

    def __enter__(self) -> None:
        self._token = _end.set(self._moment)

    def __exit__(self, *_: object) -> None:
        _end.reset(self._token)


def limited(seconds: float) -> AbstractContextManager[None]:
    """Set the deadline of the block to `seconds` from now, unless an earlier one is in force."""
    end, before = clock.monotonic() + seconds, _end.get()
    return _Ending(end if before is None else min(before, end))


def unlimited() -> AbstractContextManager[None]:
    """Run the block without a deadline, for work that must be done even when the time is over."""
    return _Ending(None)


def remaining() -> float | None:
    """Seconds until the deadline; None if there is no deadline. Raises DeadlineExceeded when no time is left."""
    end = _end.get()
    if end is None:
        return None
    seconds = end - clock.monotonic()
    if seconds <= 0:
        raise DeadlineExceeded
    return seconds


def shortened(seconds: float) -> float:
    """The smaller of `seconds` and the seconds until the deadline. Raises DeadlineExceeded when no time is left."""
    left = remaining()
    return seconds if left is None else min(seconds, left)
