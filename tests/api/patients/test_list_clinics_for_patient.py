"""ListClinicsForPatient: GET /v1/patients/{userId}/clinics"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import (
    make_clinic,
    make_data_source,
    make_patient,
    make_site,
    make_staffed_clinic,
    make_tag,
    place_patient,
    storing,
    tag_patient,
)
from tests.support.statements import counting

PATH = f"/v1/patients/{CAROL.id}/clinics"


def enrol(database: Database, *names: str | None) -> list[str]:
    """As many clinics as names, each knowing Carol by another one."""
    clinic_ids = []
    with storing(database) as unit:
        for name in names:
            clinic = make_clinic(unit)
            make_patient(unit, clinic, CAROL, full_name=name)
            clinic_ids.append(clinic.id)
    return clinic_ids


def listed(api: Client, query: str = "") -> list[str]:
    reply = api.get(PATH + query, as_=CAROL)
    assert reply.status == 200
    return [entry["clinic"]["id"] for entry in reply.json]


@pytest.mark.parametrize("caller", [CAROL, SERVICE])
def test_answers_each_record_with_its_clinic(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(unit, clinic, CAROL, "view", "custodian")
        make_patient(unit, clinic, DAVE)
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        tag_patient(unit, patient, tag)
        place_patient(unit, patient, site)
        make_data_source(unit, patient, "dexcom")
    [entry] = api.get(PATH, as_=caller).json
    assert entry == {
        "patient": api.get(f"/v1/clinics/{clinic.id}/patients/{CAROL.id}", as_=BOB).json,
        "clinic": api.get(f"/v1/clinics/{clinic.id}", as_=BOB).json,
    }
    assert entry["patient"]["tags"] == [tag.id]
    assert entry["patient"]["sites"] == [{"id": site.id, "name": "North Wing"}]
    assert entry["patient"]["dataSources"] == [{"providerName": "dexcom", "state": "connected"}]
    assert entry["patient"]["permissions"] == {"custodian": {}, "view": {}}
    assert entry["clinic"]["patientTags"] == [{"id": tag.id, "name": "Pump", "numPatients": 1}]


def test_records_of_different_clinics_keep_apart(api: Client, database: Database) -> None:
    with storing(database) as unit:
        for number in range(2):
            clinic = make_clinic(unit, name=f"Clinic {number}")
            patient = make_patient(unit, clinic, CAROL, full_name=f"Carol {number}")
            tag_patient(unit, patient, make_tag(unit, clinic, f"Tag {number}"))
            place_patient(unit, patient, make_site(unit, clinic, f"Site {number}"))
            make_data_source(unit, patient, f"provider {number}")
    for number, entry in enumerate(api.get(PATH, as_=CAROL).json):
        assert entry["clinic"]["name"] == f"Clinic {number}"
        assert entry["patient"]["fullName"] == f"Carol {number}"
        assert entry["patient"]["tags"] == [entry["clinic"]["patientTags"][0]["id"]]
        assert [site["name"] for site in entry["patient"]["sites"]] == [f"Site {number}"]
        assert [source["providerName"] for source in entry["patient"]["dataSources"]] == [f"provider {number}"]


def test_the_order_is_by_name_then_by_creation(api: Client, database: Database) -> None:
    b, a, nameless, same, accented = enrol(database, "Carol B", "Carol A", None, "Carol A", "Cárol")
    assert listed(api) == [nameless, accented, a, same, b]


def test_pages(api: Client, database: Database) -> None:
    clinic_ids = enrol(database, *(f"Carol {number:02}" for number in range(12)))
    assert listed(api) == clinic_ids[:10]
    assert listed(api, "?offset=10") == clinic_ids[10:]
    assert listed(api, "?limit=3&offset=2") == clinic_ids[2:5]
    assert listed(api, "?offset=12") == []


def test_a_user_who_is_no_patient_has_no_clinics(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), DAVE)
    assert listed(api) == []
    assert api.get(f"/v1/patients/{MALLORY.id}/clinics", as_=SERVICE).json == []


@pytest.mark.one_engine
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1"])
def test_bad_pages_are_refused(api: Client, query: str) -> None:
    assert_error(api.get(f"{PATH}?{query}", as_=CAROL), 400)


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_error(api.get("/v1/patients/Carol/clinics", as_=SERVICE), 400)


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(api.get(PATH), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, DAVE])
def test_is_for_the_user_and_services(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
    assert_error(api.get(PATH, as_=caller), 403)
    assert_error(api.get(PATH + "?limit=0", as_=caller), 403)


def test_cost_does_not_depend_on_the_number_of_clinics(api: Client, database: Database) -> None:
    enrol(database, "Carol")
    with counting(database) as few:
        assert len(listed(api)) == 1
    enrol(database, *("Carol" for _ in range(4)))
    with counting(database) as many:
        assert len(listed(api)) == 5
    # The caller's standing, the page, tags and sites, the clinics, their tags and sites.
    assert len(few) == len(many) == 6
