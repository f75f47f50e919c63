"""An older program on a schema that a newer one has upgraded: it works on, or it is told that it must not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from clinic_service.cli import main
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.db.readiness import Readiness
from tests.support.backups import rows_at, succeeded
from tests.support.backups import run as run_db
from tests.support.newer_program import NEWER, UNFIT, NewerProgram


def obstacle(url: str) -> str | None:
    database = Database(url)
    try:
        return Readiness(database).obstacle()
    finally:
        database.dispose()


def test_it_works_on_where_the_newer_revision_allows_it(database_url: str, tmp_path: Path) -> None:
    schema.upgrade(database_url)
    NewerProgram(tmp_path / "newer").upgrade(database_url)
    assert schema.is_usable(database_url)
    assert obstacle(database_url) is None


class TestUnfitProgram:
    @pytest.fixture
    def newer(self, tmp_path: Path) -> NewerProgram:
        return NewerProgram(tmp_path / "newer", UNFIT)

    @pytest.fixture
    def url(self, database_url: str, newer: NewerProgram) -> str:
        schema.upgrade(database_url)
        newer.upgrade(database_url)
        return database_url

    def test_is_not_ready(self, url: str) -> None:
        assert obstacle(url) == "The schema of the database needs a newer version of this program."

    def test_does_not_start_and_does_not_write(self, url: str) -> None:
        env = {"CLINIC_DATABASE_URL": url}
        for command in (["serve", "--port", "0"], ["users", "list"], ["db", "check"], ["db", "upgrade"]):
            result = CliRunner().invoke(main, command, env=env)
            assert result.exit_code == 1, result.output
            assert f"is at revision {NEWER}, and this program, which knows the revisions up to" in result.output

    def test_works_again_when_the_newer_revision_is_undone(self, url: str, newer: NewerProgram) -> None:
        newer.downgrade(url)
        assert schema.is_usable(url)
        assert obstacle(url) is None

    def test_of_a_backup_is_told_as_well(self, url: str, tmp_path: Path) -> None:
        """The backup of SQLite is one of all pages, which an older program may make and may not restore."""
        file = tmp_path / "newer.backup"
        made = run_db("backup", file, on=url)
        if url.startswith("sqlite"):
            succeeded(made)
            restored = run_db("restore", file, on=f"sqlite:///{tmp_path / 'restored.db'}")
            assert restored.exit_code == 1
            assert "Restore it with a newer program" in restored.output
        else:
            assert made.exit_code == 1

    def test_may_upgrade_a_database_that_the_newer_one_has_emptied(self, url: str, newer: NewerProgram) -> None:
        newer.downgrade(url, "base")
        schema.upgrade(url)
        assert schema.is_usable(url)
        assert not any(rows_at(url).values())
