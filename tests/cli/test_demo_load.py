"""`clinic-service demo load`: a clinic of any size, full of made-up patients."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from clinic_service import clock
from clinic_service.cli.demo import demo
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.demo.clinic import fill
from clinic_service.demo.guard import HoldsRealClinics
from clinic_service.models import STATISTICS, Clinic, DemoClinic, Summary, SummaryDocument
from clinic_service.models.sort_keys import name_key
from clinic_service.resources.summaries.projection import project
from tests.support.cast import SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import make_clinic, stored, storing
from tests.support.units import everything

Run = Callable[..., Result]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def run(config: Config, database: Database) -> Run:  # noqa: ARG001 - the database is emptied afterwards
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(demo, ["load", *arguments], env={"CLINIC_DATABASE_URL": config.database_url})

    return call


def _loaded(run: Run, *arguments: str) -> tuple[str, Somebody, Somebody]:
    """The clinic, its admin and its member, as the command prints them."""
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    clinic, admin, member = (
        re.findall(rf"^{word} +(\S+)$", result.stdout, re.M)[0] for word in ("Clinic", "Admin", "Member")
    )
    return clinic, Somebody(admin, "", ""), Somebody(member, "", "")


def _patients(api: Client, clinic_id: str, who: Somebody) -> list[Any]:
    reply = api.get(f"/v1/clinics/{clinic_id}/patients?limit=1000", as_=who)
    assert reply.status == 200, reply.json
    assert len(reply.json["data"]) == reply.json["meta"]["count"] == reply.json["meta"]["totalCount"]
    return list(reply.json["data"])


def test_makes_a_clinic_as_clinics_are(run: Run, api: Client) -> None:
    clinic_id, admin, member = _loaded(run, "--patients", "120", "--clinic", "Quay Clinic", "--seed", "1")
    clinic = api.get(f"/v1/clinics/{clinic_id}", as_=admin).json
    assert clinic["name"] == "Quay Clinic"
    assert len(clinic["patientTags"]) == 10
    assert len(clinic["sites"]) == 5
    patients = _patients(api, clinic_id, member)
    assert len(patients) == 120
    for name in ("mrn", "birthDate", "fullName", "permissions"):
        assert all(patient[name] for patient in patients), name
    for name in ("email", "tags", "sites", "reviews", "dataSources", "glycemicRanges", "targetDevices"):
        having = [patient for patient in patients if patient.get(name)]
        assert 0 < len(having) < 120, name
    with_summary = {kind: sum(f"{kind}Stats" in (p.get("summary") or {}) for p in patients) for kind in ("cgm", "bgm")}
    assert 70 <= with_summary["cgm"] <= 98
    assert 45 <= with_summary["bgm"] <= 75


def test_each_patient_can_be_read_alone(run: Run, api: Client) -> None:
    clinic_id, admin, _ = _loaded(run, "--patients", "5")
    for patient in _patients(api, clinic_id, admin):
        assert api.get(f"/v1/clinics/{clinic_id}/patients/{patient['id']}", as_=admin).json == patient


def test_several_batches_are_one_clinic(run: Run, api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clinic_service.demo.load.BATCH", 10)
    clinic_id, admin, _ = _loaded(run, "--patients", "25")
    patients = _patients(api, clinic_id, admin)
    assert len({patient["mrn"] for patient in patients}) == 25
    names = [name_key(patient["fullName"]) for patient in patients]
    assert names == sorted(names)


def test_statistics_are_those_of_the_documents(run: Run, database: Database) -> None:
    _loaded(run, "--patients", "30")
    with database.read_engine.connect() as connection:
        statistics = {(row.patient_id, row.scope): dict(row._mapping) for row in connection.execute(select(STATISTICS))}
    summaries = {(row.patient_id, row.type): row for row in stored(database, Summary)}
    documents = stored(database, SummaryDocument)
    assert len(documents) == len(summaries) > 20
    assert len(statistics) == 4 * len(documents)
    for document in documents:
        projection = project(document.type, orjson.loads(document.document), document.document)
        summary = summaries[document.patient_id, document.type]
        assert {name: getattr(summary, name) for name in projection.summary} == projection.summary
        for scope, figures in projection.statistics.items():
            row = statistics[document.patient_id, scope]
            assert {name: row[name] for name in figures} == figures


def test_summaries_are_such_as_the_data_service_may_send(run: Run, api: Client, database: Database) -> None:
    clinic_id, admin, _ = _loaded(run, "--patients", "30")
    before = stored(database, Summary)
    for patient in _patients(api, clinic_id, admin):
        reply = api.post(f"/v1/patients/{patient['id']}/summary", as_=SERVICE, json=patient.get("summary") or {})
        assert reply.status == 200, reply.json
    # They are equal to the last byte, so nothing was written.
    assert [row.digest for row in stored(database, Summary)] == [row.digest for row in before]


def test_documents_have_their_usual_size(run: Run, database: Database) -> None:
    _loaded(run, "--patients", "50", "--seed", "3")
    for kind, least, most in (("cgm", 12_000, 18_000), ("bgm", 7_500, 12_000)):
        sizes = [len(row.document) for row in stored(database, SummaryDocument) if row.type == kind]
        assert least < min(sizes) <= max(sizes) < most


def test_a_seed_makes_the_same_data_again(run: Run, api: Client) -> None:
    def content(seed: str) -> list[Any]:
        with clock.frozen(NOW):
            clinic_id, admin, _ = _loaded(run, "--patients", "20", "--seed", seed)
            return [_without_ids(patient) for patient in _patients(api, clinic_id, admin)]

    first = content("5")
    assert first == content("5")
    assert first != content("6")


def _without_ids(patient: Any) -> dict[str, Any]:
    """What the patient looks like, and what was measured."""
    kept = ("fullName", "birthDate", "email", "mrn", "permissions", "glycemicRanges", "createdTime", "diagnosisType")
    stats = {kind: patient.get("summary", {}).get(kind, {}) for kind in ("cgmStats", "bgmStats")}
    return {
        **{name: patient.get(name) for name in kept},
        "reviews": [review["time"] for review in patient["reviews"]],
        "tags": len(patient["tags"]),
        "stats": {kind: {name: one.get(name) for name in ("dates", "periods")} for kind, one in stats.items()},
    }


def test_loading_twice_makes_two_clinics_with_different_patients(run: Run, api: Client) -> None:
    clinics = [_loaded(run, "--patients", "3", "--seed", "5") for _ in range(2)]
    first, second = ({patient["id"] for patient in _patients(api, clinic_id, admin)} for clinic_id, admin, _ in clinics)
    assert first.isdisjoint(second)


def test_more_patients_can_be_added_by_hand(run: Run, api: Client) -> None:
    clinic_id, _, member = _loaded(run, "--patients", "260")
    body = {"fullName": "Dora Doe", "birthDate": "1990-01-01"}
    assert api.post(f"/v1/clinics/{clinic_id}/patients", as_=member, json=body).status == 200


def test_the_result_alone_is_on_standard_output(run: Run) -> None:
    result = run("--patients", "3")
    assert result.stdout.startswith("Made-up Clinic: 3 patients, 10 tags, 5 sites\nClinic ")
    admin = re.findall(r"^Admin +(\S+)$", result.stdout, re.M)[0]
    assert result.stdout.endswith(f"clinic-service token user {admin}\n")
    assert "Patients" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [(), ("--patients", "0"), ("--patients", "-3"), ("--patients", "many"), ("--patients", "3", "--seed", "x")]
    + [("--patients", "3", "--clinic", name) for name in ("", "y" * 256)],
    ids=" ".join,
)
def test_wrong_use(run: Run, database: Database, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2
    with database.read_engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Clinic)).scalar_one() == 0


def test_a_database_that_is_not_there_is_made(tmp_path: Path) -> None:
    env = {"CLINIC_DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    result = CliRunner().invoke(demo, ["load", "--patients", "3"], env=env)
    assert result.exit_code == 0, result.output
    assert "3 patients" in result.stdout


class TestRealClinics:
    """Made-up data does not get among the data of clinics that somebody else made."""

    @pytest.fixture
    def real(self, database: Database) -> str:
        with storing(database) as unit:
            return make_clinic(unit, name="Real").id

    def test_are_left_alone(self, run: Run, database: Database, real: str) -> None:
        before = everything(database)
        result = run("--patients", "3")
        assert (result.exit_code, result.stdout) == (1, "")
        assert "--mix-with-real-data" in result.stderr
        assert everything(database) == before
        assert [clinic.id for clinic in stored(database, Clinic)] == [real]

    @pytest.mark.usefixtures("real")
    def test_are_joined_when_the_flag_says_so(self, run: Run, database: Database) -> None:
        assert run("--patients", "3", "--mix-with-real-data").exit_code == 0
        assert len(stored(database, Clinic)) == 2
        # They are still there, so the next time needs the flag as well.
        assert run("--patients", "3").exit_code == 1

    def test_one_that_was_made_by_hand_among_made_up_ones_counts(self, run: Run, api: Client) -> None:
        _, admin, _ = _loaded(run, "--patients", "3")
        body = {"name": "By hand", "preferredBgUnits": "mg/dL"}
        assert api.post("/v1/clinics", as_=admin, json=body).status == 200
        assert run("--patients", "3").exit_code == 1

    @pytest.mark.usefixtures("real")
    def test_the_demo_leaves_them_alone_as_well(self, database: Database) -> None:
        before = everything(database)
        with pytest.raises(HoldsRealClinics):
            fill(database)
        assert everything(database) == before
        clinic_id = fill(database, mix=True)
        # It is there now, and nothing has to be written.
        assert fill(database) == clinic_id

    def test_the_demo_and_loaded_clinics_stand_side_by_side(self, run: Run, database: Database) -> None:
        fill(database)
        _loaded(run, "--patients", "3")
        assert len(stored(database, DemoClinic)) == len(stored(database, Clinic)) == 2
