"""Column types: the same values come back from both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, delete, insert, inspect, select, text, type_coerce
from sqlalchemy.exc import IntegrityError, StatementError

from clinic_service.db.engine import Database
from clinic_service.db.types import (
    CreationTime,
    ExactText,
    Json,
    JsonText,
    UtcDateTime,
    json_text,
    string_enum,
    wire_time,
)


class Colour(StrEnum):
    RED = "red"
    DARK_BLUE = "dark-blue"


SAMPLES = Table(
    "samples",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("time", UtcDateTime),
    Column("created", CreationTime),
    Column("document", Json),
    Column("colour", string_enum(Colour, "colour")),
    Column("key", ExactText()),
)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    SAMPLES.create(database.write_engine)
    yield database
    database.dispose()


def store(database: Database, **values: Any) -> None:
    with database.write_engine.begin() as connection:
        connection.execute(insert(SAMPLES).values(**values))


def fetch(database: Database, expression: Any, order: Any = SAMPLES.c.id) -> list[Any]:
    with database.read_engine.connect() as connection:
        return list(connection.scalars(select(expression).order_by(order)))


def test_a_time_comes_back_in_utc_and_cut_to_milliseconds(database: Database) -> None:
    given = datetime(2026, 3, 2, 11, 30, 15, 123999, tzinfo=timezone(timedelta(hours=2)))
    store(database, time=given)
    [found] = fetch(database, SAMPLES.c.time)
    assert found == datetime(2026, 3, 2, 9, 30, 15, 123000, tzinfo=UTC)
    assert found.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="without a zone"):
        store(database, time=datetime(2026, 3, 2))


def test_no_time_is_no_time(database: Database) -> None:
    store(database, time=None)
    assert fetch(database, SAMPLES.c.time) == [None]


def test_times_are_compared_and_sorted_as_times(database: Database) -> None:
    times = [datetime(2026, 3, 2, 9, 30, 15, ms * 1000, tzinfo=UTC) for ms in (0, 5, 10, 100, 999)]
    times.append(datetime(2026, 11, 2, tzinfo=UTC))
    for time in reversed(times):
        store(database, time=time)
    assert fetch(database, SAMPLES.c.time, SAMPLES.c.time) == times
    with database.read_engine.connect() as connection:
        later = connection.scalars(select(SAMPLES.c.time).where(SAMPLES.c.time >= times[3]).order_by(SAMPLES.c.time))
        assert list(later) == times[3:]


def test_a_creation_time_comes_back_to_the_microsecond_and_is_shown_in_milliseconds(database: Database) -> None:
    store(database, created=datetime(2026, 3, 2, 11, 30, 15, 123999, tzinfo=timezone(timedelta(hours=2))))
    [found] = fetch(database, SAMPLES.c.created)
    assert found == datetime(2026, 3, 2, 9, 30, 15, 123999, tzinfo=UTC)
    assert found.tzinfo is UTC
    assert fetch(database, wire_time(SAMPLES.c.created)) == ["2026-03-02T09:30:15.123Z"]


@given(st.lists(st.integers(0, 3_000_000), min_size=2, max_size=10))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_creation_times_are_sorted_as_times(database: Database, microseconds: list[int]) -> None:
    times = [datetime(2026, 3, 2, 9, 30, tzinfo=UTC) + timedelta(microseconds=count) for count in microseconds]
    with database.write_engine.begin() as connection:
        connection.execute(delete(SAMPLES))
        connection.execute(insert(SAMPLES), [{"created": time} for time in times])
    assert fetch(database, SAMPLES.c.created, SAMPLES.c.created) == sorted(times)


def test_a_creation_time_is_found_by_the_time_that_is_shown(database: Database) -> None:
    shown = datetime(2026, 3, 2, 9, 30, 15, 123000, tzinfo=UTC)
    next_one = shown + timedelta(milliseconds=1)
    store(database, created=shown + timedelta(microseconds=999))
    store(database, created=shown)
    for condition, count in (
        (SAMPLES.c.created >= shown, 2),
        (SAMPLES.c.created < shown, 0),
        (SAMPLES.c.created >= next_one, 0),
        (SAMPLES.c.created < next_one, 2),
    ):
        with database.read_engine.connect() as connection:
            assert len(connection.execute(select(SAMPLES.c.id).where(condition)).all()) == count, str(condition)


@pytest.mark.parametrize("document", [{}, [], {"a": [1, 2.5, None, True]}, {"ä\u2028\U0001f600": 'q"\\'}, ["x"]])
def test_a_document_comes_back_as_it_was(database: Database, document: Any) -> None:
    store(database, document=document)
    assert fetch(database, SAMPLES.c.document) == [document]


def test_no_document_is_null(database: Database) -> None:
    store(database, document=None)
    with database.read_engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM samples WHERE document IS NULL")) == 1
    assert fetch(database, SAMPLES.c.document) == [None]


def test_a_document_can_be_read_as_the_text_it_was_written_as(database: Database) -> None:
    store(database, document=type_coerce('{"b" : 1, "a": 1.50}', JsonText))
    assert fetch(database, type_coerce(SAMPLES.c.document, JsonText)) == ['{"b" : 1, "a": 1.50}']
    assert fetch(database, SAMPLES.c.document) == [{"b": 1, "a": 1.5}]


def test_times_inside_a_document_are_written_as_the_api_sends_them() -> None:
    time = datetime(2026, 3, 2, 11, 30, 15, 123999, tzinfo=timezone(timedelta(hours=2)))
    assert json_text({"time": time}) == '{"time":"2026-03-02T09:30:15.123Z"}'


def test_a_value_without_a_json_form_is_refused() -> None:
    with pytest.raises(TypeError):
        json_text({"set": {1}})


def test_an_enumeration_comes_back_as_its_member(database: Database) -> None:
    store(database, colour=Colour.DARK_BLUE)
    [found] = fetch(database, SAMPLES.c.colour)
    assert found is Colour.DARK_BLUE
    with database.read_engine.connect() as connection:
        assert connection.scalar(text("SELECT colour FROM samples")) == "dark-blue"


def test_an_enumeration_takes_the_value_for_the_member(database: Database) -> None:
    store(database, colour="red")
    assert fetch(database, SAMPLES.c.colour) == [Colour.RED]


def test_an_enumeration_refuses_other_values_before_and_in_the_database(database: Database) -> None:
    with pytest.raises(StatementError, match="not among the defined enum values"):
        store(database, colour="green")
    with pytest.raises(IntegrityError), database.write_engine.begin() as connection:
        connection.execute(text("INSERT INTO samples (id, colour) VALUES (1, 'green')"))


def test_exact_text_is_sorted_byte_by_byte(database: Database) -> None:
    keys = ["A", "B", "Z z", "a", "a ", "b", "ä"]
    for key in reversed(keys):
        store(database, key=key)
    assert fetch(database, SAMPLES.c.key, SAMPLES.c.key) == keys


def test_exact_text_does_not_follow_the_language_of_the_database(database: Database, engine_name: str) -> None:
    types = {column["name"]: column["type"] for column in inspect(database.write_engine).get_columns("samples")}
    # Without a collation of its own SQLite compares bytes, PostgreSQL does as the database was told when it was made.
    assert getattr(types["key"], "collation", None) == {"sqlite": None, "postgresql": "C"}[engine_name]


def test_exact_text_is_equal_to_itself_only(database: Database) -> None:
    for key in ("abc", "ABC", "abc ", "äbc"):
        store(database, key=key)
    with database.read_engine.connect() as connection:
        assert list(connection.scalars(select(SAMPLES.c.key).where(SAMPLES.c.key == "abc"))) == ["abc"]
