"""All rows of all tables, from either engine to either engine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.models import AccountDeletion
from tests.support.backups import (
    TABLES,
    damaged,
    file_of,
    listed,
    refused,
    run,
    succeeded,
)
from tests.support.databases import create_database
from tests.support.every_table import fill_every_table
from tests.support.rows import stored
from tests.support.units import everything


class TestEveryTable:
    """Also those of models that are yet to come."""

    def test_is_backed_up_and_restored(
        self, source_url: str, database: Database, target_url: str, target: Database, tmp_path: Path
    ) -> None:
        fill_every_table(database)
        before = everything(database)
        assert all(before.values())
        made = succeeded(run("backup", tmp_path / "a.backup", on=source_url))
        restored = succeeded(run("restore", tmp_path / "a.backup", on=target_url))
        assert everything(target) == everything(database) == before
        assert listed(made) == listed(restored)
        assert {name: count for name, (count, _) in listed(made).items()} == dict.fromkeys(TABLES, 2)

    def test_is_copied(self, source_url: str, database: Database, target_url: str, target: Database) -> None:
        fill_every_table(database)
        before = everything(database)
        result = succeeded(run("copy", target_url, on=source_url))
        assert everything(target) == before
        assert list(listed(result)) == TABLES
        assert result.stdout.endswith("\nBoth sides are equal.\n")


class TestOlderDatabases:
    """A revision that had landed before there were backups."""

    REVISION = "0006"

    @pytest.fixture
    def old_url(self, tmp_path: Path) -> str:
        url = f"sqlite:///{tmp_path / 'old.db'}"
        schema.upgrade(url, self.REVISION)
        add_deletion(file_of(url), "a11ce00001")
        return url

    def test_a_file_is_backed_up_as_it_is_and_upgraded_when_it_is_restored(
        self, old_url: str, tmp_path: Path, target: Database, target_url: str
    ) -> None:
        made = succeeded(run("backup", tmp_path / "a.backup", on=old_url))
        assert made.stdout.endswith(f", at revision {self.REVISION}.\n")
        assert schema.current(old_url) == self.REVISION
        restored = succeeded(run("restore", tmp_path / "a.backup", on=target_url))
        assert listed(restored)["account_deletions"] == listed(made)["account_deletions"]
        (deletion,) = stored(target, AccountDeletion)
        assert deletion.deleted_time == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)

    def test_a_damaged_backup_is_refused(self, old_url: str, tmp_path: Path) -> None:
        succeeded(run("backup", tmp_path / "a.backup", on=old_url))
        add_deletion(tmp_path / "a.backup", "b0b0000002")
        sentence = refused(run("restore", tmp_path / "a.backup", on=f"sqlite:///{tmp_path / 'new.db'}"))
        assert sentence == damaged(tmp_path / "a.backup")

    def test_a_server_is_not_backed_up(self, postgresql_url: str, tmp_path: Path) -> None:
        with create_database(postgresql_url) as url:
            schema.upgrade(url, self.REVISION)
            assert refused(run("backup", tmp_path / "a.backup", on=url)).startswith(
                f"The database is at revision {self.REVISION}, and this program copies only databases at {schema.head()}."
            )
        assert list(tmp_path.iterdir()) == []


def add_deletion(file: Path, user_id: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("INSERT INTO account_deletions VALUES (?, '2026-03-01T10:00:00.123Z')", (user_id,))
