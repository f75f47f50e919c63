"""How a connection to SQLite is set up."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL

from clinic_service.db.limits import Timeouts

# The timeout where none is wanted, because SQLite cannot wait without one.
_LONGEST_WAIT_SECONDS = 60

_IS_OURS = """
    SELECT NOT EXISTS (SELECT 1 FROM sqlite_master)
        OR EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'alembic_version')
"""

_creating = threading.Lock()


def is_sqlite(url: URL) -> bool:
    """Whether `url` is that of an SQLite database."""
    return url.get_backend_name() == "sqlite"


def sqlite_engine(
    url: URL, limits: Timeouts, *, synchronous: str, read_only: bool, foreign_keys: bool, **options: Any
) -> Engine:
    """An engine whose connections do not begin transactions implicitly."""
    pragmas = [
        # The first, so that it applies to the following ones as well.
        f"busy_timeout = {(limits.lock or _LONGEST_WAIT_SECONDS) * 1000}",
        f"synchronous = {synchronous}",
        f"foreign_keys = {_switch(foreign_keys)}",
        # Each connection has a small cache of its own. Pages that all connections read are in the cache of the system.
        "cache_size = -8192",
        "mmap_size = 2147418112",
        "temp_store = MEMORY",
    ]

    def set_up(connection: Any, _record: Any) -> None:
        # The driver does not begin transactions. `begin_immediate` does.
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        # This setting is stored in the file. A file of another program is not changed.
        if connection.execute(_IS_OURS).fetchone()[0]:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA query_only = {_switch(read_only)}")

    engine = create_engine(url, **options)
    event.listen(engine, "do_connect", _create_for_the_owner)
    event.listen(engine, "connect", set_up)
    return engine


def begin_immediate(engine: Engine) -> None:
    """Make each transaction take the write lock when it begins."""

    def do_begin(connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE")

    # The dialect belongs to this engine alone. A statement by `Connection.exec_driver_sql` takes several times as long.
    engine.dialect.do_begin = do_begin  # type: ignore[method-assign, assignment]


def _create_for_the_owner(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
    """Create a missing file, readable by its owner only; SQLite gives its journal files the same permissions.

    An existing file is never opened here: closing it would release the locks that other connections of this process hold
    on it. For the same reason only one thread at a time creates a file. An error here occurs again in SQLite.
    """
    with _creating, suppress(OSError):
        os.close(os.open(os.path.realpath(arguments[0]), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _switch(on: bool) -> str:
    return "on" if on else "off"
