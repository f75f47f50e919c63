"""Backups as operators make them: under load, of a large clinic, and with processes that are killed."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.demo.load import load_clinic
from clinic_service.models import Clinician, Patient, ShareCode
from tests.conftest import SECRET
from tests.support.backups import listed_in, password_apart, rows_at
from tests.support.cast import ALICE
from tests.support.databases import create_database, empty_database
from tests.support.outages import prepare
from tests.support.processes import run_command, serving, spawn
from tests.support.rows import stored
from tests.support.tokens import token_of
from tests.support.write_load import WriteLoad

NEW_CLINIC = {"name": "Harbour Diabetes Centre", "preferredBgUnits": "mg/dL"}
PATIENTS = 100_000
# On two cores with nothing else to do, either way takes less than 120 seconds.
MOST_SECONDS = 1800


@pytest.fixture
def other_url(engine_name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A new database on the other engine."""
    with empty_database("sqlite" if engine_name == "postgresql" else "postgresql", tmp_path, request) as url:
        yield url


def test_a_backup_under_load_has_every_write_that_was_acknowledged_before(
    database_url: str, other_url: str, tmp_path: Path, random: Random
) -> None:
    prepare(database_url)
    settings = {"CLINIC_DATABASE_URL": database_url, "CLINIC_SESSION_SECRET": SECRET}
    with serving(tmp_path, **settings) as server, WriteLoad([server.request], random) as load:
        for number in range(3):
            load.wait_for(50)
            clinics, patients = load.clinics, load.patients
            made = run_command(tmp_path, "db", "backup", f"{number}.backup", **settings)
            assert made.returncode == 0, made.stderr
            load.wait_for(10)
            assert_complete(tmp_path / f"{number}.backup", clinics, patients)
    restored = run_command(tmp_path, "db", "restore", "2.backup", CLINIC_DATABASE_URL=other_url)
    assert restored.returncode == 0, restored.stderr
    assert listed_in(restored.stdout) == listed_in(made.stdout)
    assert run_command(tmp_path, "db", "verify", CLINIC_DATABASE_URL=other_url).stdout == "No differences.\n"


def assert_complete(backup: Path, acknowledged: set[str], patients: set[str]) -> None:
    """The backup has all of these clinics and patients, and nothing of any clinic is missing."""
    database = Database(f"sqlite:///{backup}")
    clinics = {row.clinic_id for row in stored(database, ShareCode)}
    assert clinics == {row.clinic_id for row in stored(database, Clinician)}
    assert patients <= {row.user_id for row in stored(database, Patient)}
    database.dispose()
    assert acknowledged <= clinics
    with closing(sqlite3.connect(backup)) as connection:
        assert {row[0] for row in connection.execute("SELECT id FROM clinics")} == clinics
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_copy_of_a_running_file_is_no_backup(tmp_path: Path) -> None:
    """The README says so: what was stored last is in the file `-wal`."""
    url = f"sqlite:///{tmp_path / 'clinics.db'}"
    settings = {"CLINIC_DATABASE_URL": url, "CLINIC_SESSION_SECRET": SECRET}
    prepare(url)
    with serving(tmp_path, **settings) as server:
        for _ in range(2):
            assert server.request("POST", "/v1/clinics", token_of(ALICE), NEW_CLINIC).status == 200
        shutil.copy(tmp_path / "clinics.db", tmp_path / "copied.db")
        assert run_command(tmp_path, "db", "backup", "clinics.backup", **settings).returncode == 0
    assert (number_of_clinics(tmp_path / "copied.db"), number_of_clinics(tmp_path / "clinics.backup")) == (0, 2)


def number_of_clinics(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM clinics").fetchone()[0])


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of an SQLite database with a clinic that takes a while to copy."""
    return loaded(tmp_path_factory.mktemp("loaded") / "clinic.db", 1000)


def loaded(file: Path, patients: int) -> str:
    url = f"sqlite:///{file}"
    schema.upgrade(url)
    database = Database(url, sqlite_synchronous="NORMAL")
    load_clinic(database, name="Made-up", patients=patients, random=Random(1), progress=lambda _: None)
    database.dispose()
    return url


@pytest.mark.parametrize("phase", ["Copying: 0 %", "Copying: 50 %", "Copying: 100 %", "Comparing: 50 %"])
def test_a_killed_restore_leaves_no_rows(clinic: str, database_url: str, tmp_path: Path, phase: str) -> None:
    schema.upgrade(database_url)
    assert run_command(tmp_path, "db", "backup", "a.backup", CLINIC_DATABASE_URL=clinic).returncode == 0
    process = spawn(tmp_path, "db", "restore", "a.backup", CLINIC_DATABASE_URL=database_url)
    assert process.stderr is not None
    assert f"{phase}\n" in iter(process.stderr.readline, "")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not any(rows_at(database_url).values())
    restored = run_command(tmp_path, "db", "restore", "a.backup", CLINIC_DATABASE_URL=database_url)
    assert restored.returncode == 0, restored.stderr


@contextmanager
def timed(what: str, capture: pytest.CaptureFixture[str]) -> Iterator[None]:
    begin = time.monotonic()
    yield
    seconds = time.monotonic() - begin
    with capture.disabled():
        print(f"\n{what}: {seconds:.0f} s for {PATIENTS} patients")  # noqa: T201 - the figure is what the test is for
    assert seconds < MOST_SECONDS


def test_a_large_clinic_there_and_back(postgresql_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = loaded(tmp_path / "large.db", PATIENTS)

    def run(what: str, *arguments: str, on: str, password: str = "") -> str:
        with timed(what, capsys):
            process = spawn(tmp_path, "db", *arguments, CLINIC_DATABASE_URL=on, PGPASSWORD=password)
            out, err = process.communicate(timeout=MOST_SECONDS)
        assert process.returncode == 0, err
        return out

    with create_database(postgresql_url) as server_url:
        target, password = password_apart(server_url)
        there = run("SQLite to PostgreSQL", "copy", target, on=url, password=password)
        back = run("PostgreSQL to SQLite", "copy", f"sqlite:///{tmp_path / 'back.db'}", on=server_url)
        backup = run("backup of PostgreSQL", "backup", "a.backup", on=server_url)
        assert listed_in(there) == listed_in(back) == listed_in(backup)
    backup = run("backup of SQLite", "backup", "b.backup", on=url)
    assert listed_in(backup) == listed_in(there)
    assert listed_in(there)["patients"][0] == PATIENTS
