"""Ids of rows: 24 lower-case hex characters, the first eight of which are seconds, as in an ObjectId.

The next five characters are microseconds, and the last eleven a number that grows with every id of the process. So ids are
ordered by time, and those that one process makes at the same time are in the order in which it makes them. The id of a row
contains the creation time of the row (`UnitOfWork.new_id`), so the order of ids is the order of creation.
"""

from __future__ import annotations

import os
import secrets
import threading
from datetime import datetime
from typing import NamedTuple

from clinic_service import clock

# Each process starts at a random number, so two processes practically never make the same id in the same microsecond. The
# upper half of the range is left free, so that no process reaches its end.
_RANDOM_BITS = 43
# An id ends with so many characters of its number.
NUMBER_DIGITS = 11


class IdRange(NamedTuple):
    """Ids that a database makes: what they begin with, and the number of the first one."""

    prefix: str
    first: int


class IdSource:
    """Makes unique ids. Each process has one; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = secrets.randbits(_RANDOM_BITS)

    def new_id(self, time: datetime | None = None) -> str:
        """A new id of `time`, by default of now."""
        prefix, number = self.new_ids(1, time or clock.precise_now())
        return f"{prefix}{number:0{NUMBER_DIGITS}x}"

    def new_ids(self, count: int, time: datetime) -> IdRange:
        """So many new ids of `time`, whose numbers follow each other."""
        with self._lock:
            first = self._number + 1
            self._number += count
        return IdRange(_prefix(time), first)


def _prefix(time: datetime) -> str:
    return f"{int(time.timestamp()):08x}{time.microsecond:05x}"


_source = IdSource()


def new_id(time: datetime | None = None) -> str:
    """A new id of `time`, by default of now."""
    return _source.new_id(time)


def first_id(time: datetime) -> str:
    """An id that is not greater than those of `time`, and greater than those of earlier times."""
    return f"{_prefix(time)}{0:0{NUMBER_DIGITS}x}"


def new_ids(count: int, time: datetime) -> IdRange:
    """So many new ids of `time`, to be made by `dialects.numbered_id`."""
    return _source.new_ids(count, time)


def _renew_after_fork() -> None:
    """Give a forked process numbers of its own, so that it cannot repeat its parent's ids."""
    global _source  # noqa: PLW0603 - one source for the whole process
    _source = IdSource()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
