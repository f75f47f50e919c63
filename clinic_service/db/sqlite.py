"""How a connection to SQLite is set up."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from clinic_service.db.limits import Limits

# For those who wait as long as it takes: SQLite itself cannot wait for ever.
_LONGEST_WAIT_SECONDS = 60

_IS_OURS = """
    SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)
        OR EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'alembic_version')
"""

_creating = threading.Lock()


def is_sqlite(url: URL) -> bool:
    """Whether a file holds the database, and no server."""
    return url.get_backend_name() == "sqlite"


def sqlite_engine(
    url: URL, limits: Limits, *, synchronous: str, read_only: bool, foreign_keys: bool, **options: Any
) -> Engine:
    """An engine whose connections begin no transaction by themselves."""
    pragmas = [
        # First, so that all that follows waits as well.
        f"busy_timeout = {(limits.lock or _LONGEST_WAIT_SECONDS) * 1000}",
        f"synchronous = {synchronous}",
        f"foreign_keys = {_switch(foreign_keys)}",
        # Each connection has a small cache of its own; what all of them read, they read from the system's.
        "cache_size = -8192",
        "mmap_size = 2147418112",
        "temp_store = MEMORY",
    ]

    def set_up(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself; `begin_immediate` does.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        # The file keeps this one. A file of another program is left as it is.
        if connection.execute(_IS_OURS).fetchone()[0]:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA query_only = {_switch(read_only)}")

    engine = create_engine(url, **options)
    event.listen(engine, "do_connect", _create_for_the_owner)
    event.listen(engine, "connect", set_up)
    return engine


def begin_immediate(engine: Engine) -> None:
    """Let each transaction take the write lock when it begins."""

    def on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(engine, "begin", on_begin)


def _create_for_the_owner(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    """Make a file that is not there, readable by its owner alone; SQLite gives the files beside it the same rights.

    A file that is there is never opened here: closing it would end the locks that other connections of this process
    hold on it. For the same reason only one thread at a time makes one. What fails here fails again in SQLite.
    """
    with _creating, suppress(OSError):
        os.close(os.open(os.path.realpath(arguments[0]), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _switch(on: bool) -> str:
    return "on" if on else "off"
