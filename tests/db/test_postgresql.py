"""What the code takes for granted of a PostgreSQL session is set or checked, and a server that falls silent is given up."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from clinic_service.db.dialects import is_unavailable
from clinic_service.db.engine import Database, normal_url, revision_engine
from clinic_service.db.failures import DatabaseUnusable
from clinic_service.db.limits import REQUEST
from clinic_service.unit_of_work import run
from tests.support.databases import create_database
from tests.support.links import linked

EXPECTED = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "1min",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "client_encoding": "UTF8",
    "search_path": "public",
    "standard_conforming_strings": "on",
    "transaction_isolation": "read committed",
}
# What a database may have as defaults of its own.
UNUSUAL = {
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German",
    "client_encoding": "LATIN1",
    "search_path": "elsewhere",
    "standard_conforming_strings": "off",
    "default_transaction_isolation": "serializable",
}


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    with create_database(postgresql_url) as url:
        yield url


def settings(engine: Engine, names: list[str]) -> dict[str, str]:
    with engine.connect() as connection:
        return {name: connection.execute(text(f"SHOW {name}")).scalar_one() for name in names}


def execute(url: str, *statements: str) -> None:
    engine = revision_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def change_defaults(url: str, defaults: dict[str, str]) -> None:
    name = normal_url(url).database
    execute(url, *(f"ALTER DATABASE \"{name}\" SET {key} = '{value}'" for key, value in defaults.items()))


@pytest.mark.parametrize("defaults", [{}, UNUSUAL])
def test_every_session_is_set_up_whatever_the_defaults_of_the_database(url: str, defaults: dict[str, str]) -> None:
    change_defaults(url, defaults)
    database = Database(url)
    for engine in (database.write_engine, database.read_engine):
        assert settings(engine, list(EXPECTED)) == EXPECTED
    database.dispose()


def test_a_database_that_was_made_read_only_stays_so(url: str) -> None:
    change_defaults(url, {"default_transaction_read_only": "on"})
    database = Database(url)
    with pytest.raises(DBAPIError) as caught, database.write_engine.begin() as connection:
        connection.execute(text("CREATE TABLE written ()"))
    database.dispose()
    assert is_unavailable(caught.value)


def test_options_in_the_url_win(url: str) -> None:
    options = {"options": "-c statement_timeout=3s -c search_path=clinics", "connect_timeout": "9"}
    database = Database(normal_url(url).update_query_dict(options).render_as_string(hide_password=False))
    found = settings(database.read_engine, ["statement_timeout", "search_path", "TimeZone"])
    database.dispose()
    assert found == {"statement_timeout": "3s", "search_path": "clinics", "TimeZone": "UTC"}


def test_revisions_may_take_their_time(url: str) -> None:
    engine = revision_engine(url)
    found = settings(engine, ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"])
    engine.dispose()
    assert set(found.values()) == {"0"}


def test_a_database_in_another_encoding_is_refused(postgresql_url: str) -> None:
    execute_alone(postgresql_url, "DROP DATABASE IF EXISTS latin")
    execute_alone(postgresql_url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
    try:
        assert_unusable(
            normal_url(postgresql_url).set(database="latin").render_as_string(hide_password=False), "LATIN1"
        )
    finally:
        execute_alone(postgresql_url, "DROP DATABASE latin")


def execute_alone(url: str, statement: str) -> None:
    database = Database(url)
    with database.write_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)
    database.dispose()


@pytest.mark.parametrize(
    ("option", "words"),
    [("intervalstyle=postgres", "pooler=transaction"), ("datestyle=German", "datestyle")],
)
def test_a_session_that_is_not_as_it_was_asked_to_be_is_refused(url: str, option: str, words: str) -> None:
    """What the URL says wins, and so can stand for a pooler that drops what this program says."""
    spoilt = normal_url(url).update_query_dict({"options": f"-c {option}"})
    assert_unusable(spoilt.render_as_string(hide_password=False), words)


def assert_unusable(url: str, words: str) -> None:
    database, engine = Database(url), revision_engine(url)
    for each in (database.write_engine, database.read_engine, engine):
        with pytest.raises(DatabaseUnusable, match=words) as caught:
            each.connect()
        assert is_unavailable(caught.value)
        each.dispose()


class TestSilentServer:
    """It takes what is sent and never answers, so that the kernel sees nothing wrong."""

    @pytest.mark.parametrize("choose", [lambda d: d.read_engine, lambda d: d.write_engine], ids=["reading", "writing"])
    def test_is_given_up_in_the_middle_of_a_session(self, url: str, choose: Callable[[Database], Engine]) -> None:
        with linked(url) as (link, address):
            database = Database(address, limits=REQUEST._replace(answer=0.5))
            with choose(database).connect() as connection:
                connection.execute(text("SELECT 1"))
                link.stall()
                with pytest.raises(DBAPIError) as caught:
                    connection.execute(text("SELECT 2"))
                assert connection.invalidated
            assert is_unavailable(caught.value)
            link.resume()
            with choose(database).connect() as connection:
                assert connection.execute(text("SELECT 3")).scalar() == 3
            database.dispose()

    def test_is_given_up_while_connecting(self, url: str) -> None:
        with linked(url) as (link, address):
            link.stall()
            database = Database(address)
            with pytest.raises(DBAPIError, match="timeout") as caught:
                database.read_engine.connect()
            assert is_unavailable(caught.value)

    def test_is_not_asked_again(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reading unit whose connection was cut is done again, but not one that has waited for its answer."""
        monkeypatch.setattr("clinic_service.unit_of_work._TRY_AGAIN_SECONDS", 0.2)
        tries = []
        with linked(url) as (link, address):
            database = Database(address, limits=REQUEST._replace(answer=0.5))
            run(database, lambda unit: unit.execute(text("SELECT 1")).scalar(), writes=False)
            link.stall()

            def ask(unit: object) -> None:
                tries.append(unit)
                unit.execute(text("SELECT 2"))  # type: ignore[attr-defined]

            with pytest.raises(Exception, match="temporarily unavailable"):
                run(database, ask, writes=False)
            database.dispose()
        assert len(tries) == 1
