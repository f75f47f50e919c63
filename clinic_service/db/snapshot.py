"""Puts an SQLite database back to an earlier state while a server uses it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

_WAIT_SECONDS = 10.0
_RETRY_SECONDS = 0.005


class Snapshot:
    """The content that the database in `file` has when the snapshot is made. It is kept in memory.

    Any thread may call the methods, one at a time.
    """

    def __init__(self, file: Path) -> None:
        self._live = sqlite3.connect(file, timeout=_WAIT_SECONDS, check_same_thread=False)
        # A database that can be restored need not survive a power failure.
        self._live.execute("PRAGMA synchronous = OFF")
        self._version = self._current_version()
        self._kept = sqlite3.connect(":memory:", check_same_thread=False)
        self._live.backup(self._kept)

    def restore(self) -> None:
        """Give the database the content of the snapshot again, in one transaction.

        Other connections, also those of other processes, see it from their next statement on. Nothing is copied when
        no other connection has written since the last time.
        """
        version = self._current_version()
        if version != self._version:
            self._kept.backup(self._live, sleep=_RETRY_SECONDS)
            self._version = version

    def close(self) -> None:
        """Close the database and forget the content."""
        self._live.close()
        self._kept.close()

    def _current_version(self) -> int:
        """A number that changes when another connection commits, and not by what this connection writes."""
        version: int = self._live.execute("PRAGMA data_version").fetchone()[0]
        return version
