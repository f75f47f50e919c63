"""Ids of our own rows: 24 lower-case hex characters laid out like an ObjectId.

Four bytes of seconds, five random bytes of the process, three bytes of a counter. Ids made by one process only grow,
so ordering by id is ordering by creation and breaks ties between equal times.
"""

from __future__ import annotations

import os
import secrets
import threading
import time

_COUNTER_END = 1 << 24


class IdSource:
    """Makes ids that grow strictly; one for each process, safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = secrets.token_hex(5)
        self._second = 0
        self._counter = 0

    def new_id(self) -> str:
        """The next id."""
        with self._lock:
            self._advance(int(time.time()))
            return f"{self._second:08x}{self._process}{self._counter:06x}"

    def _advance(self, second: int) -> None:
        # A clock that was set back must not make ids smaller: the last second goes on until time has caught up.
        if second > self._second:
            self._second, self._counter = second, 0
            return
        self._counter += 1
        if self._counter == _COUNTER_END:
            self._second, self._counter = self._second + 1, 0


_source = IdSource()


def new_id() -> str:
    """A new id, greater than every id that this process made before."""
    return _source.new_id()


def _renew_after_fork() -> None:
    """Give a forked process random bytes of its own, so that it cannot repeat its parent's ids."""
    global _source  # noqa: PLW0603 - one source for the whole process
    _source = IdSource()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_after_fork)
