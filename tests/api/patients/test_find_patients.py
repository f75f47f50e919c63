"""FindPatients: GET /v1/patients"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Clinic
from clinic_service.models.sort_keys import mrn_key
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    make_clinic,
    make_clinician,
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
from tests.support.units import everything, number_of_statements

PATH = "/v1/patients"
EHR_SETTINGS: dict[str, Any] = {
    "enabled": False,
    "provider": "redox",
    "procedureCodes": {},
    "mrnIdType": "MRN",
    "scheduledReports": {"onUploadEnabled": False, "cadence": "DISABLED"},
    "tags": {},
    "flowsheets": {"icode": False},
}


@pytest.fixture
def harbour(database: Database) -> Clinic:
    """A clinic of Alice's and Bob's."""
    with storing(database) as unit:
        return make_staffed_clinic(unit)


@pytest.fixture
def hilltop(database: Database) -> Clinic:
    """A clinic of Erin's, where Bob works as well."""
    with storing(database) as unit:
        clinic = make_clinic(unit, name="Hilltop", ehr_source_id="hilltop-source")
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN")
        make_clinician(unit, clinic, BOB, "CLINIC_MEMBER", "PRESCRIBER", email="bob@hilltop.example")
        return clinic


def enrol(database: Database, clinic: Clinic, person: Somebody, mrn: str | None = None, **values: Any) -> None:
    """Make somebody a patient, with the key of the number as the service stores it."""
    with storing(database) as unit:
        make_patient(unit, clinic, person, mrn=mrn, mrn_key=mrn_key(mrn), **values)


def ask(api: Client, as_: Somebody | None = BOB, /, **query: Any) -> Reply:
    return api.get(f"{PATH}?{urlencode(query)}", as_=as_)


def found(api: Client, as_: Somebody = BOB, /, **query: Any) -> list[tuple[str, str]]:
    """The clinics and the users of the records that are answered."""
    reply = ask(api, as_, **query)
    assert reply.status == 200, reply.json
    return [(entry["clinic"]["id"], entry["patient"]["id"]) for entry in reply.json]


def test_answers_each_record_with_its_clinic(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(unit, clinic, CAROL, "view", "custodian", mrn="A1", mrn_key="a1")
        tag, site = make_tag(unit, clinic, "Pump"), make_site(unit, clinic, "North Wing")
        tag_patient(unit, patient, tag)
        place_patient(unit, patient, site)
        make_data_source(unit, patient, "dexcom")
    for query in ({}, {"mrn": "A1"}):
        [entry] = ask(api, ALICE, **query).json
        assert entry == {
            "patient": api.get(f"/v1/clinics/{clinic.id}/patients/{CAROL.id}", as_=BOB).json,
            "clinic": api.get(f"/v1/clinics/{clinic.id}", as_=BOB).json,
        }
        assert entry["patient"]["tags"] == [tag.id]
        assert entry["patient"]["sites"] == [{"id": site.id, "name": "North Wing"}]
        assert entry["clinic"]["patientTags"] == [{"id": tag.id, "name": "Pump", "numPatients": 1}]


def test_without_criterion_all_patients_of_the_callers_clinics_are_found(
    api: Client, database: Database, harbour: Clinic, hilltop: Clinic
) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
    for clinic in (harbour, hilltop, elsewhere):
        enrol(database, clinic, CAROL)
    enrol(database, hilltop, DAVE)
    enrol(database, elsewhere, MALLORY)
    assert found(api) == [(harbour.id, CAROL.id), (hilltop.id, CAROL.id), (hilltop.id, DAVE.id)]
    assert found(api, ALICE) == [(harbour.id, CAROL.id)]
    assert found(api, ERIN) == [(hilltop.id, CAROL.id), (hilltop.id, DAVE.id)]


@pytest.mark.parametrize("query", [{}, {"mrn": "A1"}, {"birthDate": "1987-04-12"}])
def test_rule_only_members_and_admins_find_patients(
    api: Client, database: Database, harbour: Clinic, query: dict[str, str]
) -> None:
    """Who is a prescriber alone, or has not accepted an invitation, is shown no patient here or anywhere else."""
    enrol(database, harbour, CAROL, "A1")
    with storing(database) as unit:
        clinic = unit.clinics.get(harbour.id)
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", user_id=None, invite_id="some-key")
    assert found(api, ALICE, **query) == found(api, BOB, **query) == [(harbour.id, CAROL.id)]
    for nobody in (PETE, MALLORY, CAROL):
        assert found(api, nobody, **query) == []


@pytest.mark.parametrize("mrn", ["MRN-Ä1", "mrn-ä1", "  MRN-ä1 ", "MRN-A\u03081"])
def test_rule_numbers_are_compared_by_their_keys(
    api: Client, database: Database, harbour: Clinic, hilltop: Clinic, mrn: str
) -> None:
    """Rule: letter case, space around and composition do not count, accents do."""
    enrol(database, harbour, CAROL, "MRN-Ä1")
    enrol(database, harbour, DAVE, "MRN-A1")
    enrol(database, harbour, ERIN, "MRN-Ä12")
    enrol(database, hilltop, MALLORY, "mrn-ä1")
    assert found(api, mrn=mrn) == [(harbour.id, CAROL.id), (hilltop.id, MALLORY.id)]


@pytest.mark.parametrize("mrn", ["", "   ", "unknown", "%", "_"])
def test_other_numbers_and_blank_ones_match_nobody(api: Client, database: Database, harbour: Clinic, mrn: str) -> None:
    enrol(database, harbour, CAROL)
    enrol(database, harbour, DAVE, "A1")
    assert found(api, mrn=mrn) == []


def test_the_day_of_birth_is_compared_as_text(api: Client, database: Database, harbour: Clinic) -> None:
    enrol(database, harbour, CAROL, birth_date="1990-01-02")
    enrol(database, harbour, DAVE, birth_date="1990-01-03")
    assert found(api, birthDate="1990-01-02") == [(harbour.id, CAROL.id)]
    for other in ("1990-1-2", "1990-01", "02.01.1990", "yesterday"):
        assert found(api, birthDate=other) == []


@pytest.mark.parametrize("birth_date", ["0001-01-01", ""])
def test_rule_an_unknown_day_of_birth_matches_nobody(
    api: Client, database: Database, harbour: Clinic, birth_date: str
) -> None:
    enrol(database, harbour, CAROL, birth_date=None)
    # As an import might have left it.
    enrol(database, harbour, DAVE, birth_date="0001-01-01")
    assert found(api, birthDate=birth_date) == []
    assert len(found(api)) == 2


def test_criteria_hold_together(api: Client, database: Database, harbour: Clinic, hilltop: Clinic) -> None:
    enrol(database, harbour, CAROL, "A1", birth_date="1990-01-02")
    enrol(database, harbour, DAVE, "A1", birth_date="1991-01-02")
    enrol(database, hilltop, ERIN, "B2", birth_date="1990-01-02")
    both = {"mrn": "a1", "birthDate": "1990-01-02"}
    assert found(api, **both) == [(harbour.id, CAROL.id)]
    assert found(api, **both, workspaceId=hilltop.id, workspaceIdType="clinicId") == []
    assert found(api, mrn="A1", birthDate="") == []


@pytest.mark.parametrize("criteria", [{}, {"mrn": "A1"}, {"birthDate": "1987-04-12"}])
def test_a_workspace_is_a_clinic_by_its_id_or_by_its_source(
    api: Client, database: Database, harbour: Clinic, hilltop: Clinic, criteria: dict[str, str]
) -> None:
    for clinic in (harbour, hilltop):
        enrol(database, clinic, CAROL, "A1")
    by_id = {"workspaceIdType": "clinicId", **criteria}
    by_source = {"workspaceIdType": "ehrSourceId", **criteria}
    assert found(api, workspaceId=harbour.id, **by_id) == [(harbour.id, CAROL.id)]
    assert found(api, workspaceId="hilltop-source", **by_source) == [(hilltop.id, CAROL.id)]
    # Not a clinic of the caller's, none at all, and an id of the other kind.
    assert found(api, ALICE, workspaceId=hilltop.id, **by_id) == []
    assert found(api, ALICE, workspaceId="hilltop-source", **by_source) == []
    for unknown in ("0" * 24, "nothing", ""):
        assert found(api, workspaceId=unknown, **by_id) == found(api, workspaceId=unknown, **by_source) == []
    assert found(api, workspaceId="hilltop-source", **by_id) == []
    assert found(api, workspaceId=hilltop.id, **by_source) == []


def test_the_source_is_the_one_of_the_ehr_settings(api: Client, database: Database, harbour: Clinic) -> None:
    """Whether they are enabled makes no difference. The empty one, which means none, leads nowhere."""
    enrol(database, harbour, CAROL)
    for source, expected in (("the-source", [(harbour.id, CAROL.id)]), ("", [])):
        settings = EHR_SETTINGS | {"sourceId": source}
        assert api.put(f"/v1/clinics/{harbour.id}/settings/ehr", as_=SERVICE, json=settings).status == 200
        assert found(api, workspaceId=source, workspaceIdType="ehrSourceId") == expected


def test_several_clinics_may_share_a_source(api: Client, database: Database, hilltop: Clinic) -> None:
    with storing(database) as unit:
        second = make_clinic(unit, ehr_source_id="hilltop-source")
        make_clinician(unit, second, BOB)
    for clinic in (hilltop, second):
        enrol(database, clinic, CAROL)
    query = {"workspaceId": "hilltop-source", "workspaceIdType": "ehrSourceId"}
    assert found(api, **query) == [(hilltop.id, CAROL.id), (second.id, CAROL.id)]
    assert found(api, ERIN, **query) == [(hilltop.id, CAROL.id)]


def test_a_kind_of_workspace_alone_is_ignored(api: Client, database: Database, harbour: Clinic) -> None:
    enrol(database, harbour, CAROL)
    for kind in ("clinicId", "ehrSourceId"):
        assert found(api, workspaceIdType=kind) == [(harbour.id, CAROL.id)]


@pytest.mark.parametrize("query", [{}, {"birthDate": "1987-04-12"}])
def test_the_order_is_by_name_then_by_creation_across_clinics(
    api: Client, database: Database, harbour: Clinic, hilltop: Clinic, query: dict[str, str]
) -> None:
    people = [(f"{number:010x}", clinic) for number, clinic in enumerate([harbour, hilltop] * 4)]
    names = ["zoe", "Émile", "emile", None, "Emil", "Álvaro", "zoë", None]
    for (user_id, clinic), name in zip(people, names, strict=True):
        enrol(database, clinic, CAROL, user_id=user_id, full_name=name, email=None)
    order = [int(user_id, 16) for _, user_id in found(api, **query)]
    # No name; Álvaro; Emil; Émile and emile, Zoe and zoë, who have the same place, by their records.
    assert order == [3, 7, 5, 4, 1, 2, 0, 6]


@pytest.mark.parametrize("query", [{}, {"birthDate": "1987-04-12"}])
def test_pages(api: Client, database: Database, harbour: Clinic, hilltop: Clinic, query: dict[str, str]) -> None:
    with storing(database) as unit:
        for number in range(12):
            clinic = unit.clinics.get((harbour, hilltop)[number % 2].id)
            make_patient(unit, clinic, CAROL, user_id=f"{number:010x}", full_name=f"Carol {number:02}")
    everybody = found(api, limit=1000, **query)
    assert [int(user_id, 16) for _, user_id in everybody] == list(range(12))
    assert found(api, **query) == everybody[:10]
    assert found(api, offset=10, **query) == everybody[10:]
    assert found(api, limit=3, offset=2, **query) == everybody[2:5]
    assert found(api, offset=12, **query) == found(api, offset=10**9, **query) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("workspace", ["x", ""])
def test_a_workspace_without_its_kind_is_refused(
    api: Client, database: Database, harbour: Clinic, workspace: str
) -> None:
    enrol(database, harbour, CAROL)
    assert_violations(ask(api, workspaceId=workspace), ("/query/workspaceIdType", "required"))


@pytest.mark.one_engine
def test_the_refusal_repeats_nothing_of_the_request(api: Client) -> None:
    reply = ask(api, workspaceId="a-secret-workspace", mrn="a-secret-number")
    assert_error(reply, 400)
    assert "secret" not in str(reply.json)


@pytest.mark.one_engine
@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "workspaceIdType=x&workspaceId=1"])
def test_parameters_that_break_the_spec_are_refused(api: Client, query: str) -> None:
    assert_error(api.get(f"{PATH}?{query}", as_=BOB), 400)


@pytest.mark.parametrize("name", ["mrn", "birthDate", "workspaceId"])
def test_no_text_does_harm(api: Client, database: Database, harbour: Clinic, name: str) -> None:
    enrol(database, harbour, CAROL, "A1")
    for text in ("A1\x00", "\x00", "' OR 1=1 --", "\U0001f600", "x" * 5000):
        reply = ask(api, **{name: text, "workspaceIdType": "clinicId"})
        assert (reply.status, reply.json) == (200, []) or reply.status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(ask(api, None), 401)


@pytest.mark.one_engine
def test_rule_services_are_refused(api: Client, database: Database, harbour: Clinic) -> None:
    enrol(database, harbour, CAROL)
    for query in ({}, {"mrn": "A1"}, {"limit": 0}, {"workspaceId": "x"}):
        assert_error(ask(api, SERVICE, **query), 403)


def test_changes_nothing(api: Client, database: Database, harbour: Clinic) -> None:
    enrol(database, harbour, CAROL, "A1")
    before = everything(database)
    for query in ({}, {"mrn": "A1"}):
        assert len(found(api, **query)) == 1
    assert everything(database) == before


@pytest.mark.parametrize("query", [{}, {"mrn": "A1"}, {"workspaceId": "source", "workspaceIdType": "ehrSourceId"}])
def test_the_number_of_statements_is_fixed(api: Client, database: Database, query: dict[str, str]) -> None:
    with storing(database) as unit:
        for number in range(8):
            clinic = make_clinic(unit, ehr_source_id="source")
            make_clinician(unit, clinic, BOB if number else ALICE)
            if not number:
                make_clinician(unit, clinic, BOB)
                make_clinician(unit, clinic, ERIN)
            for person in (CAROL, DAVE, MALLORY):
                patient = make_patient(unit, clinic, person, mrn="A1", mrn_key="a1")
                tag_patient(unit, patient, make_tag(unit, clinic, person.name))
                make_data_source(unit, patient, "dexcom")
    assert len(found(api, ERIN, limit=100, **query)) == 3
    assert len(found(api, BOB, limit=100, **query)) == 24
    few = number_of_statements(database, lambda: ask(api, ERIN, limit=100, **query))
    many = number_of_statements(database, lambda: ask(api, BOB, limit=100, **query))
    # The caller's standing.
    # The records (without a criterion: clinics, merge, records), what belongs to them, the clinics and their parts.
    assert few == many == (7 if "mrn" in query else 9)


def test_more_clinics_than_a_statement_of_the_engines_has_parts(api: Client, database: Database) -> None:
    with storing(database) as unit:
        for number in range(520):
            clinic = make_clinic(unit)
            make_clinician(unit, clinic, BOB)
            if number % 100 == 0:
                make_patient(unit, clinic, CAROL)
                make_patient(unit, clinic, DAVE)
    with counting(database) as sent:
        assert [user_id for _, user_id in found(api)] == [CAROL.id] * 6 + [DAVE.id] * 4
    # The caller's standing.
    # One more for each 64 clinics: theirs, nine merges, the records, what belongs to them, the clinics, their parts.
    assert len(sent) == 16
