"""The snapshot of an SQLite database that the pytest plugin restores between tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from clinic_service.db.engine import Database
from clinic_service.db.schema import upgrade
from clinic_service.db.snapshot import Snapshot


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with a revision, and with one row that every test knows."""
    file = tmp_path / "snapshot.db"
    upgrade(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE parents (name TEXT PRIMARY KEY)")
        connection.execute("CREATE TABLE children (parent TEXT NOT NULL REFERENCES parents (name))")
        connection.execute("INSERT INTO parents VALUES ('kept')")
        connection.execute("INSERT INTO children VALUES ('kept')")
    return file


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    """The database as a server opens it."""
    opened = Database(f"sqlite:///{file}")
    yield opened
    opened.dispose()


@pytest.fixture
def snapshot(file: Path) -> Iterator[Snapshot]:
    with closing(Snapshot(file)) as made:
        yield made


def _write(database: Database, statement: str) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(text(statement))


def _names(database: Database, table: str = "parents") -> list[str]:
    with database.read_engine.connect() as connection:
        return sorted(connection.execute(text(f"SELECT * FROM {table}")).scalars())


def test_rows_that_were_added_changed_and_deleted_are_as_before(database: Database, snapshot: Snapshot) -> None:
    _write(database, "INSERT INTO parents VALUES ('added')")
    _write(database, "DELETE FROM children")
    _write(database, "UPDATE parents SET name = 'renamed' WHERE name = 'kept'")
    snapshot.restore()
    assert (_names(database), _names(database, "children")) == (["kept"], ["kept"])


def test_it_can_be_restored_any_number_of_times(database: Database, snapshot: Snapshot) -> None:
    for number in range(3):
        _write(database, f"INSERT INTO parents VALUES ('{number}')")
        assert _names(database) == [str(number), "kept"]
        snapshot.restore()
        assert _names(database) == ["kept"]


def test_connections_that_are_open_see_it_and_go_on(database: Database, snapshot: Snapshot) -> None:
    query = text("SELECT name FROM parents ORDER BY name")
    with database.read_engine.connect() as reading, database.write_engine.connect() as writing:
        for number in range(2):
            with writing.begin():
                writing.execute(text(f"INSERT INTO parents VALUES ('{number}')"))
            assert list(reading.execute(query).scalars()) == [str(number), "kept"]
            snapshot.restore()
            assert list(reading.execute(query).scalars()) == ["kept"]


def test_a_table_that_was_added_is_gone(database: Database, snapshot: Snapshot) -> None:
    _write(database, "CREATE TABLE added (name TEXT)")
    snapshot.restore()
    with database.read_engine.connect() as connection:
        tables = connection.execute(text("SELECT name FROM sqlite_master WHERE name IN ('added', 'parents')"))
        assert list(tables.scalars()) == ["parents"]


def test_nothing_is_written_when_nobody_has_written(database: Database, snapshot: Snapshot) -> None:
    _write(database, "INSERT INTO parents VALUES ('added')")
    snapshot.restore()
    with database.read_engine.connect() as connection:
        before = connection.execute(text("PRAGMA data_version")).scalar()
        snapshot.restore()
        assert connection.execute(text("PRAGMA data_version")).scalar() == before


def test_it_waits_for_a_transaction_that_is_running(database: Database, snapshot: Snapshot) -> None:
    """It undoes what that transaction has stored, too."""
    _write(database, "INSERT INTO parents VALUES ('early')")
    with ThreadPoolExecutor(1) as pool:
        with database.write_engine.connect() as connection, connection.begin():
            connection.execute(text("INSERT INTO parents VALUES ('late')"))
            restored = pool.submit(snapshot.restore)
            assert not restored.done()
        restored.result(timeout=60)
    assert _names(database) == ["kept"]
