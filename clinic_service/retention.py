"""Retention: removes what is kept for a limited time, while relays run."""

from __future__ import annotations

import logging
import threading

from clinic_service.db.engine import Database
from clinic_service.unit_of_work import run

_log = logging.getLogger(__name__)

# A batch is one transaction. It is small, so that nobody waits long for its locks.
_BATCH = 500


class Retention:
    """Removes stored answers to requests with an Idempotency-Key when their time is over."""

    name = "retention"

    def __init__(self, database: Database, *, pause_seconds: float = 60.0) -> None:
        self._database = database
        self._pause_seconds = pause_seconds

    def run(self, stop: threading.Event) -> None:
        """Remove until `stop` is set. Continues when the database cannot be used for a while."""
        while not stop.is_set():
            try:
                self.remove_expired()
            except Exception as error:
                _log.warning("retention_failed", extra={"failure": type(error).__name__})
            stop.wait(self._pause_seconds)

    def remove_expired(self) -> int:
        """Remove everything whose time is over. Returns how many rows that were."""
        total = 0
        while removed := run(self._database, lambda uow: uow.stored_answers.remove_expired(_BATCH), writes=True):
            total += removed
        return total
