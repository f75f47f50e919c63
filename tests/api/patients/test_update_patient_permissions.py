"""UpdatePatientPermissions: PUT /v1/clinics/{clinicId}/patients/{patientId}/permissions"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, Patient, PatientDeletion
from clinic_service.resources.patients import permissions
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.permissions import ALL, granted
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_patient,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
    tag_patient,
)
from tests.support.tags_and_sites import clinic_time
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic where Carol grants `view`, and Dave, whose account the clinic made, grants everything."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE, *ALL)
        return clinic.id


def path(clinic_id: str, whom: Somebody = CAROL) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{whom.id}/permissions"


def put(
    api: Client, clinic_id: str, *names: str, whom: Somebody = CAROL, as_: Somebody | None = None, json: Any = ...
) -> Reply:
    body = {name: {} for name in names} if json is ... else json
    return api.put(path(clinic_id, whom), as_=as_ or whom, json=body)


@pytest.mark.parametrize("names", [("view",), ("upload",), ("note", "view"), ("view", "upload", "note")])
def test_grants_what_the_body_has_and_withdraws_the_rest(
    api: Client, database: Database, clinic_id: str, names: tuple[str, ...]
) -> None:
    reply = put(api, clinic_id, *names)
    assert reply.status == 200
    assert reply.json == {name: {} for name in names}
    assert granted(database) == set(names)


@pytest.mark.parametrize(
    "body",
    [
        {"view": {"reason": "all of it"}, "note": {}},
        {"view": {}, "note": {}, "admin": {}, "View": True, "root": None},
        {"view": {}, "note": {}, "custodian": {}},
    ],
)
def test_the_content_of_the_objects_unknown_members_and_custodian_are_ignored(
    api: Client, database: Database, clinic_id: str, body: dict[str, Any]
) -> None:
    reply = put(api, clinic_id, json=body)
    assert (reply.status, reply.json) == (200, {"view": {}, "note": {}})
    assert granted(database) == {"view", "note"}


def test_rule_any_update_makes_a_custodial_patient_a_claimed_one(
    api: Client, database: Database, clinic_id: str
) -> None:
    assert put(api, clinic_id, *ALL, whom=DAVE).json == {"view": {}, "upload": {}, "note": {}}
    assert granted(database, DAVE) == {"view", "upload", "note"}
    # The account never becomes custodial again.
    put(api, clinic_id, *ALL, whom=DAVE)
    assert granted(database, DAVE) == {"view", "upload", "note"}


@pytest.mark.parametrize("names", [(), ("custodian",), ("admin",)])
@pytest.mark.parametrize("person", [CAROL, DAVE])
def test_when_nothing_is_left_to_grant_the_patient_leaves(
    api: Client, database: Database, clinic_id: str, person: Somebody, names: tuple[str, ...]
) -> None:
    reply = put(api, clinic_id, *names, whom=person)
    assert (reply.status, reply.json) == (204, None)
    assert granted(database, person) is None
    assert len(stored(database, Patient)) == 1


def test_a_removal_is_recorded_as_the_patients_own(api: Client, database: Database, clinic_id: str) -> None:
    put(api, clinic_id, whom=DAVE)
    [kept] = stored(database, PatientDeletion)
    assert (kept.clinic_id, kept.user_id) == (clinic_id, DAVE.id)
    assert (kept.deleted_time, kept.deleted_by_user_id) == (NOW, DAVE.id)
    # The record as it was, with what had been granted until then.
    assert [kept.record[f"permission_{name}"] for name in ALL] == [True] * 4
    assert kept.record["updated_time"] == "2026-01-05T08:30:00.000Z"


@pytest.mark.parametrize("person", [CAROL, DAVE])
def test_the_event_of_a_removal_says_that_the_account_is_not_custodial(
    api: Client, database: Database, clinic_id: str, person: Somebody
) -> None:
    """Who sets permissions has signed in, so that nobody may remove the account because a clinic once made it."""
    put(api, clinic_id, whom=person)
    [told] = stored(database, OutboxEntry)
    assert told.kind == "patient_removed"
    assert told.payload == {"clinicId": clinic_id, "userId": person.id, "custodial": False}


@pytest.mark.parametrize("person", [CAROL, DAVE])
def test_a_change_sets_the_time_of_change_and_adds_an_event(
    api: Client, database: Database, clinic_id: str, person: Somebody
) -> None:
    put(api, clinic_id, "note", whom=person)
    with storing(database) as unit:
        assert unit.patients.get(clinic_id, person.id).updated_time == NOW
    assert clinic_time(database, clinic_id) == LONG_AGO
    [told] = stored(database, OutboxEntry)
    assert (told.kind, told.clinic_id) == ("patient_changed", clinic_id)
    assert told.payload == {
        "clinicId": clinic_id,
        "userId": person.id,
        "changed": ["permissions"],
        "custodial": False,
    }


def test_rule_no_event_is_added_without_a_change(api: Client, database: Database, clinic_id: str) -> None:
    before = everything(database)
    assert put(api, clinic_id, "view").json == {"view": {}}
    assert everything(database) == before


def test_the_time_always_grows(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).updated_time = NOW + timedelta(days=1)
    put(api, clinic_id, "note")
    with storing(database) as unit:
        changed = unit.patients.get(clinic_id, CAROL.id).updated_time
    assert changed == NOW + timedelta(days=1, milliseconds=1)


def test_permissions_that_were_never_given_can_be_set(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).permissions = None
    assert put(api, clinic_id, "view").json == {"view": {}}
    assert granted(database) == {"view"}


def test_all_views_show_it_at_once(api: Client, clinic_id: str) -> None:
    put(api, clinic_id, "upload", "note")
    expected: dict[str, Any] = {"upload": {}, "note": {}}
    assert api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB).json == expected
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json["permissions"] == expected
    [own] = api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json
    assert own["patient"]["permissions"] == expected
    put(api, clinic_id)
    assert_error(api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB), 404)
    assert_error(api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB), 404)
    assert api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json == []


def test_other_clinics_and_other_patients_keep_theirs(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        make_patient(unit, elsewhere, CAROL, "view", "upload")
    put(api, clinic_id, "note")
    put(api, clinic_id)
    assert [(p.clinic_id, p.user_id, list(p.permissions or ())) for p in stored(database, Patient)] == [
        (clinic_id, DAVE.id, list(ALL)),
        (elsewhere.id, CAROL.id, ["view", "upload"]),
    ]


@pytest.mark.one_engine
@pytest.mark.parametrize("json", [None, [], ["view"], "view", 1, True])
def test_a_body_that_is_no_object_is_refused(api: Client, database: Database, clinic_id: str, json: Any) -> None:
    before = everything(database)
    assert_violations(put(api, clinic_id, json=json), ("/body", "type"))
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("value", [None, True, "yes-please", [], 1])
def test_values_must_be_objects(api: Client, database: Database, clinic_id: str, name: str, value: Any) -> None:
    before = everything(database)
    reply = put(api, clinic_id, json={"note": {}, name: value})
    assert_violations(reply, (f"/body/{name}", "type"))
    assert "yes-please" not in repr(reply.json)
    assert everything(database) == before


@pytest.mark.one_engine
def test_rule_wp_7_an_absent_body_is_refused_and_removes_nobody(
    api: Client, database: Database, clinic_id: str
) -> None:
    before = everything(database)
    assert_violations(api.put(path(clinic_id), as_=CAROL), ("/body", "required"))
    assert_violations(api.put(path(clinic_id), as_=CAROL, data=b" \n"), ("/body", "required"))
    assert everything(database) == before


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_violations(put(api, clinic_id.upper(), "view"), ("/path/clinicId", "pattern"))
    # A malformed patient is nobody's own id.
    assert_error(put(api, clinic_id, "view", whom=CAROL._replace(id="Carol"), as_=CAROL), 403)


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.put(path(clinic_id), json={"view": {}}), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, DAVE, MALLORY, SERVICE])
def test_only_the_patient_may_call_it(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    before = everything(database)
    assert_error(put(api, clinic_id, "note", as_=caller), 403)
    # Before the body is looked at.
    assert_error(put(api, clinic_id, as_=caller, json=[]), 403)
    assert everything(database) == before


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ERIN)
    for person, clinic in ((MALLORY, clinic_id), (ERIN, clinic_id), (CAROL, "0" * 24)):
        assert_error(put(api, clinic, "view", whom=person), 404)
        assert_error(put(api, clinic, whom=person), 404)
    assert len(stored(database, Patient)) == 3


def test_repeats(api: Client, clinic_id: str) -> None:
    assert [put(api, clinic_id, "note").status for _ in range(2)] == [200, 200]
    assert put(api, clinic_id).status == 204
    assert_error(put(api, clinic_id), 404)
    assert_error(put(api, clinic_id, "note"), 404)


@pytest.mark.parametrize("names", [(), ("note",)])
def test_wp_10_all_or_nothing(api: Client, database: Database, clinic_id: str, names: tuple[str, ...]) -> None:
    assert_all_or_nothing(database, lambda: put(api, clinic_id, *names))


def test_after_a_removal_meanwhile_there_is_nobody(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: put(api, clinic_id, "note"),
    )
    assert_error(reply, 404)
    assert granted(database) is None
    assert len(stored(database, OutboxEntry)) == 1


def test_of_two_changes_at_once_the_later_one_counts_as_a_whole(
    api: Client, database: Database, clinic_id: str
) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.replace_permissions(unit, clinic_id, CAROL.id, {"upload"}),
        lambda: put(api, clinic_id, "view", "note"),
    )
    assert reply.json == {"view": {}, "note": {}}
    assert granted(database) == {"view", "note"}
    assert len(stored(database, OutboxEntry)) == 2


def test_the_number_of_statements_does_not_depend_on_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    def sent() -> list[int]:
        return [
            number_of_statements(database, lambda: put(api, clinic_id, "note")),
            number_of_statements(database, lambda: put(api, clinic_id)),
        ]

    few = sent()
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        patient = make_patient(unit, clinic, CAROL)
        for number in range(20):
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}")
            tag_patient(unit, patient, make_tag(unit, clinic, f"Tag {number}"))
    # The caller's standing.
    # The clinic's lock, the record's, the change, the outbox; a removal has five statements instead of the change.
    assert sent() == few == [5, 10]
