"""UpdatePatient: PUT /v1/clinics/{clinicId}/patients/{patientId}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.patient_records import (
    BEFORE,
    NOW,
    SOURCE,
    TIME,
    change,
    events,
    make_known_patient,
    path,
    put,
    record,
)
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_patient,
    make_site,
    make_tag,
    storing,
)
from tests.support.units import assert_all_or_nothing, everything, number_of_statements


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with the claimed patient Carol, of whom everything is known."""
    return make_known_patient(database)


def test_sending_the_record_back_changes_nothing(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: no event and no later time when nothing changed."""
    before = everything(database)
    reply = change(api, clinic_id)
    assert (reply.status, reply.json["updatedTime"]) == (200, BEFORE)
    assert everything(database) == before


def test_one_event_tells_all_that_changed(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        tag = make_tag(unit, unit.clinics.get(clinic_id), "Loop")
    change(api, clinic_id, fullName="Carol C.", tags=[tag.id], sites=[], dataSources=[], mrn="2", diagnosisType="")
    [event] = events(database)
    assert set(event["changed"]) == {"fullName", "tags", "sites", "dataSources", "mrn", "diagnosisType"}


def test_time_moves_on_even_when_the_clock_does_not(api: Client, clinic_id: str) -> None:
    times = [change(api, clinic_id, fullName=f"Carol {number}").json["updatedTime"] for number in range(3)]
    assert times == [TIME, "2026-03-02T09:30:00.001Z", "2026-03-02T09:30:00.002Z"]
    with clock.frozen(NOW - timedelta(days=1)):
        assert change(api, clinic_id, fullName="Carol").json["updatedTime"] == "2026-03-02T09:30:00.003Z"


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE)
        make_patient(unit, make_clinic(unit), CAROL)
    before = everything(database)
    change(api, clinic_id, fullName="Carol C.")
    after = everything(database)
    changed = {table for table in before if before[table] != after[table]}
    assert changed == {"patients", "outbox"}
    assert len(set(after["patients"]) - set(before["patients"])) == 1


@pytest.mark.parametrize(
    "members",
    [
        {"fullName": ""},
        {"birthDate": "1987-02-30"},
        {"birthDate": ""},
        {"email": None},
        {"email": "Carol"},
        {"birthDate": "0000-02-29"},
        {"mrn": ""},
        {"mrn": " \t\u2003\x1f"},
        {"targetDevices": [1]},
        {"tags": ["0" * 24, "0" * 24]},
        {"tags": ["Pump"]},
        {"sites": [{"id": "0" * 24}]},
        {"dataSources": [{"providerName": "dexcom", "state": "lost"}]},
        {"glycemicRanges": {"type": "custom"}},
        {"diagnosisType": "gout"},
    ],
    ids=str,
)
def test_bad_input_is_refused(api: Client, database: Database, clinic_id: str, members: dict[str, Any]) -> None:
    before = everything(database)
    assert_error(change(api, clinic_id, **members), 400)
    assert everything(database) == before


def test_an_empty_name_is_taken_where_none_is_known(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE, full_name=None)
    shown = api.get(path(clinic_id, DAVE), as_=BOB).json
    assert shown["fullName"] == ""
    assert api.put(path(clinic_id, DAVE), as_=BOB, json=shown).json == shown
    named = api.put(path(clinic_id, DAVE), as_=BOB, json=shown | {"fullName": "Dave"})
    assert (named.status, named.json["fullName"]) == (200, "Dave")
    assert_violations(api.put(path(clinic_id, DAVE), as_=BOB, json=shown), ("/body/fullName", "minLength"))


def test_a_site_is_named_by_its_id(api: Client, clinic_id: str) -> None:
    assert_violations(change(api, clinic_id, sites=[{"name": "North"}]), ("/body/sites/0/id", "required"))


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [{}, {"json": None}, {"json": {}}])
def test_a_body_is_required(api: Client, database: Database, clinic_id: str, body: dict[str, Any]) -> None:
    """WP-7: an absent body would blank the record."""
    before = everything(database)
    assert_error(api.put(path(clinic_id), as_=BOB, **body), 400)
    assert everything(database) == before


def test_an_error_names_the_place_and_not_the_value(api: Client, clinic_id: str) -> None:
    reply = change(api, clinic_id, email="Quite Unusual")
    assert_violations(reply, ("/body/email", "format"))
    assert "Quite Unusual" not in str(reply)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.put(path(clinic_id), json={}), 401)


@pytest.mark.parametrize("caller", [CAROL, DAVE, ERIN, PETE, MALLORY])
def test_nobody_else_changes_records(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    before = everything(database)
    assert_error(change(api, clinic_id, caller, fullName="Other"), 403)
    assert_error(put(api, clinic_id, {"mrn": 1}, caller), 403)
    assert everything(database) == before


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_members_admins_and_services_do(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert change(api, clinic_id, caller, fullName="Other").json["fullName"] == "Other"


def test_who_is_no_patient_of_the_clinic_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), DAVE)
    shown = record(api, clinic_id)
    before = everything(database)
    assert_error(api.put(path(clinic_id, DAVE), as_=BOB, json=shown), 404)
    assert_error(api.put(path("0" * 24), as_=SERVICE, json=shown), 404)
    # What does not exist is told before what breaks a rule.
    assert_error(api.put(path(clinic_id, DAVE), as_=BOB, json=shown | {"sites": [{"id": "0" * 24, "name": "a"}]}), 404)
    assert everything(database) == before


def test_all_of_it_happens_or_nothing(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        tag = make_tag(unit, unit.clinics.get(clinic_id), "Loop").id
    body = record(api, clinic_id) | {"tags": [tag], "sites": [], "dataSources": [SOURCE, SOURCE], "mrn": "2"}
    assert_all_or_nothing(database, lambda: put(api, clinic_id, body))


def test_cost_does_not_depend_on_the_clinic_or_the_body(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        clinic.mrn_unique = True
        tags = [make_tag(unit, clinic, f"Tag {number}").id for number in range(9)]
        sites = [{"id": make_site(unit, clinic, f"Site {number}").id, "name": "any"} for number in range(9)]
    shown = record(api, clinic_id)

    def cost(name: str, parts: slice) -> int:
        sources = [{"state": "pending", "providerName": f"Provider {number}"} for number in range(9)]
        body = shown | {"fullName": name, "tags": tags[parts], "sites": sites[parts], "dataSources": sources[parts]}
        return number_of_statements(database, lambda: put(api, clinic_id, body))

    small = cost("a", slice(0, 1))
    with storing(database) as unit:
        for number in range(30):
            make_patient(unit, unit.clinics.get(clinic_id), Somebody(f"{number:010x}", "", ""))
    assert cost("b", slice(0, 9)) == small
