"""Whether the database can be used just now, and why not."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from threading import Thread

import pytest
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import OperationalError

from clinic_service.db import readiness
from clinic_service.db.engine import Database
from clinic_service.db.readiness import Health, Readiness
from clinic_service.db.schema import downgrade, head, upgrade
from tests.support.databases import create_database
from tests.support.links import linked

MAX_WAIT = 10


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_FRESH_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "_ANSWER_SECONDS", 10.0)


@pytest.fixture
def url(database_url: str) -> str:
    upgrade(database_url)
    return database_url


@pytest.fixture
def ready(url: str) -> Iterator[Readiness]:
    database = Database(url)
    looking = Readiness(database)
    yield looking
    database.dispose()


def execute(url: str, statement: str) -> None:
    database = Database(url)
    with database.write_engine.begin() as connection:
        connection.exec_driver_sql(statement)
    database.dispose()


def test_a_database_with_the_right_schema_can_be_used(ready: Readiness) -> None:
    # More often than a driver waits before it prepares a statement.
    assert [ready.obstacle() for _ in range(8)] == [None] * 8


def test_an_empty_or_older_schema_is_an_obstacle(ready: Readiness, url: str) -> None:
    for revision in (f"{int(head()) - 1:04d}", "base"):
        downgrade(url, revision)
        assert ready.obstacle() == "The schema of the database is not at the revision that this program needs."
    upgrade(url)
    assert ready.obstacle() is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://me:hidden@127.0.0.1:1/name", "nothing listens at its address"),
        ("postgresql://me:hidden@no-such-host.invalid/name", "the name of its host is unknown"),
        ("sqlite:////nowhere/at/all.db", "its folder does not exist"),
    ],
)
def test_a_database_that_cannot_be_reached(url: str, words: str) -> None:
    assert Readiness(Database(url)).obstacle() == f"The database cannot be used: {words}."


def test_something_is_written_to_a_file(ready: Readiness, url: str) -> None:
    """So that a full disk is noticed."""
    if url.startswith("sqlite"):
        database = Database(url)
        with database.read_engine.connect() as connection:
            before = connection.exec_driver_sql("PRAGMA data_version").scalar()
            assert ready.obstacle() is None
            assert connection.exec_driver_sql("PRAGMA data_version").scalar() != before
        database.dispose()
    else:
        execute(url, f'ALTER DATABASE "{make_url(url).database}" SET temp_file_limit = 0')
        assert ready.obstacle() == "The database cannot be used: it is short of memory or another resource."


def test_a_full_disk(ready: Readiness, url: str) -> None:
    class DiskFull(Exception):
        sqlstate = "53100"
        sqlite_errorcode = 13 if url.startswith("sqlite") else None

    def fail(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(("PRAGMA user_version", "SELECT count")):
            raise OperationalError(statement, None, DiskFull())

    event.listen(ready._engine, "before_cursor_execute", fail)
    assert ready.obstacle() == "The database cannot be used: its disk is full."
    event.remove(ready._engine, "before_cursor_execute", fail)
    assert ready.obstacle() is None


def test_a_read_only_database(ready: Readiness, url: str) -> None:
    if url.startswith("sqlite"):
        event.listen(ready._engine, "connect", lambda connection, _record: connection.execute("PRAGMA query_only = on"))
    else:
        execute(url, f'ALTER DATABASE "{make_url(url).database}" SET default_transaction_read_only = on')
    assert ready.obstacle() == "The database cannot be used: it is read-only."


def test_a_file_that_another_process_has_locked(ready: Readiness, url: str) -> None:
    """A server locks rows, which is an obstacle for those who want them and for nobody else."""
    database = Database(url)
    with database.write_engine.begin() as connection:
        connection.execute(text("DELETE FROM clinics"))
        found = ready.obstacle()
    database.dispose()
    assert found == (
        "The database cannot be used: another process has locked it." if url.startswith("sqlite") else None
    )


class TestStalledLink:
    @pytest.fixture
    def server_database(self, postgresql_url: str) -> Iterator[str]:
        with create_database(postgresql_url) as url:
            upgrade(url)
            yield url

    def test_is_noticed_and_so_is_its_end(self, server_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with linked(server_database) as (link, address):
            ready = Readiness(Database(address))
            assert ready.obstacle() is None
            monkeypatch.setattr(readiness, "_ANSWER_SECONDS", 0.2)
            link.stall()
            assert ready.obstacle() == "The database does not answer in time."
            monkeypatch.setattr(readiness, "_ANSWER_SECONDS", 10.0)
            link.resume()
            deadline = time.monotonic() + MAX_WAIT
            while ready.obstacle() is not None:
                assert time.monotonic() < deadline

    def test_those_who_ask_meanwhile_share_one_look(
        self, server_database: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks: list[str] = []
        find = readiness._find_obstacle

        def note(engine: Engine) -> str | None:
            looks.append("look")
            return find(engine)

        monkeypatch.setattr(readiness, "_find_obstacle", note)
        monkeypatch.setattr(readiness, "_ANSWER_SECONDS", 0.5)
        with linked(server_database) as (link, address):
            ready = Readiness(Database(address))
            link.stall()
            answers: list[str | None] = []
            asking = [Thread(target=lambda: answers.append(ready.obstacle())) for _ in range(5)]
            for thread in asking:
                thread.start()
            for thread in asking:
                thread.join()
            assert answers == ["The database does not answer in time."] * 5
            assert len(looks) == 1


class TestCluster:
    """Functions in SQL stand for those of Citus."""

    @pytest.fixture
    def cluster(self, postgresql_url: str) -> Iterator[str]:
        with create_database(postgresql_url) as url:
            upgrade(url)
            execute(url, "CREATE TABLE pg_dist_node (nodename text, nodeport int, isactive bool, noderole text)")
            execute(
                url,
                "INSERT INTO pg_dist_node VALUES ('a', 1, true, 'primary'), ('b', 1, true, 'primary'),"
                " ('gone', 1, false, 'primary'), ('standby', 1, true, 'secondary')",
            )
            self.reach(url, "SELECT name = ANY (ARRAY[''a'', ''b''])")
            yield url

    @staticmethod
    def reach(url: str, answer: str) -> None:
        """Let this query tell whether the machine `name` can be reached."""
        function = "citus_check_connection_to_node(name text, port int) RETURNS bool"
        execute(url, f"CREATE OR REPLACE FUNCTION {function} LANGUAGE sql AS '{answer}'")

    @staticmethod
    def found(url: str) -> tuple[Health, str | None]:
        database = Database(url)
        looking = Readiness(database)
        health, obstacle = looking.health(), looking.obstacle()
        database.dispose()
        return health, obstacle

    def test_is_whole_when_all_machines_answer(self, cluster: str) -> None:
        assert self.found(cluster) == (Health.OK, None)

    def test_is_degraded_when_one_is_gone(self, cluster: str, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.WARNING)
        self.reach(cluster, "SELECT name = ''a''")
        assert self.found(cluster) == (Health.DEGRADED, None)
        [record] = [record for record in caplog.records if record.message == "degraded"]
        assert record.__dict__["reason"] == "1 of the 2 machines of the cluster cannot be reached."

    def test_is_degraded_when_one_does_not_answer_in_time(self, cluster: str) -> None:
        self.reach(cluster, "SELECT pg_sleep(30) IS NOT NULL")
        assert self.found(cluster) == (Health.DEGRADED, None)

    def test_is_unavailable_when_the_database_cannot_be_used(self, cluster: str) -> None:
        execute(cluster, "UPDATE alembic_version SET version_num = '0001'")
        health, obstacle = self.found(cluster)
        assert health is Health.UNAVAILABLE
        assert obstacle is not None
