"""`clinic-service audit` and `clinic-service patients`."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clinic_service import clock
from clinic_service.audit.choice import audit_folder
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import AuditRecord, Outcome
from clinic_service.cli import main
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.unit_of_work import writing
from tests.support.cast import ALICE, BOB, CAROL, DAVE, Somebody
from tests.support.clocks import NOW
from tests.support.rows import make_clinic, make_patient, storing

Run = Callable[..., Result]
HARBOUR, HILLTOP = "65f1c0de0a1b2c3d4e5f6a7b", "75f1c0de0a1b2c3d4e5f6a7b"


@pytest.fixture
def run(config: Config, database: Database, tmp_path: Path) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str, **env: str) -> Result:
        settings = {"CLINIC_DATABASE_URL": config.database_url, "CLINIC_AUDIT_FOLDER": str(tmp_path)} | env
        return CliRunner().invoke(main, arguments, env=settings)

    return call


def record(minutes: int, operation: str, caller: Somebody, clinic: str = HARBOUR, **facts: Any) -> AuditRecord:
    time = NOW + timedelta(minutes=minutes)
    return AuditRecord(
        time,
        f"r{minutes}",
        operation,
        facts.pop("outcome", Outcome.ALLOWED),
        200,
        caller.id,
        "person",
        clinic=clinic,
        **facts,
    )


@pytest.fixture
def _trail(database: Database, tmp_path: Path) -> None:
    """Rows and lines whose times alternate."""
    with clock.frozen(NOW), closing(AuditLog(tmp_path)) as log:
        for read in (
            record(0, "GetPatient", BOB, subject=CAROL.id),
            record(2, "ListPatients", ALICE, patients=2),
            record(4, "GetPatient", BOB, HILLTOP, subject=DAVE.id),
            record(6, "GetPatient", BOB, subject=CAROL.id, outcome=Outcome.REFUSED),
            record(8, "ListClinicsForPatient", CAROL, subject=CAROL.id),
        ):
            assert log.write(read.text(), 20) is None
    with writing(database) as unit:
        unit.audit.add(record(1, "UpdatePatient", ALICE, subject=CAROL.id, changed=["fullName"]))
        unit.audit.add(record(5, "DeletePatient", ALICE, HILLTOP, subject=DAVE.id))


def exported(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run("audit", "export", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.output.splitlines()]


def minutes(run: Run, *arguments: str) -> list[int]:
    return [int(found["request"][1:]) for found in exported(run, *arguments)]


@pytest.mark.usefixtures("_trail")
class TestRecords:
    def test_are_in_the_order_of_their_times(self, run: Run) -> None:
        assert minutes(run) == [0, 1, 2, 4, 5, 6, 8]

    def test_are_exported_with_what_they_say_and_nothing_else(self, run: Run) -> None:
        assert exported(run)[1] == {
            "time": "2026-03-02T09:31:00.000Z",
            "request": "r1",
            "operation": "UpdatePatient",
            "outcome": "allowed",
            "status": 200,
            "caller": ALICE.id,
            "kind": "person",
            "clinic": HARBOUR,
            "subject": CAROL.id,
            "changed": ["fullName"],
        }

    @pytest.mark.parametrize(
        ("arguments", "found"),
        [
            (("--clinic", HILLTOP), [4, 5]),
            (("--patient", CAROL.id), [0, 1, 6, 8]),
            (("--person", ALICE.id), [1, 2, 5]),
            (("--since", "2026-03-02T09:34:00Z"), [4, 5, 6, 8]),
            (("--until", "2026-03-02T09:34:00Z"), [0, 1, 2]),
            (("--since", "2026-03-02", "--until", "2026-03-03", "--patient", DAVE.id), [4, 5]),
            (("--since", "2026-03-03"), []),
        ],
    )
    def test_are_chosen(self, run: Run, arguments: tuple[str, ...], found: list[int]) -> None:
        assert minutes(run, *arguments) == found

    def test_are_listed_as_a_table(self, run: Run) -> None:
        heading, *rows = run("audit", "list").output.splitlines()
        assert heading.split()[:3] == ["TIME", "OPERATION", "CALLER"]
        assert [row.split()[1] for row in rows][:3] == ["GetPatient", "UpdatePatient", "ListPatients"]
        assert "2 patients" in rows[2]
        assert "fullName" in rows[1]

    def test_cannot_be_chosen_by_a_time_that_is_none(self, run: Run) -> None:
        assert run("audit", "list", "--since", "yesterday").exit_code == 2

    def test_of_a_patient_are_disclosures_to_others(self, run: Run, database: Database) -> None:
        """With the lists of the clinic that has a record of the patient, and without what was refused."""
        with storing(database) as unit:
            make_patient(unit, make_clinic(unit, id=HARBOUR), CAROL, created_time=NOW)
        result = run("patients", "disclosures", CAROL.id, "--json")
        assert [json.loads(line)["request"] for line in result.output.splitlines()] == ["r0", "r1", "r2"]
        _, *rows = run("patients", "disclosures", CAROL.id).output.splitlines()
        assert [row.split()[1] for row in rows] == ["GetPatient", "UpdatePatient", "ListPatients"]

    def test_of_lists_before_the_clinic_had_the_patient_are_no_disclosures(self, run: Run, database: Database) -> None:
        with storing(database) as unit:
            make_patient(unit, make_clinic(unit, id=HARBOUR), CAROL, created_time=NOW + timedelta(minutes=3))
        result = run("patients", "disclosures", CAROL.id, "--json")
        assert [json.loads(line)["request"] for line in result.output.splitlines()] == ["r0", "r1"]


def test_purge_removes_what_is_too_old(run: Run, tmp_path: Path) -> None:
    with clock.frozen(NOW - timedelta(days=40)), closing(AuditLog(tmp_path)) as log:
        assert log.write(record(0, "GetPatient", BOB).text(), 20) is None
    with clock.frozen(NOW):
        assert run("audit", "purge", CLINIC_AUDIT_DAYS="50").output == "0 rows and 0 files removed\n"
        assert run("audit", "purge", CLINIC_AUDIT_DAYS="30").output == "0 rows and 1 file removed\n"
    assert run("audit", "verify").exit_code == 0


def test_the_folder_is_beside_the_database_of_a_file(tmp_path: Path) -> None:
    config = Config(database_url=f"sqlite:///{tmp_path / 'clinic-service.db'}")
    assert audit_folder(config, config.database_url) == tmp_path / "clinic-service-audit"


def test_the_folder_is_the_user_s_for_a_database_on_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(database_url="postgresql://db.example/clinics")
    monkeypatch.setenv("XDG_STATE_HOME", "/var/state")
    assert audit_folder(config, config.database_url) == Path("/var/state/clinic-service/audit/clinics")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/clinic")
    assert audit_folder(config, config.database_url) == Path("/home/clinic/.local/state/clinic-service/audit/clinics")
