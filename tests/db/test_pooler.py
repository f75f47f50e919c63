"""Behind a pooler that gives each transaction another session: it works when the URL says so, and else is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from clinic_service.db.engine import Database
from clinic_service.db.failures import DatabaseUnusable
from clinic_service.db.schema import head, upgrade
from clinic_service.models import Clinic
from clinic_service.unit_of_work import UnitOfWork, run
from tests.support.databases import create_database
from tests.support.poolers import PGBOUNCER, pooler
from tests.support.processes import run_command
from tests.support.rows import make_clinic

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")

ONE = select(Clinic.id).where(Clinic.name == "Harbour")


@pytest.fixture
def url(postgresql_url: str) -> Iterator[str]:
    with create_database(postgresql_url) as url:
        yield url


@pytest.mark.parametrize("ignored", ["", "options"], ids=["refusing", "dropping"])
def test_a_pooler_that_the_url_does_not_name_is_refused(url: str, tmp_path: Path, ignored: str) -> None:
    with pooler(url, tmp_path, ignored=ignored) as pooled, pytest.raises(DatabaseUnusable, match="pooler=transaction"):
        upgrade(pooled)


@pytest.fixture
def pooled(url: str, tmp_path: Path) -> Iterator[str]:
    with pooler(url, tmp_path) as address:
        yield f"{address}?pooler=transaction"


def test_the_schema_is_brought_up_by_one_process_at_a_time(pooled: str, tmp_path: Path) -> None:
    def bring_up(_: int) -> str:
        return run_command(tmp_path, "db", "upgrade", CLINIC_DATABASE_URL=pooled).stdout.strip()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(bring_up, range(2))) == [head()] * 2


def test_many_units_at_once(pooled: str) -> None:
    """More threads than sessions, and each question more often than a driver waits before it prepares it."""
    upgrade(pooled)
    database = Database(pooled, pool_size=4)

    def write(unit: UnitOfWork) -> str:
        return make_clinic(unit, name="Harbour").id

    def read(unit: UnitOfWork) -> list[Any]:
        with unit.snapshot():
            return unit.rows(ONE, {})

    def work(_: int) -> None:
        for _ in range(10):
            written = run(database, write, writes=True)
            assert written in {row.id for row in run(database, read, writes=False)}

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with database.read_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Clinic)) == 40
    database.dispose()


def test_limits_hold_in_transactions_and_are_left_to_nobody_else(pooled: str) -> None:
    database = Database(pooled)
    with database.write_engine.begin() as connection:
        found = [connection.scalar(text(f"SHOW {name}")) for name in ("statement_timeout", "lock_timeout")]
    with database.read_engine.connect() as connection:
        assert connection.scalar(text("SHOW statement_timeout")) == "0"
    database.dispose()
    assert found == ["15s", "5s"]
