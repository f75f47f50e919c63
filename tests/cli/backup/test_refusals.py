"""What `clinic-service db backup`, `restore` and `copy` refuse: each with its sentence and exit status."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from clinic_service.db import schema
from clinic_service.db.engine import Database
from tests.support.backups import (
    at_revision,
    file_of,
    no_backup,
    refused,
    run,
    succeeded,
)
from tests.support.rows import make_clinic, storing
from tests.support.units import everything


class TestRefusals:
    """Each with its sentence."""

    def test_a_file_that_is_not_there(self, target_url: str, tmp_path: Path) -> None:
        result = run("restore", tmp_path / "none", on=target_url)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"File '{tmp_path / 'none'}' does not exist." in result.stderr

    @pytest.mark.parametrize("content", [b"", b"no database at all" * 400], ids=["empty", "text"])
    def test_a_file_that_is_no_database(self, target_url: str, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.txt").write_bytes(content)
        assert refused(run("restore", tmp_path / "a.txt", on=target_url)) == no_backup(tmp_path / "a.txt")

    def test_a_database_that_is_no_backup(self, demo_url: str, target_url: str) -> None:
        assert refused(run("restore", file_of(demo_url), on=target_url)) == no_backup(file_of(demo_url))

    def test_a_folder_that_is_not_there(self, source_url: str, tmp_path: Path) -> None:
        sentence = f"The folder {tmp_path / 'none'} does not exist."
        assert refused(run("backup", tmp_path / "none" / "a", on=source_url)) == sentence

    def test_a_folder_that_is_a_file(self, source_url: str, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        sentence = f"The folder {tmp_path / 'file'} does not exist."
        assert refused(run("backup", tmp_path / "file" / "a", on=source_url)) == sentence

    def test_a_folder_that_may_not_be_written(
        self, source_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forbid(**_: object) -> None:
            raise PermissionError(13, "Permission denied", str(tmp_path / "a.partial"))

        # The user of the tests may write everywhere, if it is the administrator.
        monkeypatch.setattr("tempfile.mkstemp", forbid)
        sentence = f"{tmp_path / 'a.partial'}: Permission denied"
        assert refused(run("backup", tmp_path / "a", on=source_url)) == sentence

    def test_a_database_that_is_not_there(self, tmp_path: Path, target_url: str) -> None:
        url = f"sqlite:///{tmp_path / 'none.db'}"
        sentence = f"The database {tmp_path / 'none.db'} does not exist or has no tables, so there is nothing to copy."
        assert refused(run("backup", tmp_path / "a", on=url)) == sentence
        assert refused(run("copy", target_url, on=url)) == sentence
        assert list(tmp_path.iterdir()) == []

    def test_a_database_without_tables(self, new_url: str, target_url: str, tmp_path: Path) -> None:
        if new_url.startswith("sqlite"):
            file_of(new_url).touch()
        for result in (run("backup", tmp_path / "a", on=new_url), run("copy", target_url, on=new_url)):
            assert refused(result).endswith(" does not exist or has no tables, so there is nothing to copy.")

    def test_a_database_that_is_its_own_target(self, source_url: str, tmp_path: Path) -> None:
        sentence = "Source and target are the same database."
        assert refused(run("copy", source_url, "--replace", on=source_url)) == sentence
        schema.upgrade(f"sqlite:///{tmp_path / 'a.db'}")
        (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
        for command, option in (("backup", "--force"), ("restore", "--replace")):
            result = run(command, tmp_path / "b.db", option, on=f"sqlite:///{tmp_path / 'a.db'}")
            assert refused(result) == sentence

    def test_a_newer_backup(self, demo_backup: Path, target: Database, target_url: str, tmp_path: Path) -> None:
        file = tmp_path / "a.backup"
        file.write_bytes(demo_backup.read_bytes())
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE backup SET revision = '9999'")
        assert refused(run("restore", file, on=target_url)) == (
            f"{file} is of revision 9999, and the last one that this program knows is {schema.head()}. "
            "Restore it with a newer program."
        )
        assert not any(everything(target).values())

    @pytest.mark.parametrize(
        ("revision", "sentence"),
        [
            (
                "9999",
                "The target database is at revision 9999, and the last one that this program knows is "
                f"{schema.head()}. Use the program that serves that database.",
            ),
            (
                "0001",
                f"The target database is at revision 0001; this program needs {schema.head()}. "
                "Run `clinic-service db upgrade` on it first.",
            ),
        ],
    )
    def test_a_target_of_another_revision(
        self, demo_backup: Path, demo_url: str, target: Database, target_url: str, revision: str, sentence: str
    ) -> None:
        with at_revision(target, revision):
            assert refused(run("restore", demo_backup, "--replace", on=target_url)) == sentence
            assert refused(run("copy", target_url, "--replace", on=demo_url)) == sentence

    @pytest.mark.parametrize(
        ("revision", "sentence"),
        [
            (
                "9999",
                f"The database is at revision 9999, and the last one that this program knows is {schema.head()}. "
                "Use the program that serves this database.",
            ),
            (
                "0001",
                f"The database is at revision 0001, and this program copies only databases at {schema.head()}. "
                "Run `clinic-service db upgrade` first, or use the program that serves this database.",
            ),
        ],
    )
    def test_a_source_of_another_revision(
        self, source_url: str, database: Database, tmp_path: Path, revision: str, sentence: str
    ) -> None:
        with at_revision(database, revision):
            assert refused(run("copy", f"sqlite:///{tmp_path / 'new.db'}", on=source_url)) == sentence

    def test_a_server_that_cannot_be_reached(self, demo_backup: Path, demo_url: str, tmp_path: Path) -> None:
        url = "postgresql://nobody@127.0.0.1:1/none"
        sentence = (
            "The database none on 127.0.0.1:1 cannot be used: nothing listens at its address. "
            "Start the server, or correct host and port."
        )
        assert refused(run("restore", demo_backup, on=url)) == sentence
        assert refused(run("copy", url, on=demo_url)) == sentence
        assert refused(run("backup", tmp_path / "a", on=url)) == sentence
        assert list(tmp_path.iterdir()) == []

    def test_a_url_that_cannot_be_read(self, demo_url: str) -> None:
        result = run("copy", "nonsense", on=demo_url)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "The database URL cannot be read" in result.stderr

    def test_a_target_that_somebody_writes_to(
        self, demo_backup: Path, target: Database, target_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("clinic_service.db.transfer.locks.TIMEOUT", "100ms")
        monkeypatch.setattr("clinic_service.db.sqlite._LONGEST_WAIT_SECONDS", 0)
        with storing(target) as unit:
            make_clinic(unit)
            unit.flush()
            assert "another process has locked it" in refused(run("restore", demo_backup, on=target_url))

    def test_a_row_that_the_target_does_not_take(
        self, demo_url: str, tmp_path: Path, target: Database, target_url: str
    ) -> None:
        """As a file can hold that another program wrote into."""
        (tmp_path / "a.db").write_bytes(file_of(demo_url).read_bytes())
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
            connection.execute("PRAGMA ignore_check_constraints = on")
            connection.execute("UPDATE clinics SET tier = 'tier9999'")
        sentence = refused(run("copy", target_url, on=f"sqlite:///{tmp_path / 'a.db'}"))
        assert sentence.startswith("A row does not fit the table clinics")
        assert sentence.endswith("Nothing was stored.")
        assert "tier9999" not in sentence
        assert not any(everything(target).values())


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("backup", ["FILE", "--force", "only its owner can read it", "does not contain the session secret"]),
        ("restore", ["FILE", "--replace", "in one transaction", "older revision"]),
        ("copy", ["URL", "--replace", "in one transaction", "digests"]),
    ],
)
def test_the_help_says_what_an_operator_must_know(command: str, words: list[str]) -> None:
    help_text = " ".join(succeeded(run(command, "--help", on="sqlite:///none.db")).stdout.split())
    assert [word for word in words if word not in help_text] == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE statistics SET average_glucose_mmol = 'x'", "statistics"),
        ("UPDATE patient_counts SET patients = 1099511627776", "patient_counts"),
    ],
)
def test_a_value_of_another_type(demo_url: str, tmp_path: Path, target_url: str, change: str, found: str) -> None:
    """SQLite takes such values. The second one does not fit the column of PostgreSQL, and must not be cut."""
    (tmp_path / "a.db").write_bytes(file_of(demo_url).read_bytes())
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        assert connection.execute(change).rowcount > 0
    result = run("copy", target_url, on=f"sqlite:///{tmp_path / 'a.db'}")
    if target_url.startswith("sqlite") and found == "patient_counts":
        assert result.exit_code == 0
    else:
        assert found in refused(result)
