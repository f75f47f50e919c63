"""DeletePatient: DELETE /v1/clinics/{clinicId}/patients/{patientId}"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import (
    DataSource,
    OutboxEntry,
    Patient,
    PatientDeletion,
    PatientSite,
    PatientTag,
    Review,
    Site,
    Tag,
)
from clinic_service.resources.patients import permissions, reviews
from tests.conftest import SECRET
from tests.support.applications import application
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_grant,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_subscription,
    make_tag,
    place_patient,
    stored,
    storing,
    tag_patient,
)
from tests.support.tags_and_sites import carriers, clinic_time
from tests.support.units import assert_all_or_nothing, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as admin and Bob as member, and with Carol and Dave as patients."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE)
        return clinic.id


def path(clinic_id: str, whom: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{whom.id}"


def delete(api: Client, clinic_id: str, whom: Somebody = CAROL, as_: Somebody = ALICE) -> Reply:
    return api.delete(path(clinic_id, whom), as_=as_)


def patients(database: Database) -> list[tuple[str, str]]:
    return sorted((patient.clinic_id, patient.user_id) for patient in stored(database, Patient))


@pytest.mark.parametrize("caller", [ALICE, CAROL])
def test_removes_the_patient(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    reply = delete(api, clinic_id, as_=caller)
    assert (reply.status, reply.json) == (204, None)
    assert patients(database) == [(clinic_id, DAVE.id)]
    assert_error(api.get(path(clinic_id), as_=BOB), 404)


def test_everything_that_hangs_on_the_record_goes_and_nothing_else(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        for person in (CAROL, DAVE):
            patient = unit.patients.get(clinic_id, person.id)
            tag_patient(unit, patient, tag)
            place_patient(unit, patient, site)
            make_data_source(unit, patient, "dexcom")
    delete(api, clinic_id)
    kept = {patient.id for patient in stored(database, Patient)}
    children: tuple[type[PatientTag | PatientSite | DataSource], ...] = (PatientTag, PatientSite, DataSource)
    for child in children:
        assert {row.patient_id for row in stored(database, child)} == kept
    assert [row.id for row in stored(database, Tag)] == [tag.id]
    assert [row.id for row in stored(database, Site)] == [site.id]
    assert clinic_time(database, clinic_id) == LONG_AGO


def test_records_in_other_clinics_and_direct_grants_stay(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        make_patient(unit, elsewhere, CAROL)
        make_grant(unit, CAROL, MALLORY)
    delete(api, clinic_id)
    assert patients(database) == sorted([(clinic_id, DAVE.id), (elsewhere.id, CAROL.id)])
    assert api.get(f"/access/{CAROL.id}/{MALLORY.id}", as_=MALLORY).json == {"view": {}}


@pytest.mark.parametrize("caller", [ALICE, CAROL])
def test_rule_the_whole_record_is_kept_with_the_person_who_removed_it(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        clinic, patient = unit.clinics.get(clinic_id), unit.patients.get(clinic_id, CAROL.id)
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        tag_patient(unit, patient, tag)
        place_patient(unit, patient, site)
        make_data_source(unit, patient, "dexcom", state="pending")
        make_subscription(unit, patient, active=False)
        patient.reviews = [Review(BOB.id, LONG_AGO)]
    delete(api, clinic_id, as_=caller)
    [kept] = stored(database, PatientDeletion)
    assert (kept.clinic_id, kept.id, kept.user_id) == (clinic_id, patient.id, CAROL.id)
    assert (kept.deleted_time, kept.deleted_by_user_id) == (NOW, caller.id)
    expected = {
        "user_id": CAROL.id,
        "full_name": CAROL.name,
        "birth_date": "1987-04-12",
        "email": CAROL.email,
        "permission_view": True,
        "permission_custodian": False,
        "review_1_clinician_id": BOB.id,
        "review_1_time": "2026-01-05T08:30:00.000Z",
        "created_time": "2026-01-05T08:30:00.000Z",
        "tags": [tag.id],
        "sites": [{"id": site.id, "name": "North Wing"}],
    }
    assert {name: kept.record[name] for name in expected} == expected
    assert [source["state"] for source in kept.record["data_sources"]] == ["pending"]
    [subscription] = kept.record["ehr_subscriptions"]
    assert (subscription["name"], subscription["active"]) == ("summaryAndReports", False)


@pytest.mark.parametrize("custodial", [True, False])
def test_the_removal_adds_an_event(api: Client, database: Database, clinic_id: str, custodial: bool) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).permission_custodian = custodial
    delete(api, clinic_id)
    [told] = stored(database, OutboxEntry)
    assert (told.kind, told.clinic_id) == ("patient_removed", clinic_id)
    assert told.payload == {"clinicId": clinic_id, "userId": CAROL.id, "custodial": custodial}


def test_access_ends_at_once(api: Client, clinic_id: str) -> None:
    assert api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB).json == {"view": {}}
    delete(api, clinic_id)
    assert_error(api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB), 404)
    assert api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json == []


def test_the_counts_follow_at_once(api: Client, clinic_id: str) -> None:
    delete(api, clinic_id)
    assert api.get(f"/v1/clinics/{clinic_id}/patient_count", as_=BOB).json["total"] == 1


def test_rule_the_demo_patient_can_be_removed_like_any_other(
    config: Config, database: Database, clinic_id: str
) -> None:
    api = Client(application(replace(config, demo_patient_user_id=CAROL.id), database), SECRET)
    assert delete(api, clinic_id).status == 204
    assert patients(database) == [(clinic_id, DAVE.id)]


def test_who_was_removed_can_come_back_and_be_removed_again(api: Client, database: Database, clinic_id: str) -> None:
    delete(api, clinic_id)
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL)
    assert delete(api, clinic_id).status == 204
    assert [kept.user_id for kept in stored(database, PatientDeletion)] == [CAROL.id, CAROL.id]


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    malformed = CAROL._replace(id="Carol")
    assert_violations(delete(api, clinic_id, malformed), ("/path/patientId", "pattern"))
    reply = delete(api, clinic_id.upper(), as_=CAROL)
    assert_violations(reply, ("/path/clinicId", "pattern"))
    assert clinic_id.upper() not in repr(reply.json)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, database: Database, clinic_id: str) -> None:
    assert_error(api.delete(path(clinic_id)), 401)
    assert len(stored(database, Patient)) == 2


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, PETE, ERIN, DAVE, MALLORY, SERVICE])
def test_is_for_admins_and_the_patient_and_for_no_service(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert_error(delete(api, clinic_id, as_=caller), 403)
    # Before anything is said about the request.
    assert_error(delete(api, clinic_id, CAROL._replace(id="Carol"), as_=caller), 403)
    assert len(stored(database, Patient)) == 2
    assert stored(database, PatientDeletion) == []
    assert stored(database, OutboxEntry) == []


def test_a_member_who_is_a_patient_as_well_may_leave_as_patient(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), BOB)
    assert delete(api, clinic_id, BOB, as_=BOB).status == 204
    assert api.get(path(clinic_id), as_=BOB).status == 200


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ERIN)
    assert_error(delete(api, clinic_id, MALLORY), 404)
    assert_error(delete(api, clinic_id, ERIN), 404)
    assert_error(delete(api, "0" * 24, as_=CAROL), 404)
    assert len(stored(database, Patient)) == 3


@pytest.mark.parametrize("caller", [ALICE, CAROL])
def test_a_repeat_is_not_found(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    assert delete(api, clinic_id, as_=caller).status == 204
    assert_error(delete(api, clinic_id, as_=caller), 404)
    assert len(stored(database, PatientDeletion)) == 1


def test_wp_4_all_or_nothing(api: Client, database: Database, clinic_id: str) -> None:
    assert_all_or_nothing(database, lambda: delete(api, clinic_id, as_=CAROL))


def test_of_two_removals_at_once_one_finds_nobody(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, CAROL.id),
        lambda: delete(api, clinic_id),
    )
    assert_error(reply, 404)
    assert [kept.deleted_by_user_id for kept in stored(database, PatientDeletion)] == [CAROL.id]
    assert len(stored(database, OutboxEntry)) == 1


def test_a_review_made_meanwhile_is_in_the_record(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: reviews.record(unit, clinic_id, CAROL.id, BOB.id),
        lambda: delete(api, clinic_id),
    )
    assert reply.status == 204
    assert [kept.record["review_1_clinician_id"] for kept in stored(database, PatientDeletion)] == [BOB.id]


def test_who_gives_everybody_a_tag_meanwhile_passes_the_patient_over(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        tag = make_tag(unit, unit.clinics.get(clinic_id), "Pump")
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, None),
        lambda: api.post(f"/v1/clinics/{clinic_id}/patients/assign_tag/{tag.id}", as_=ALICE),
    )
    assert reply.status == 200
    assert carriers(database, tag.id) == {DAVE.id}


def test_the_number_of_statements_does_not_depend_on_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    one = number_of_statements(database, lambda: delete(api, clinic_id))
    with storing(database) as unit:
        clinic, patient = unit.clinics.get(clinic_id), unit.patients.get(clinic_id, DAVE.id)
        for number in range(20):
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}")
            tag_patient(unit, patient, make_tag(unit, clinic, f"Tag {number}"))
    # The caller's role, the clinic's lock, the record's, what belongs to it, its subscriptions, its copy, the deletion,
    # the number of patients, the outbox.
    assert number_of_statements(database, lambda: delete(api, clinic_id, DAVE)) == one == 10
