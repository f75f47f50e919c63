"""Ids of rows: 24 lower-case hex characters, the first eight of which are seconds, as in an ObjectId.

The next five characters are microseconds, and the last eleven a number that grows with every id of the process. So ids are
ordered by time, and those that one process makes at the same time are in the order in which it makes them. The id of a row
contains the creation time of the row (`UnitOfWork.new_id`), so the order of ids is the order of creation.
"""

from __future__ import annotations

import os
import secrets
from datetime import datetime
from functools import lru_cache
from itertools import count

from clinic_service import clock

# Each process starts at a random number, so two processes practically never make the same id in the same microsecond. The
# upper half of the range is left free, so that no process reaches its end.
_RANDOM_BITS = 43
# The number of characters at the end of an id that contain its number.
_NUMBER_DIGITS = 11


class IdSource:
    """Makes unique ids. Each process has one; threads may share it."""

    def __init__(self) -> None:
        # Taking the next number is one step of the interpreter, so no two threads get the same one.
        self._numbers = count(secrets.randbits(_RANDOM_BITS))

    def new_id(self, time: datetime | None = None) -> str:
        """A new id of `time`, by default of now."""
        return f"{_prefix(time or clock.precise_now())}{next(self._numbers):0{_NUMBER_DIGITS}x}"


# A unit makes several ids of one time.
@lru_cache(maxsize=16)
def _prefix(time: datetime) -> str:
    return f"{int(time.timestamp()):08x}{time.microsecond:05x}"


_source = IdSource()


def new_id(time: datetime | None = None) -> str:
    """A new id of `time`, by default of now."""
    return _source.new_id(time)


def first_id(time: datetime) -> str:
    """An id that is not greater than those of `time`, and greater than those of earlier times."""
    return f"{_prefix(time)}{0:0{_NUMBER_DIGITS}x}"


def _renew_after_fork() -> None:
    """Give a forked process numbers of its own, so that it cannot repeat its parent's ids."""
    global _source  # noqa: PLW0603 - one source for the whole process
    _source = IdSource()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
