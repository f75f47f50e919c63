"""Whatever gave access is asked again by each request: once it is gone, the very next request is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Patient
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, CAROL, DAVE, ERIN, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import make_grant, make_patient, make_staffed_clinic, storing

Change = Callable[[UnitOfWork, str], None]


def own_permissions(api: Client, person: Somebody) -> int:
    """The status when somebody asks for the own permissions over Carol."""
    return api.get(f"/access/{CAROL.id}/{person.id}", as_=person).status


def third_parties(api: Client, person: Somebody) -> int:
    """The status when somebody asks to whom Carol has granted access, which is for her custodians."""
    return api.get(f"/access/{CAROL.id}", as_=person).status


def remove_clinician(unit: UnitOfWork, clinic_id: str) -> None:
    clinician = unit.clinicians.find(clinic_id, BOB.id)
    assert clinician is not None
    unit.clinicians.remove([clinician], None)


def demote_clinician(unit: UnitOfWork, clinic_id: str) -> None:
    clinician = unit.clinicians.find(clinic_id, BOB.id)
    assert clinician is not None
    clinician.roles = ["PRESCRIBER"]


def remove_patient(unit: UnitOfWork, clinic_id: str) -> None:
    unit.patients.remove([unit.patients.get(clinic_id, CAROL.id)], None)


def withdraw_permissions(unit: UnitOfWork, clinic_id: str) -> None:
    unit.patients.get(clinic_id, CAROL.id).permissions = []


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic that manages Carol's account; Bob works there."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL, "custodian", "view")
        return clinic.id


def test_a_withdrawn_grant_opens_nothing(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "custodian")
    assert (own_permissions(api, DAVE), third_parties(api, DAVE)) == (200, 200)
    assert api.post(f"/access/{CAROL.id}/{DAVE.id}", as_=CAROL, json={}).json is None
    assert (own_permissions(api, DAVE), third_parties(api, DAVE)) == (404, 403)


def test_a_permission_left_out_opens_nothing(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "custodian", "view")
    assert third_parties(api, DAVE) == 200
    assert api.post(f"/access/{CAROL.id}/{DAVE.id}", as_=CAROL, json={"view": {}}).status == 200
    assert (own_permissions(api, DAVE), third_parties(api, DAVE)) == (200, 403)


@pytest.mark.parametrize("change", [remove_clinician, demote_clinician, remove_patient, withdraw_permissions])
def test_what_comes_through_a_clinic_goes_with_it(
    api: Client, database: Database, clinic_id: str, change: Change
) -> None:
    grant_to_dave = f"/access/{CAROL.id}/{DAVE.id}"
    assert (own_permissions(api, BOB), third_parties(api, BOB)) == (200, 200)
    assert api.post(grant_to_dave, as_=BOB, json={"view": {}}).status == 200
    with storing(database) as unit:
        change(unit, clinic_id)
    assert (own_permissions(api, BOB), third_parties(api, BOB)) == (404, 403)
    assert api.post(grant_to_dave, as_=BOB, json={}).status == 403
    # What was granted to somebody else meanwhile is the sharer's own matter, and stays.
    assert api.get(grant_to_dave, as_=DAVE).json == {"view": {}}


def test_a_removed_patient_is_not_read_any_more(api: Client, database: Database, clinic_id: str) -> None:
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    assert api.get(record, as_=BOB).status == 200
    with storing(database) as unit:
        remove_patient(unit, clinic_id)
    assert api.get(record, as_=BOB).status == 404
    assert api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json == []


def test_a_removed_clinician_reads_no_patients(api: Client, database: Database, clinic_id: str) -> None:
    record = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
    assert api.get(record, as_=BOB).status == 200
    with storing(database) as unit:
        remove_clinician(unit, clinic_id)
    assert api.get(record, as_=BOB).status == 403


def test_a_deleted_account_leaves_no_grant_behind(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
        make_grant(unit, ERIN, CAROL)
    assert api.delete(f"/v1/users/{CAROL.id}/clinics", as_=SERVICE).status == 200
    assert own_permissions(api, DAVE) == 404
    assert api.get(f"/access/{ERIN.id}/{CAROL.id}", as_=CAROL).status == 404
    with storing(database) as unit:
        assert unit.session.query(Patient).count() == 0
