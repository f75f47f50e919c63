"""Connections that are kept between two units."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import event, literal, select

from clinic_service.db.engine import Database
from clinic_service.unit_of_work import UnitOfWork, reading, run, writing
from tests.support.databases import open_transactions

_ONE = select(literal(1).label("one"))
_SECONDS = 60


@pytest.fixture
def own(database_url: str) -> Iterator[Database]:
    """A database of which one connection is kept, and two may be open."""
    database = Database(database_url, pool_size=1)
    yield database
    database.dispose()


def driver_connection(unit: UnitOfWork) -> Any:
    return unit.connection.connection.driver_connection


def used(database: Database) -> Any:
    """The connection that a unit uses."""
    return run(database, driver_connection, writes=False)


def closed(database: Database) -> list[Any]:
    """The connections that are closed from now on."""
    found: list[Any] = []
    event.listen(database.read_engine.pool, "close", lambda connection, _record: found.append(connection))
    return found


def test_one_unit_after_the_other_uses_the_same_without_the_pool(own: Database) -> None:
    first = used(own)
    taken: list[Any] = []
    event.listen(own.read_engine.pool, "checkout", lambda *arguments: taken.append(arguments))
    assert [used(own) for _ in range(3)] == [first] * 3
    assert taken == []


def test_units_within_each_other_use_different_ones(own: Database) -> None:
    with reading(own) as outer, reading(own) as inner:
        assert driver_connection(outer) is not driver_connection(inner)


def test_no_more_are_kept_than_allowed(own: Database) -> None:
    with reading(own), reading(own):
        pass
    assert len(own.readers) == 1
    with own.read_engine.connect() as connection:
        assert connection.execute(_ONE).scalar_one() == 1


def test_a_thread_that_waits_gets_the_one_that_is_given_back(own: Database) -> None:
    with ThreadPoolExecutor(1) as threads, reading(own):
        with reading(own) as inner:
            given_back = driver_connection(inner)
            waiting = threads.submit(used, own)
            end = time.monotonic() + _SECONDS
            while not own.readers._waiting and time.monotonic() < end:
                time.sleep(0.001)
        assert waiting.result(_SECONDS) is given_back


def test_none_is_used_again_after_the_loss_of_one(own: Database) -> None:
    gone, before = closed(own), used(own)
    # What is done with all connections when one of them is lost.
    own.read_engine.dispose()
    assert used(own) is not before
    assert gone == [before]


def test_one_that_is_in_use_at_the_loss_of_another_is_closed_afterwards(own: Database) -> None:
    gone = closed(own)
    with reading(own) as unit:
        in_use = driver_connection(unit)
        own.read_engine.dispose()
        assert gone == []
    assert gone == [in_use]


def test_an_invalid_one_is_not_kept(own: Database) -> None:
    with reading(own) as unit:
        unit.connection.connection.invalidate()
    assert len(own.readers) == 0


def test_all_are_closed_with_the_database(own: Database) -> None:
    gone, kept = closed(own), used(own)
    own.dispose()
    assert gone == [kept]


class TestWritingUnits:
    def test_use_the_same_connection_one_after_the_other(self, own: Database) -> None:
        first = run(own, driver_connection, writes=True)
        assert [run(own, driver_connection, writes=True) for _ in range(3)] == [first] * 3
        assert open_transactions(own) == 0

    def test_count_as_open_until_they_end(self, own: Database) -> None:
        run(own, driver_connection, writes=True)
        with writing(own):
            assert open_transactions(own) == 1
        assert open_transactions(own) == 0

    def test_end_their_transaction_when_the_work_fails(self, own: Database) -> None:
        with pytest.raises(_Failure):
            run(own, _fail, writes=True)
        assert open_transactions(own) == 0
        # On SQLite it would wait for the other transaction.
        run(own, driver_connection, writes=True)

    def test_end_their_transaction_when_the_commit_fails(self, own: Database) -> None:
        event.listen(own.write_engine, "commit", _fail)
        with pytest.raises(_Failure):
            run(own, driver_connection, writes=True)
        event.remove(own.write_engine, "commit", _fail)
        assert open_transactions(own) == 0
        run(own, driver_connection, writes=True)


class _Failure(Exception):
    pass


def _fail(_: object) -> None:
    raise _Failure
