"""`clinic-service db restore` and `copy`: all rows or none, and damage is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import text

from clinic_service.db import schema
from clinic_service.db.engine import Database
from tests.support.backups import (
    after_table,
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


class TestRestore:
    def test_makes_the_tables_as_revisions_make_them(
        self, demo_backup: Path, demo_url: str, new_url: str, target_url: str
    ) -> None:
        succeeded(run("restore", demo_backup, on=new_url))
        assert schema.current(new_url) == schema.head()
        assert succeeded(run("verify", on=new_url)).output == "No differences.\n"
        assert rows_at(new_url) == rows_at(demo_url)
        assert shape(new_url) == shape(target_url)

    def test_then_the_next_backup_is_equal(self, demo_backup: Path, target_url: str, tmp_path: Path) -> None:
        restored = succeeded(run("restore", demo_backup, on=target_url))
        assert listed(restored) == listed(succeeded(run("backup", tmp_path / "b.backup", on=target_url)))
        assert listed(restored)["patients"][0] == 40

    def test_keeps_the_rows_of_the_target_unless_told_otherwise(
        self, demo_backup: Path, demo_url: str, target: Database, target_url: str
    ) -> None:
        with storing(target) as unit:
            make_clinic(unit, name="Precious Clinic")
        before = everything(target)
        sentence = (
            "The target database is not empty: it has rows in clinics, share_codes. "
            "Name an empty database, or add --replace to delete everything that is in this one."
        )
        assert refused(run("restore", demo_backup, on=target_url)) == sentence
        assert refused(run("copy", target_url, on=demo_url)) == sentence
        assert everything(target) == before
        succeeded(run("restore", demo_backup, "--replace", on=target_url))
        assert everything(target) == rows_at(demo_url)
        succeeded(run("copy", target_url, "--replace", on=demo_url))
        assert everything(target) == rows_at(demo_url)

    @pytest.mark.parametrize("names", [[], ["Precious Clinic"]], ids=["empty target", "target with rows"])
    def test_changes_nothing_when_it_is_interrupted(
        self,
        demo_backup: Path,
        target: Database,
        target_url: str,
        monkeypatch: pytest.MonkeyPatch,
        names: list[str],
    ) -> None:
        with storing(target) as unit:
            for name in names:
                make_clinic(unit, name=name)
        before, indexes = everything(target), shape(target_url)
        after_table(monkeypatch, "patients", interrupt)
        result = run("restore", demo_backup, "--replace", on=target_url)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.endswith("\nAborted!\n")
        assert everything(target) == before
        assert shape(target_url) == indexes

    def test_notices_a_row_that_arrives_changed(
        self, demo_backup: Path, target: Database, target_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def change(connection: Any) -> None:
            connection.execute(text("UPDATE clinics SET name = 'Harbor Diabetes Centre'"))

        after_table(monkeypatch, "clinics", change)
        sentence = "The rows of the table clinics are not the same in both databases. Nothing was stored."
        assert refused(run("restore", demo_backup, on=target_url)) == sentence
        assert not any(everything(target).values())

    def test_notices_a_reference_that_leads_nowhere(
        self, demo_url: str, target: Database, target_url: str, tmp_path: Path
    ) -> None:
        """SQLite files can hold one, because foreign keys can be switched off."""
        (tmp_path / "a.db").write_bytes(file_of(demo_url).read_bytes())
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
            connection.execute("DELETE FROM accounts")
        sentence = refused(run("copy", target_url, on=f"sqlite:///{tmp_path / 'a.db'}"))
        assert "account_emails" in sentence
        assert sentence.endswith("Nothing was stored.")
        assert not any(everything(target).values())

    def test_notices_a_changed_byte_or_it_does_no_harm(self, demo_backup: Path, demo_url: str, tmp_path: Path) -> None:
        whole = demo_backup.read_bytes()
        random = Random(20417)
        file, new_url = tmp_path / "damaged.backup", f"sqlite:///{tmp_path / 'new.db'}"
        places = [whole.index(b"Carol Cooper"), *(random.randrange(100, len(whole)) for _ in range(8))]
        found = set()
        for place in places:
            changed = whole[place] ^ 1 << random.randrange(8)
            file.write_bytes(whole[:place] + bytes([changed]) + whole[place + 1 :])
            result = run("restore", file, "--replace", on=new_url)
            found.add(result.exit_code)
            if result.exit_code:
                assert refused(result) == damaged(file)
            else:
                assert rows_at(new_url) == rows_at(demo_url)
        assert found == {0, 1}

    def test_notices_a_file_that_ends_early(
        self, demo_backup: Path, target: Database, target_url: str, tmp_path: Path
    ) -> None:
        whole = demo_backup.read_bytes()
        (tmp_path / "a.backup").write_bytes(whole[: len(whole) // 2])
        assert refused(run("restore", tmp_path / "a.backup", on=target_url)) == damaged(tmp_path / "a.backup")
        assert not any(everything(target).values())

    def test_leaves_nothing_on_a_full_disk(
        self, source_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_large(database)
        succeeded(run("backup", tmp_path / "a.backup", on=source_url))
        new = tmp_path / "new.db"
        with full_disk(monkeypatch):
            sentence = refused(run("restore", tmp_path / "a.backup", on=f"sqlite:///{new}"))
        assert sentence == f"The database {new} cannot be used: its disk is full. Free some space on it."
        assert not any(rows_at(f"sqlite:///{new}").values())

    def test_reads_a_backup_that_cannot_be_written(self, demo_backup: Path, tmp_path: Path) -> None:
        folder = tmp_path / "read-only"
        folder.mkdir()
        (folder / "a.backup").write_bytes(demo_backup.read_bytes())
        (folder / "a.backup").chmod(0o400)
        before = (folder / "a.backup").stat().st_mtime_ns
        folder.chmod(0o500)
        succeeded(run("restore", folder / "a.backup", on=f"sqlite:///{tmp_path / 'new.db'}"))
        assert (folder / "a.backup").stat().st_mtime_ns == before
        assert [file.name for file in folder.iterdir()] == ["a.backup"]
