"""The time of tests whose clock stands still, and pauses that take no time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


class Pauses(threading.Event):
    """A stop event that notes pauses instead of making them. It is set at the last of `number` pauses."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.seconds: list[float | None] = []
        self._number = number

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout)
        if len(self.seconds) == self._number:
            self.set()
        return self.is_set()
