"""`clinic-service db backup`: the file, and that nothing is left when it cannot be made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.demo import clinic as demo
from tests.support.backups import (
    PROGRESS,
    TABLES,
    damaged,
    file_of,
    full_disk,
    interrupt,
    listed,
    make_large,
    refused,
    rows_at,
    run,
    succeeded,
)
from tests.support.rows import make_clinic, storing
from tests.support.schemas import shape
from tests.support.units import everything


class TestBackup:
    def test_is_one_file_that_only_its_owner_can_read(self, source_url: str, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        succeeded(run("backup", folder / "a.backup", on=source_url))
        assert [file.name for file in folder.iterdir()] == ["a.backup"]
        assert S_IMODE((folder / "a.backup").stat().st_mode) == 0o600

    def test_is_a_complete_database(self, source_url: str, database: Database, tmp_path: Path) -> None:
        demo.fill(database)
        succeeded(run("backup", tmp_path / "a.backup", on=source_url))
        url = f"sqlite:///{tmp_path / 'a.backup'}"
        assert rows_at(url) == everything(database)
        assert shape(url).keys() == {*TABLES, "backup", "backup_tables"}
        assert schema.current(url) == schema.head()

    def test_tells_how_far_it_is_in_lines(self, source_url: str, database: Database, tmp_path: Path) -> None:
        demo.fill(database)
        result = succeeded(run("backup", tmp_path / "a.backup", on=source_url))
        lines = result.stderr.splitlines()
        assert lines[-1] in ("Checking: 100 %", "Comparing: 100 %")
        assert all(map(PROGRESS.fullmatch, lines))

    def test_keeps_an_existing_file_unless_told_otherwise(self, source_url: str, tmp_path: Path) -> None:
        file = tmp_path / "a.backup"
        file.write_text("precious")
        sentence = f"{file} exists. Name another file, or add --force to replace it."
        assert refused(run("backup", file, on=source_url)) == sentence
        assert file.read_text() == "precious"
        succeeded(run("backup", file, "--force", on=source_url))
        assert file.read_bytes().startswith(b"SQLite format 3")

    def test_leaves_no_file_when_it_is_interrupted(
        self, source_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        monkeypatch.setattr("clinic_service.db.transfer.backup.write_record", interrupt)
        assert run("backup", folder / "a.backup", on=source_url).exit_code == 1
        assert list(folder.iterdir()) == []

    def test_leaves_no_file_on_a_full_disk(
        self, source_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_large(database)
        folder = tmp_path / "full"
        folder.mkdir()
        with full_disk(monkeypatch):
            sentence = refused(run("backup", folder / "a.backup", on=source_url))
        assert sentence.endswith(".partial cannot be used: its disk is full. Free some space on it.")
        assert list(folder.iterdir()) == []

    def test_of_a_damaged_database_is_not_made(self, demo_url: str, tmp_path: Path) -> None:
        (tmp_path / "a.db").write_bytes(file_of(demo_url).read_bytes())
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
            connection.execute("PRAGMA writable_schema = on")
            # A page of another tree, so that rows and index differ.
            connection.execute(
                "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'tags')"
                " WHERE name = 'sites'"
            )
        sentence = refused(run("backup", tmp_path / "a.backup", on=f"sqlite:///{tmp_path / 'a.db'}"))
        assert sentence.startswith("The database is damaged: ")
        assert sentence.endswith(". No backup was made. Restore it from an earlier backup.")
        assert not (tmp_path / "a.backup").exists()

    def test_of_a_backup_file_that_was_used_has_one_record(self, demo_backup: Path, tmp_path: Path) -> None:
        """A backup file can also be served. Its record then does not fit any more, and that of its own backup does."""
        used = tmp_path / "used.db"
        used.write_bytes(demo_backup.read_bytes())
        opened = Database(f"sqlite:///{used}")
        with storing(opened) as unit:
            make_clinic(unit)
        opened.dispose()
        new_url = f"sqlite:///{tmp_path / 'new.db'}"
        assert refused(run("restore", used, on=new_url)) == damaged(used)
        succeeded(run("backup", tmp_path / "b.backup", on=f"sqlite:///{used}"))
        assert listed(succeeded(run("restore", tmp_path / "b.backup", on=new_url)))["clinics"][0] == 2
