"""A database that cannot be used just now is a 503 that says when to try again, and nothing is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from clinic_service import unit_of_work
from clinic_service.config import Config
from clinic_service.context import Context
from clinic_service.db.engine import Database
from clinic_service.db.limits import REQUEST
from clinic_service.db.schema import upgrade
from clinic_service.errors import Unavailable
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import ALICE
from tests.support.errors import assert_error
from tests.support.rows import make_clinic
from tests.support.small_work import Small, store, stored, transactions

Obstacle = Callable[[Database], AbstractContextManager[None]]


@pytest.fixture
def own(database_url: str, config: Config) -> Iterator[Small]:
    """The small application on a database of its own, whose connections wait for locks no longer than a second."""
    upgrade(database_url)
    database = Database(database_url, limits=REQUEST._replace(lock=1))
    yield Small(database, replace(config, database_url=database_url))
    database.dispose()


@contextmanager
def locked(database: Database) -> Iterator[None]:
    """As by another process that has a lock and goes to sleep."""
    other = Database(database.url.render_as_string(hide_password=False))
    with other.write_engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE clinics IN EXCLUSIVE MODE"))
        yield
    other.dispose()


@contextmanager
def read_only(database: Database) -> Iterator[None]:
    with database.write_engine.connect() as connection:
        name = database.url.database
        postgresql = connection.dialect.name == "postgresql"
        connection.exec_driver_sql(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'
            if postgresql
            else "PRAGMA query_only = on"
        )
        connection.commit()
    if postgresql:
        database.dispose()
    yield


@contextmanager
def full(database: Database) -> Iterator[None]:
    """SQLite may have no further page; PostgreSQL, which has no such limit, is made to say what it says then."""
    if database.url.drivername.startswith("sqlite"):
        raw = database.write_engine.raw_connection()
        raw.cursor().execute("VACUUM")
        raw.close()
    with database.write_engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        else:
            connection.execute(_raising("clinics", "53100"))
        connection.commit()
    yield


@contextmanager
def failing_at_the_end(database: Database) -> Iterator[None]:
    """COMMIT fails for a reason that no list has."""
    dialect = database.write_engine.dialect
    commit: Any = dialect.do_commit

    def do_commit(connection: Any) -> None:
        connection.rollback()
        raise dialect.loaded_dbapi.DatabaseError("no reason given")

    dialect.do_commit = do_commit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        dialect.do_commit = commit  # type: ignore[method-assign]


def _raising(table: str, state: str) -> Any:
    """Let every row that is stored in `table` be refused with `state`."""
    return text(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}';"
        f" END $$; CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
    )


@pytest.mark.parametrize("obstacle", [locked, read_only, full, failing_at_the_end])
def test_a_write_is_answered_with_503(own: Small, obstacle: Obstacle, caplog: pytest.LogCaptureFixture) -> None:
    def work(ctx: Context) -> Any:
        store(ctx.uow)
        make_clinic(ctx.uow, name="too long for the pages that are there" * 1000)
        return {"name": "done"}

    with obstacle(own.database):
        reply = own.client(work).post("/write", as_=ALICE)
    assert_error(reply, 503)
    assert reply.headers["Retry-After"] == "1"
    assert caplog.records == []
    assert stored(own.database) == (0, 0)


@pytest.mark.parametrize("obstacle", [locked, read_only, full])
def test_reads_go_on(own: Small, obstacle: Obstacle) -> None:
    def work(ctx: Context) -> Any:
        store(ctx.uow)
        return {"name": "done"}

    assert own.client(work).post("/write", as_=ALICE).status == 200
    with obstacle(own.database):
        assert stored(own.database) == (2, 1)


def test_whoever_waited_long_is_not_made_to_wait_again(own: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tries, each of which waits as long as it may, were 25 seconds."""
    monkeypatch.setattr(unit_of_work, "_TRY_AGAIN_SECONDS", 0.5)
    with locked(own.database), transactions(own.database) as seen:
        assert own.client(lambda ctx: store(ctx.uow)).post("/write", as_=ALICE).status == 503
    assert seen.count("rollback") == 1


def test_a_reading_unit_that_writes_is_a_defect_and_no_shortage(own: Small) -> None:
    def work(uow: UnitOfWork) -> None:
        uow.execute(text("DELETE FROM clinics"))

    with pytest.raises(Exception, match=r"read-?only") as caught:
        unit_of_work.run(own.database, work, writes=False)
    assert not isinstance(caught.value, Unavailable)
