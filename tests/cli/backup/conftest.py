"""Databases to copy from and to, on both engines each, and a backup."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clinic_service.config import Config
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.demo import clinic as demo
from tests.support.backups import run, succeeded
from tests.support.databases import clear, create_database


@pytest.fixture
def source_url(config: Config, database: Database) -> str:  # noqa: ARG001 - the database is emptied afterwards
    """The URL of `database`."""
    return config.database_url


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def target_engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def shared_target(
    target_engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Another database at the newest revision, on each engine."""
    if target_engine == "sqlite":
        yield from _opened(f"sqlite:///{tmp_path_factory.mktemp('target') / 'target.db'}")
    else:
        with create_database(request.getfixturevalue("postgresql_url")) as url:
            yield from _opened(url)


def _opened(url: str) -> Iterator[Database]:
    schema.upgrade(url)
    database = Database(url)
    yield database
    database.dispose()


@pytest.fixture
def target(shared_target: Database) -> Iterator[Database]:
    """The other database, empty."""
    yield shared_target
    clear(shared_target)


@pytest.fixture
def target_url(target: Database) -> str:
    return target.url.render_as_string(hide_password=False)


@pytest.fixture
def new_url(target_engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database that has no tables yet."""
    if target_engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'new.db'}"
    else:
        with create_database(request.getfixturevalue("postgresql_url")) as url:
            yield url


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of an SQLite database with the demo's clinic, which no test changes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('demo') / 'demo.db'}"
    schema.upgrade(url)
    database = Database(url)
    demo.fill(database)
    database.dispose()
    return url


@pytest.fixture(scope="session")
def demo_backup(demo_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it."""
    file = tmp_path_factory.mktemp("backups") / "demo.backup"
    succeeded(run("backup", file, on=demo_url))
    return file
