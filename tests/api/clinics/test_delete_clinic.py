"""DeleteClinic: DELETE /v1/clinics/{clinicId}"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.models import (
    Clinic,
    ClinicDeletion,
    Clinician,
    ClinicianDeletion,
    Invite,
    MembershipRestriction,
    Migration,
    OutboxEntry,
    Patient,
    PatientDeletion,
    ShareCode,
    Site,
    Tag,
)
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_data_source,
    make_invite,
    make_migration,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    share_code,
    stored,
    storing,
    tag_patient,
)
from tests.support.statements import counting

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


@pytest.fixture
def with_demo(database: Database, config: Config) -> Client:
    """A client of a server that has Carol as its demonstration patient."""
    return Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def records(database: Database, table: Any) -> dict[str, Any]:
    return {row.user_id: row for row in stored(database, table)}


@pytest.mark.parametrize(("caller", "deleted_by"), [(ALICE, ALICE.id), (SERVICE, None)])
def test_deletes_the_clinic_and_its_members_and_keeps_records(
    api: Client, database: Database, caller: Somebody, deleted_by: str | None
) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_clinician(unit, clinic, MALLORY, user_id=None, invite_id="an invitation")
    reply = api.delete(f"/v1/clinics/{clinic.id}", as_=caller)
    assert (reply.status, reply.json) == (204, None)
    assert stored(database, Clinic) == []
    assert stored(database, Clinician) == []
    (deletion,) = stored(database, ClinicDeletion)
    assert (deletion.id, deletion.clinic_id, deletion.deleted_time) == (clinic.id, clinic.id, NOW)
    assert deletion.deleted_by_user_id == deleted_by
    members = records(database, ClinicianDeletion)
    assert set(members) == {ALICE.id, BOB.id, None}
    assert {member.deleted_by_user_id for member in members.values()} == {deleted_by}


def test_the_record_holds_the_whole_clinic(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, tier="tier0200", mrn_required=True, patient_count_settings={"a": 1})
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "West")
        unit.session.add(MembershipRestriction(clinic_id=clinic.id, position=0, email_domain="harbour.example"))
        unit.session.add(ShareCode(code="ZZZZ-ZZZZ-ZZZZ", clinic_id=clinic.id, canonical=False))
    assert api.delete(f"/v1/clinics/{clinic.id}", as_=ALICE).status == 204
    (deletion,) = stored(database, ClinicDeletion)
    columns = set(Clinic.__table__.columns.keys())
    assert set(deletion.record) == columns | {"share_codes", "tags", "sites", "membership_restrictions"}
    assert deletion.record["name"] == "Harbour Diabetes Centre"
    assert (deletion.record["tier"], deletion.record["mrn_required"]) == ("tier0200", True)
    assert deletion.record["patient_count_settings"] == {"a": 1}
    assert deletion.record["created_time"] == "2026-01-05T08:30:00.000Z"
    assert deletion.record["share_codes"] == [
        {"code": share_code(clinic.id), "canonical": True},
        {"code": "ZZZZ-ZZZZ-ZZZZ", "canonical": False},
    ]
    assert deletion.record["tags"] == [{"id": tag.id, "name": "Pump"}]
    assert deletion.record["sites"] == [{"id": site.id, "name": "West"}]
    assert deletion.record["membership_restrictions"] == [{"email_domain": "harbour.example", "required_idp": None}]


def test_everything_that_belonged_to_the_clinic_goes_and_nothing_else(api: Client, database: Database) -> None:
    kept = {}
    with storing(database) as unit:
        gone, stays = make_staffed_clinic(unit), make_staffed_clinic(unit)
        for clinic in (gone, stays):
            make_tag(unit, clinic, "Pump")
            make_site(unit, clinic, "West")
            unit.session.add(MembershipRestriction(clinic_id=clinic.id, position=0, email_domain="harbour.example"))
        make_migration(unit, gone, ALICE)
        make_migration(unit, stays, BOB)
        make_patient(unit, stays, DAVE)
    tables: tuple[type[Base], ...] = (
        *(Clinic, Clinician, Tag, Site, MembershipRestriction, Migration, ShareCode, Patient),
    )
    assert api.delete(f"/v1/clinics/{gone.id}", as_=SERVICE).status == 204
    for table in tables:
        kept[table] = {getattr(row, "clinic_id", None) or getattr(row, "id", None) for row in stored(database, table)}
    assert kept == {table: {stays.id} for table in tables}


def test_rule_open_invitations_of_both_kinds_are_canceled(api: Client, database: Database) -> None:
    """Rule: a deleted clinic leaves no invitation that could still be accepted."""
    with storing(database) as unit:
        gone, stays = make_staffed_clinic(unit), make_staffed_clinic(unit)
        make_invite(unit, gone, key="to a clinician")
        make_invite(unit, gone, key="of a patient", type="careteam_invitation", creator_id=CAROL.id)
        for status in ("completed", "declined", "canceled"):
            make_invite(unit, gone, key=status, status=status)
        make_invite(unit, stays, key="elsewhere")
    assert api.delete(f"/v1/clinics/{gone.id}", as_=ALICE).status == 204
    invites = {invite.key: invite for invite in stored(database, Invite)}
    assert {key: invite.status.value for key, invite in invites.items()} == {
        "to a clinician": "canceled",
        "of a patient": "canceled",
        "completed": "completed",
        "declined": "declined",
        "canceled": "canceled",
        "elsewhere": "pending",
    }
    assert {key for key, invite in invites.items() if invite.modified == NOW} == {"to a clinician", "of a patient"}


def test_the_share_codes_are_free_again(api: Client, database: Database, clinic_id: str) -> None:
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 204
    assert api.get(f"/v1/clinics/share_code/{share_code(clinic_id)}", as_=ALICE).status == 404
    with storing(database) as unit:
        other = make_clinic(unit).id
        unit.session.add(ShareCode(code=share_code(clinic_id), clinic_id=other, canonical=False))
    assert api.get(f"/v1/clinics/share_code/{share_code(clinic_id)}", as_=ALICE).json["id"] == other


def test_others_are_told(api: Client, database: Database, clinic_id: str) -> None:
    api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE)
    told = {(entry.kind, entry.payload.get("userId")) for entry in stored(database, OutboxEntry)}
    assert told == {("clinician_removed", ALICE.id), ("clinician_removed", BOB.id), ("clinic_deleted", None)}


@pytest.mark.parametrize("permissions", [("view",), ("custodian", "view")])
def test_a_clinic_with_patients_stays(
    api: Client, database: Database, clinic_id: str, permissions: tuple[str, ...]
) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE, *permissions)
    reply = api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE)
    assert_violations(reply, ("/path/clinicId", "state"))
    assert reply.json["message"] == "The clinic still has patients. Remove them first."
    assert len(stored(database, Clinic)) == len(stored(database, Patient)) == 1
    assert len(stored(database, Clinician)) == 2
    assert stored(database, ClinicDeletion) == []
    assert stored(database, OutboxEntry) == []


def test_patients_outside_the_plan_keep_the_clinic_too(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_data_source(unit, make_patient(unit, unit.clinics.get(clinic_id), DAVE), "twiist")
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 400
    assert len(stored(database, Patient)) == 1


def test_the_demo_patient_does_not_count_and_goes_too(with_demo: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        demo = make_patient(unit, clinic, CAROL, mrn="MRN-20417")
        make_patient(unit, make_clinic(unit), CAROL)
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "West")
        tag_patient(unit, demo, tag)
        place_patient(unit, demo, site)
        make_data_source(unit, demo, "dexcom")
    assert with_demo.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 204
    assert [patient.clinic_id == clinic_id for patient in stored(database, Patient)] == [False]
    (deletion,) = stored(database, PatientDeletion)
    assert (deletion.clinic_id, deletion.id, deletion.user_id) == (clinic_id, demo.id, CAROL.id)
    assert (deletion.deleted_by_user_id, deletion.deleted_time) == (ALICE.id, NOW)
    assert (deletion.record["mrn"], deletion.record["tags"]) == ("MRN-20417", [tag.id])


def test_somebody_beside_the_demo_patient_keeps_the_clinic(
    with_demo: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        for person in (CAROL, DAVE):
            make_patient(unit, unit.clinics.get(clinic_id), person)
    assert with_demo.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 400
    assert len(stored(database, Patient)) == 2


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert api.delete("/v1/clinics/harbour", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.delete(f"/v1/clinics/{clinic_id}").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, ERIN, MALLORY])
def test_is_for_admins_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=caller).status == 403
    assert api.delete("/v1/clinics/harbour", as_=caller).status == 403
    assert len(stored(database, Clinic)) == 2


def test_a_second_call_finds_nothing(api: Client, database: Database, clinic_id: str) -> None:
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 204
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=SERVICE).status == 404
    assert api.delete(f"/v1/clinics/{clinic_id}", as_=ALICE).status == 403
    assert len(stored(database, ClinicDeletion)) == 1


def test_unknown_clinics_are_not_found(api: Client) -> None:
    assert api.delete(f"/v1/clinics/{'0' * 24}", as_=SERVICE).status == 404


def test_the_number_of_statements_does_not_depend_on_the_number_of_members(api: Client, database: Database) -> None:
    def sent(members: int) -> int:
        with storing(database) as unit:
            clinic = make_staffed_clinic(unit)
            for number in range(members):
                somebody = Somebody(f"{number:010x}", "Somebody", f"{number}@harbour.example")
                make_clinician(unit, clinic, somebody)
                make_tag(unit, clinic, f"Tag {number}")
        with counting(database) as statements:
            assert api.delete(f"/v1/clinics/{clinic.id}", as_=ALICE).status == 204
        return len([sql for sql in statements if not sql.startswith("BEGIN")])

    assert sent(0) == sent(8)
