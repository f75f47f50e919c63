"""GetPatientInvites: GET /v1/clinics/{clinicId}/invites/patients"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import NOW, WEEK, make_offer, make_pending, statements_of
from tests.support.rows import LONG_AGO, make_account, make_clinic, make_clinician, make_staffed_clinic, storing

PROFILE = {
    "birthday": "1987-04-12",
    "diagnosisDate": "2001-09-18",
    "isOtherPerson": True,
    "fullName": "Cody Cooper",
    "mrn": "MRN-20417",
    "targetDevices": ["dexcom"],
}


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        make_account(unit, CAROL, profile=PROFILE)
        make_account(unit, DAVE)
        return make_staffed_clinic(unit).id


def list_offers(api: Client, clinic_id: str, as_: Somebody | None = BOB) -> Reply:
    with clock.frozen(NOW):
        return api.get(f"/v1/clinics/{clinic_id}/invites/patients", as_=as_)


def keys(reply: Reply) -> list[str]:
    assert reply.status == 200
    return [invite["key"] for invite in reply.json]


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_answers_the_offer_with_the_profile_of_the_patient(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        key = make_offer(unit, unit.clinics.get(clinic_id), CAROL, "view", "upload", "note")
    reply = list_offers(api, clinic_id, caller)
    assert reply.status == 200
    # Neither the medical record number nor the devices are part of it.
    assert reply.json == [
        {
            "key": key,
            "type": "careteam_invitation",
            "status": "pending",
            "email": CAROL.email,
            "creatorId": CAROL.id,
            "created": "2026-01-05T08:30:00.000Z",
            "modified": "2026-01-05T08:30:00.000Z",
            "creator": {
                "userid": CAROL.id,
                "profile": {
                    "fullName": "Carol Cooper",
                    "patient": {
                        "fullName": "Cody Cooper",
                        "birthday": "1987-04-12",
                        "diagnosisDate": "2001-09-18",
                        "isOtherPerson": True,
                    },
                },
            },
            "context": {"view": {}, "upload": {}, "note": {}},
            "expiresAt": "2026-03-09T09:30:00.000Z",
        }
    ]


def test_none_are_an_empty_list(api: Client, clinic_id: str) -> None:
    assert keys(list_offers(api, clinic_id)) == []
    assert keys(list_offers(api, "0" * 24, SERVICE)) == []


def test_wc_12_expired_offers_are_not_listed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_offer(unit, clinic, CAROL, expires_at=NOW)
        fresh = make_offer(unit, clinic, DAVE, expires_at=NOW + timedelta(milliseconds=1))
    assert keys(list_offers(api, clinic_id)) == [fresh]


def test_only_pending_offers_to_this_clinic_are_listed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for status in ("completed", "canceled", "declined"):
            make_offer(unit, clinic, CAROL, status=status)
        make_offer(unit, make_clinic(unit), CAROL)
        make_pending(unit, clinic, ERIN)
        key = make_offer(unit, clinic, CAROL)
    assert keys(list_offers(api, clinic_id)) == [key]


def test_the_newest_comes_first(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        older = make_offer(unit, clinic, CAROL)
        newer = make_offer(unit, clinic, DAVE, created=LONG_AGO + timedelta(seconds=1))
    assert keys(list_offers(api, clinic_id)) == [newer, older]


def test_a_patient_without_address_and_profile_has_none(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_offer(unit, unit.clinics.get(clinic_id), MALLORY, email=None)
    [invite] = list_offers(api, clinic_id).json
    assert "email" not in invite
    assert invite["creatorId"] == MALLORY.id
    assert invite["creator"] == {"userid": MALLORY.id, "profile": {"fullName": "", "patient": {}}}


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert list_offers(api, clinic_id, None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, ERIN, PETE, MALLORY])
def test_is_for_members_and_services_and_not_for_mere_prescribers(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    assert list_offers(api, clinic_id, caller).status == 403


@pytest.mark.one_engine
def test_malformed_clinic_ids_are_refused(api: Client) -> None:
    assert list_offers(api, "nowhere", SERVICE).status == 400


def test_the_statements_do_not_depend_on_the_offers(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_offer(unit, unit.clinics.get(clinic_id), CAROL)
    few = statements_of(database, lambda: list_offers(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            person = DAVE._replace(id=f"{number:010x}", email=f"{number}@mail.example")
            make_account(unit, person, profile=PROFILE)
            make_offer(unit, clinic, person, created=NOW - WEEK)
    assert len(list_offers(api, clinic_id).json) == 21
    # Access, offers, profiles; access and the offers again.
    assert (few, statements_of(database, lambda: list_offers(api, clinic_id))) == (5, 5)
