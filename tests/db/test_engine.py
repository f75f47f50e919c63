"""The engines: which URLs they take, what each of them lets through, and how writers wait."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, event, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from clinic_service.config import ConfigError
from clinic_service.db.engine import Database, normal_url, revision_engine

METADATA = MetaData()
COUNTERS = Table("counters", METADATA, Column("id", Integer, primary_key=True), Column("value", Integer))
NOTES = Table(
    "notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("counter_id", ForeignKey("counters.id", ondelete="CASCADE"), nullable=False),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    METADATA.create_all(database.write_engine)
    with database.write_engine.begin() as connection:
        connection.execute(insert(COUNTERS), {"id": 1, "value": 0})
    yield database
    database.dispose()


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "sqlite:///file:x?mode=memory&uri=true"],
)
def test_sqlite_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="SQLite in memory"):
        Database(url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/name", "not supported"),
        ("clinic.db", "cannot be read"),
        ("postgresql://host:port/name", "cannot be read"),
        ("postgresql://host/name?pooler=session", "pooler=transaction"),
        ("sqlite:///file:clinic.db?uri=true", "names a file and nothing else"),
        ("sqlite:///clinic.db?timeout=60", "names a file and nothing else"),
        ("sqlite://clinic.db/x", "names a file and nothing else"),
    ],
)
def test_a_url_that_names_no_database_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Database(url)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_the_driver_is_named(scheme: str) -> None:
    assert normal_url(f"{scheme}://me@host/name").drivername == "postgresql+psycopg"


def test_the_read_engine_refuses_to_write(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"), database.read_engine.connect() as connection:
        connection.execute(update(COUNTERS).values(value=1))


def test_a_held_read_connection_sees_what_was_committed_meanwhile(database: Database) -> None:
    with database.read_engine.connect() as reader:
        assert reader.scalar(select(COUNTERS.c.value)) == 0
        with database.write_engine.begin() as writer:
            writer.execute(update(COUNTERS).values(value=7))
        assert reader.scalar(select(COUNTERS.c.value)) == 7


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(DBAPIError):
        write_and_fail(database)
    with database.read_engine.connect() as connection:
        assert connection.scalar(select(COUNTERS.c.value)) == 0


def write_and_fail(database: Database) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(update(COUNTERS).values(value=7))
        connection.execute(text("SELECT no_such_column FROM counters"))


def test_a_savepoint_can_be_taken_back_alone(database: Database) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(update(COUNTERS).values(value=1))
        with connection.begin_nested() as savepoint:
            connection.execute(update(COUNTERS).values(value=2))
            savepoint.rollback()
    with database.read_engine.connect() as connection:
        assert connection.scalar(select(COUNTERS.c.value)) == 1


def test_foreign_keys_are_enforced(database: Database) -> None:
    with pytest.raises(IntegrityError), database.write_engine.begin() as connection:
        connection.execute(insert(NOTES), {"id": 1, "counter_id": 99})


def test_writers_wait_for_each_other_and_lose_nothing(database_url: str, database: Database) -> None:
    def count(_: int) -> None:
        own = Database(database_url)
        for _ in range(10):
            with own.write_engine.begin() as connection:
                # Read first: a transaction that only then becomes a writer is what SQLite refuses.
                value = connection.scalar(select(COUNTERS.c.value).with_for_update())
                assert value is not None
                connection.execute(update(COUNTERS).values(value=value + 1))
        own.dispose()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    with database.read_engine.connect() as connection:
        assert connection.scalar(select(COUNTERS.c.value)) == 40


def test_waits_two_seconds_for_a_connection(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    engine = database.write_engine
    # One for units, and one for others.
    with engine.connect(), engine.connect(), pytest.raises(PoolTimeout, match=r"timeout 2\.00"):
        engine.connect()
    database.dispose()


@pytest.mark.parametrize(("synchronous", "number"), [("FULL", 2), ("NORMAL", 1)])
def test_sqlite_is_set_up_on_every_connection(tmp_path: Path, synchronous: str, number: int) -> None:
    database = Database(f"sqlite:///{tmp_path / 'a.db'}", sqlite_synchronous=synchronous)
    for engine in (database.write_engine, database.read_engine):
        with engine.connect() as connection:
            found = {
                pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
                for pragma in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
            }
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": number}
    database.dispose()


@pytest.mark.parametrize("existing", [False, True])
def test_an_sqlite_database_is_readable_by_its_owner_alone(tmp_path: Path, existing: bool) -> None:
    """A file that somebody else made keeps the rights that they gave it."""
    file = tmp_path / "a.db"
    if existing:
        file.touch(0o640)
    before = os.umask(0o022)
    database = Database(f"sqlite:///{file}")
    with database.write_engine.begin() as connection:
        METADATA.create_all(connection)
        found = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    database.dispose()
    os.umask(before)
    assert found == dict.fromkeys(("a.db", "a.db-wal", "a.db-shm"), 0o640 if existing else 0o600)


def test_a_file_behind_a_link_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
    database = Database(f"sqlite:///{tmp_path / 'link.db'}")
    METADATA.create_all(database.write_engine)
    database.dispose()
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600


def test_changing_a_table_keeps_the_rows_that_refer_to_it(database_url: str, database: Database) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(insert(NOTES), {"id": 1, "counter_id": 1})
    engine = revision_engine(database_url)
    with engine.begin() as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("counters") as batch:
            batch.alter_column("value", nullable=False)
    engine.dispose()
    with database.read_engine.connect() as connection:
        assert list(connection.scalars(select(NOTES.c.id))) == [1]


def test_a_connection_that_is_in_use_when_its_pool_is_disposed_of_is_closed_afterwards(database_url: str) -> None:
    """As when another thread finds that the server is gone."""
    engine = Database(database_url).read_engine
    closed: list[object] = []
    event.listen(engine.pool, "close", lambda connection, _record: closed.append(connection))
    in_use = engine.raw_connection()
    driver_connection = in_use.driver_connection
    engine.dispose()
    assert closed == []
    in_use.close()
    assert closed == [driver_connection]
