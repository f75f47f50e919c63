"""UpdateClinician: PUT /v1/clinics/{clinicId}/clinicians/{clinicianId}"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, ClinicianRoleUpdate, OutboxEntry
from clinic_service.resources.clinicians import service
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_violations
from tests.support.rows import make_clinic, make_clinician, make_staffed_clinic, stored, storing
from tests.support.statements import counting
from tests.support.units import meanwhile

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def update(api: Client, clinic_id: str, whom: Somebody, *roles: str, as_: Somebody = ALICE, **body: Any) -> Reply:
    body = {"email": whom.email, "roles": list(roles)} | body
    return api.put(f"/v1/clinics/{clinic_id}/clinicians/{whom.id}", json=body, as_=as_)


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_replaces_the_roles_and_the_name(api: Client, clinic_id: str, caller: Somebody) -> None:
    with clock.frozen(NOW):
        reply = update(api, clinic_id, BOB, "PRESCRIBER", "CLINIC_ADMIN", as_=caller, name="Robert Baker")
    assert reply.status == 200
    assert reply.json == {
        "id": BOB.id,
        "email": BOB.email,
        "name": "Robert Baker",
        "roles": ["CLINIC_ADMIN", "PRESCRIBER"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-03-02T09:30:00.000Z",
    }
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", as_=BOB).json == reply.json


def test_an_omitted_name_is_kept(api: Client, clinic_id: str) -> None:
    assert update(api, clinic_id, BOB, "PRESCRIBER").json["name"] == BOB.name


def test_address_ids_and_times_are_ignored(api: Client, clinic_id: str) -> None:
    ignored: dict[str, Any] = {
        "email": "else@mail.example",
        "id": MALLORY.id,
        "inviteId": "key",
        "createdTime": "2001-01-01T00:00:00Z",
    }
    reply = update(api, clinic_id, BOB, "PRESCRIBER", **ignored)
    assert (reply.json["id"], reply.json["email"]) == (BOB.id, BOB.email)
    assert reply.json["createdTime"] == "2026-01-05T08:30:00.000Z"
    assert "inviteId" not in reply.json


def test_an_answer_can_be_sent_back_and_changes_nothing(api: Client, database: Database, clinic_id: str) -> None:
    path = f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}"
    before = api.get(path, as_=ALICE).json
    reply = api.put(path, json=before, as_=ALICE)
    assert (reply.status, reply.json) == (200, before)
    assert stored(database, OutboxEntry) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("body", "pointer", "rule"),
    [
        ({"roles": []}, "/body/roles", "minItems"),
        ({"roles": ["CLINIC_OWNER"]}, "/body/roles/0", "enum"),
        ({"email": "bob"}, "/body/email", "format"),
        ({"name": ""}, "/body/name", "minLength"),
        ({"name": None}, "/body/name", "type"),
        ({"id": "Bob"}, "/body/id", "pattern"),
    ],
)
def test_malformed_bodies_are_refused(
    api: Client, clinic_id: str, body: dict[str, Any], pointer: str, rule: str
) -> None:
    reply = update(api, clinic_id, BOB, "CLINIC_MEMBER", **body)
    assert_violations(reply, (pointer, rule))


@pytest.mark.one_engine
def test_address_and_roles_are_required(api: Client, clinic_id: str) -> None:
    path = f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}"
    assert api.put(path, json={"roles": ["CLINIC_MEMBER"]}, as_=ALICE).status == 400
    assert api.put(path, json={"email": BOB.email}, as_=ALICE).status == 400
    assert api.put(path, as_=ALICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.put(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", json={}).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [BOB, MALLORY, ERIN])
def test_is_for_admins_and_services_not_even_for_oneself(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
    assert update(api, clinic_id, BOB, "CLINIC_ADMIN", as_=caller).status == 403
    assert api.put(f"/v1/clinics/{clinic_id}/clinicians/{BOB.id}", json=[], as_=caller).status == 403


def test_unknown_clinics_and_members_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN)
    assert update(api, "0" * 24, BOB, "CLINIC_MEMBER", as_=SERVICE).status == 404
    assert update(api, clinic_id, MALLORY, "CLINIC_MEMBER").status == 404
    assert update(api, clinic_id, ERIN, "CLINIC_MEMBER").status == 404


def test_the_clinic_must_be_migrated_before_the_member_is_looked_for(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, is_migrated=False)
    assert update(api, clinic.id, BOB, "PRESCRIBER").status == 422
    assert update(api, clinic.id, MALLORY, "PRESCRIBER").status == 422


@pytest.mark.parametrize("caller", [ALICE, SERVICE])
def test_the_last_admin_cannot_be_demoted(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        # Neither an invitation nor a service account guards a clinic.
        make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=None, invite_id="key")
        make_clinician(unit, clinic, MALLORY, "CLINIC_ADMIN", email=None, is_service_account=True)
    reply = update(api, clinic_id, ALICE, "CLINIC_MEMBER", as_=caller, name="Another")
    assert reply.status == 422
    assert [error["pointer"] for error in reply.json["errors"]] == ["/body/roles"]
    alice = api.get(f"/v1/clinics/{clinic_id}/clinicians/{ALICE.id}", as_=ALICE).json
    assert (alice["roles"], alice["name"]) == (["CLINIC_ADMIN"], ALICE.name)
    assert stored(database, ClinicianRoleUpdate) == []
    assert stored(database, OutboxEntry) == []


def test_the_last_admin_may_change_everything_else(api: Client, clinic_id: str) -> None:
    reply = update(api, clinic_id, ALICE, "CLINIC_ADMIN", "PRESCRIBER", name="Alicia")
    assert (reply.status, reply.json["name"]) == (200, "Alicia")


def test_an_admin_may_step_down_while_another_remains(api: Client, clinic_id: str) -> None:
    assert update(api, clinic_id, BOB, "CLINIC_ADMIN").status == 200
    assert update(api, clinic_id, ALICE, "CLINIC_MEMBER").status == 200
    assert update(api, clinic_id, BOB, "CLINIC_MEMBER").status == 403


def test_a_clinic_without_admins_is_open_to_changes_that_take_none_away(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, BOB)
    assert update(api, clinic.id, BOB, "PRESCRIBER", as_=SERVICE).status == 200


def test_a_person_cannot_make_a_service_account_an_admin(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_clinician(unit, clinic, MALLORY, email=None, is_service_account=True)
    assert update(api, clinic_id, MALLORY, "CLINIC_MEMBER", "CLINIC_ADMIN").status == 422
    assert update(api, clinic_id, MALLORY, "PRESCRIBER").json["roles"] == ["PRESCRIBER"]
    assert update(api, clinic_id, MALLORY, "CLINIC_ADMIN", as_=SERVICE).status == 200
    # Once a service has made it one, a person may change what else there is.
    assert update(api, clinic_id, MALLORY, "CLINIC_ADMIN", name="Robot").status == 200
    assert update(api, clinic_id, MALLORY, "CLINIC_MEMBER").status == 200


@pytest.mark.parametrize(("caller", "author"), [(ALICE, ALICE.id), (SERVICE, SERVICE.id)])
def test_new_roles_are_kept_in_the_history_with_their_author(
    api: Client, database: Database, clinic_id: str, caller: Somebody, author: str
) -> None:
    with clock.frozen(NOW):
        update(api, clinic_id, BOB, "PRESCRIBER", "CLINIC_MEMBER", as_=caller)
    (noted,) = stored(database, ClinicianRoleUpdate)
    assert (noted.roles, noted.updated_by, noted.time) == (["CLINIC_MEMBER", "PRESCRIBER"], author, NOW)
    assert noted.clinician_id in [one.id for one in stored(database, Clinician) if one.user_id == BOB.id]


@pytest.mark.parametrize(("caller", "name"), [(ALICE, ALICE.name), (SERVICE, "Clinic administrator")])
def test_each_change_of_roles_is_announced(
    api: Client, database: Database, clinic_id: str, caller: Somebody, name: str
) -> None:
    update(api, clinic_id, BOB, "PRESCRIBER", as_=caller)
    update(api, clinic_id, BOB, "CLINIC_MEMBER", as_=caller)
    entries = stored(database, OutboxEntry)
    assert [entry.kind for entry in entries] == ["clinician_permissions_updated"] * 2
    assert entries[1].payload == {
        "clinicId": clinic_id,
        "userId": BOB.id,
        "ClinicName": "Harbour Diabetes Centre",
        "ClinicianName": name,
    }


def test_an_author_without_a_name_is_the_clinics_administrator(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, name=None)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN", name=None)
        make_clinician(unit, clinic, BOB)
    update(api, clinic.id, BOB, "PRESCRIBER")
    (entry,) = stored(database, OutboxEntry)
    assert (entry.payload["ClinicName"], entry.payload["ClinicianName"]) == ("", "Clinic administrator")


def test_a_repeat_changes_nothing_and_announces_nothing(api: Client, database: Database, clinic_id: str) -> None:
    first = update(api, clinic_id, BOB, "CLINIC_MEMBER", "PRESCRIBER", name="Bobby")
    assert update(api, clinic_id, BOB, "PRESCRIBER", "CLINIC_MEMBER", name="Bobby").json == first.json
    assert len(stored(database, ClinicianRoleUpdate)) == 1
    assert len(stored(database, OutboxEntry)) == 1


def test_a_new_name_alone_is_no_change_of_roles(api: Client, database: Database, clinic_id: str) -> None:
    with clock.frozen(NOW):
        reply = update(api, clinic_id, BOB, "CLINIC_MEMBER", name="Bobby")
    assert reply.json["updatedTime"] == "2026-03-02T09:30:00.000Z"
    assert stored(database, ClinicianRoleUpdate) == []
    assert stored(database, OutboxEntry) == []


def test_other_rows_stay_as_they_are(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), BOB)
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    update(api, clinic_id, BOB, "CLINIC_ADMIN")
    admins = [one for one in stored(database, Clinician) if one.is_admin]
    assert sorted((one.clinic_id, one.user_id) for one in admins) == [(clinic_id, ALICE.id), (clinic_id, BOB.id)]


def test_of_two_admins_who_demote_each_other_at_once_exactly_one_succeeds(
    api: Client, database: Database, clinic_id: str
) -> None:
    assert update(api, clinic_id, BOB, "CLINIC_ADMIN").status == 200
    member = service.Changes(frozenset({"CLINIC_MEMBER"}), None)
    reply = meanwhile(
        database,
        lambda unit: service.update_clinician(unit, clinic_id, BOB.id, member, Caller(ALICE.id, CallerKind.PERSON)),
        lambda: update(api, clinic_id, ALICE, "CLINIC_MEMBER", as_=SERVICE),
    )
    assert reply.status == 422
    admins = [one.user_id for one in stored(database, Clinician) if one.is_admin]
    assert admins == [ALICE.id]


def test_the_statements_do_not_grow_with_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    def sent(*roles: str) -> int:
        with counting(database) as statements:
            assert update(api, clinic_id, BOB, *roles).status == 200
        return len(statements)

    before = sent("CLINIC_ADMIN"), sent("CLINIC_MEMBER")
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_clinician(unit, clinic, ERIN, "CLINIC_ADMIN", user_id=f"{number:010x}", email=f"{number}@mail.example")
    assert (sent("CLINIC_ADMIN"), sent("CLINIC_MEMBER")) == before == (8, 9)


def test_the_record_of_a_service_account_can_be_sent_back(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_clinician(unit, clinic, PETE, email=None, is_service_account=True)
    address = f"/v1/clinics/{clinic.id}/clinicians/{PETE.id}"
    shown = api.get(address, as_=ALICE).json
    assert shown["email"] == ""
    assert api.put(address, as_=ALICE, json=shown).json | {"updatedTime": ""} == shown | {"updatedTime": ""}
