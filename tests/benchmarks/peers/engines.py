"""The two databases by their drivers, spelled alike as far as the hand-written data layer needs it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import psycopg
from sqlalchemy import make_url

# As clinic-service sets them, so that no server is slower for its database.
PRAGMAS = (
    "busy_timeout = 5000",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "foreign_keys = on",
    "cache_size = -65536",
    "mmap_size = 268435456",
    "temp_store = MEMORY",
)


class Engine(Protocol):
    """A database, by its driver. Each thread has a connection of its own."""

    @property
    def for_update(self) -> str:
        """What makes a SELECT lock the row."""

    @property
    def duplicate(self) -> type[Exception]:
        """What the driver raises when a unique index is violated."""

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any: ...
    def begin(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def stored(self, time: datetime) -> Any: ...
    def wire(self, time: Any) -> str: ...


class Sqlite:
    """The settings are those of clinic-service."""

    for_update = ""
    duplicate: type[Exception] = sqlite3.IntegrityError

    def __init__(self, file: str) -> None:
        self._file = file
        self._local = threading.local()

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        try:
            connection: sqlite3.Connection = self._local.connection
        except AttributeError:
            connection = self._local.connection = self._connect()
        return connection.execute(statement, parameters)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None)
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    def stored(self, time: datetime) -> str:
        return _wire(time)

    def wire(self, time: str) -> str:
        # Some are kept to the microsecond.
        return f"{time[:23]}Z"


class Postgresql:
    """Autocommit, with transactions where they are asked for."""

    for_update = " FOR UPDATE"
    duplicate: type[Exception] = psycopg.errors.UniqueViolation

    def __init__(self, address: str) -> None:
        self._address = address
        self._local = threading.local()
        self._spelled: dict[str, Any] = {}

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        spelled = self._spelled.get(statement)
        if spelled is None:
            spelled = self._spelled[statement] = statement.replace("?", "%s")
        try:
            connection: psycopg.Connection = self._local.connection
        except AttributeError:
            options = "-c timezone=UTC"
            connection = psycopg.connect(self._address, autocommit=True, options=options)
            self._local.connection = connection
        return connection.execute(spelled, parameters)

    def begin(self) -> None:
        self.execute("BEGIN")

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        self.execute("ROLLBACK")

    def stored(self, time: datetime) -> datetime:
        return time

    def wire(self, time: datetime) -> str:
        return _wire(time)


def _wire(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


def connect(url: str) -> Engine:
    """The engine of a SQLAlchemy URL."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return Sqlite(str(parsed.database))
    return Postgresql(parsed.set(drivername="postgresql").render_as_string(hide_password=False))
