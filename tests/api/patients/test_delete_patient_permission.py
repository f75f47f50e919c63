"""DeletePatientPermission: DELETE /v1/clinics/{clinicId}/patients/{patientId}/permissions/{permission}"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

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
    """A clinic where Carol grants `view` and `note`, and Dave, whose account the clinic made, grants everything."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL, "view", "note")
        make_patient(unit, clinic, DAVE, *ALL)
        return clinic.id


def path(clinic_id: str, whom: Somebody, permission: str) -> str:
    return f"/v1/clinics/{clinic_id}/patients/{whom.id}/permissions/{permission}"


def withdraw(
    api: Client, clinic_id: str, permission: str, whom: Somebody = CAROL, as_: Somebody | None = None
) -> Reply:
    return api.delete(path(clinic_id, whom, permission), as_=as_ or whom)


def leave_with(database: Database, clinic_id: str, person: Somebody, *names: str) -> None:
    """Let the person grant nothing but these."""
    with storing(database) as unit:
        unit.patients.get(clinic_id, person.id).permissions = names


@pytest.mark.parametrize("permission", ALL)
def test_the_patient_withdraws_any(api: Client, database: Database, clinic_id: str, permission: str) -> None:
    reply = withdraw(api, clinic_id, permission, DAVE)
    assert (reply.status, reply.json) == (204, None)
    assert granted(database, DAVE) == set(ALL) - {permission}
    assert granted(database, CAROL) == {"view", "note"}


def test_rule_a_service_withdraws_custodian_when_the_account_is_claimed(
    api: Client, database: Database, clinic_id: str
) -> None:
    assert withdraw(api, clinic_id, "custodian", DAVE, as_=SERVICE).status == 204
    assert granted(database, DAVE) == {"view", "upload", "note"}


@pytest.mark.parametrize("caller", [DAVE, SERVICE])
def test_with_the_last_one_the_patient_leaves(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    leave_with(database, clinic_id, DAVE, "custodian")
    reply = withdraw(api, clinic_id, "custodian", DAVE, as_=caller)
    assert (reply.status, reply.json) == (204, None)
    assert granted(database, DAVE) is None
    [kept] = stored(database, PatientDeletion)
    # In the patient's own name, whoever called.
    assert (kept.user_id, kept.deleted_time, kept.deleted_by_user_id) == (DAVE.id, NOW, DAVE.id)
    assert kept.record["permission_custodian"] is True
    # The account has been claimed by that, so nobody who is told may remove it.
    [told] = stored(database, OutboxEntry)
    assert told.kind == "patient_removed"
    assert told.payload == {"clinicId": clinic_id, "userId": DAVE.id, "custodial": False}


@pytest.mark.parametrize(("permission", "custodial"), [("custodian", False), ("note", True)])
def test_a_change_sets_the_time_of_change_and_adds_an_event(
    api: Client, database: Database, clinic_id: str, permission: str, custodial: bool
) -> None:
    withdraw(api, clinic_id, permission, DAVE)
    with storing(database) as unit:
        assert unit.patients.get(clinic_id, DAVE.id).updated_time == NOW
    assert clinic_time(database, clinic_id) == LONG_AGO
    [told] = stored(database, OutboxEntry)
    assert (told.kind, told.clinic_id) == ("patient_changed", clinic_id)
    assert told.payload == {
        "clinicId": clinic_id,
        "userId": DAVE.id,
        "changed": ["permissions"],
        "custodial": custodial,
    }


def test_the_time_always_grows(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).updated_time = NOW + timedelta(days=1)
    withdraw(api, clinic_id, "note")
    with storing(database) as unit:
        changed = unit.patients.get(clinic_id, CAROL.id).updated_time
    assert changed == NOW + timedelta(days=1, milliseconds=1)


def test_all_views_show_it_at_once(api: Client, clinic_id: str) -> None:
    withdraw(api, clinic_id, "note")
    assert api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB).json == {"view": {}}
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json["permissions"] == {"view": {}}
    [own] = api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json
    assert own["patient"]["permissions"] == {"view": {}}
    withdraw(api, clinic_id, "view")
    assert_error(api.get(f"/access/{CAROL.id}/{BOB.id}", as_=BOB), 404)
    assert_error(api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB), 404)
    assert api.get(f"/v1/patients/{CAROL.id}/clinics", as_=CAROL).json == []


def test_members_of_the_clinic_stop_being_custodians_at_once(api: Client, clinic_id: str) -> None:
    """A custodian may look at all grants over the account."""
    assert api.get(f"/access/{DAVE.id}", as_=BOB).status == 200
    withdraw(api, clinic_id, "custodian", DAVE, as_=SERVICE)
    assert_error(api.get(f"/access/{DAVE.id}", as_=BOB), 403)


def test_other_clinics_keep_theirs(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_clinic(unit)
        make_patient(unit, elsewhere, CAROL)
    withdraw(api, clinic_id, "view")
    [other] = [p for p in stored(database, Patient) if p.clinic_id == elsewhere.id]
    assert list(other.permissions or ()) == ["view"]


@pytest.mark.one_engine
@pytest.mark.parametrize("permission", ["admin", "root", "follow", "Custodian", "views"])
def test_unknown_permissions_are_refused(api: Client, database: Database, clinic_id: str, permission: str) -> None:
    before = everything(database)
    reply = withdraw(api, clinic_id, permission)
    assert_violations(reply, ("/path/permission", "enum"))
    assert permission not in repr(reply.json)
    assert everything(database) == before


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_violations(withdraw(api, clinic_id.upper(), "view"), ("/path/clinicId", "pattern"))
    reply = withdraw(api, clinic_id, "custodian", CAROL._replace(id="Carol"), as_=SERVICE)
    assert_violations(reply, ("/path/patientId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(api.delete(path(clinic_id, CAROL, "view")), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("permission", [*ALL, "nonsense"])
@pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, MALLORY])
def test_other_people_withdraw_nothing(
    api: Client, database: Database, clinic_id: str, caller: Somebody, permission: str
) -> None:
    assert_error(withdraw(api, clinic_id, permission, DAVE, as_=caller), 403)
    assert granted(database, DAVE) == set(ALL)


@pytest.mark.one_engine
@pytest.mark.parametrize("permission", ["view", "upload", "note", "nonsense"])
def test_a_service_withdraws_only_custodian(api: Client, database: Database, clinic_id: str, permission: str) -> None:
    assert_error(withdraw(api, clinic_id, permission, DAVE, as_=SERVICE), 403)
    assert granted(database, DAVE) == set(ALL)


def test_what_is_not_granted_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    before = everything(database)
    assert_error(withdraw(api, clinic_id, "upload"), 404)
    assert_error(withdraw(api, clinic_id, "custodian"), 404)
    assert_error(withdraw(api, clinic_id, "custodian", as_=SERVICE), 404)
    assert everything(database) == before


def test_permissions_that_were_never_given_cannot_be_withdrawn(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).permissions = None
    assert_error(withdraw(api, clinic_id, "view"), 404)
    assert len(stored(database, Patient)) == 2


def test_unknown_patients_are_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), ERIN, "custodian")
    assert_error(withdraw(api, clinic_id, "view", MALLORY), 404)
    assert_error(withdraw(api, clinic_id, "custodian", ERIN, as_=SERVICE), 404)
    assert_error(withdraw(api, "0" * 24, "custodian", DAVE, as_=SERVICE), 404)
    assert len(stored(database, Patient)) == 3


def test_a_repeat_is_not_found(api: Client, clinic_id: str) -> None:
    assert withdraw(api, clinic_id, "view").status == 204
    assert_error(withdraw(api, clinic_id, "view"), 404)
    assert withdraw(api, clinic_id, "note").status == 204
    assert_error(withdraw(api, clinic_id, "note"), 404)


@pytest.mark.parametrize("names", [("view",), ("view", "note")])
def test_wp_10_all_or_nothing(api: Client, database: Database, clinic_id: str, names: tuple[str, ...]) -> None:
    """With the last permission too: there is never a patient who grants nothing."""
    leave_with(database, clinic_id, CAROL, *names)
    assert_all_or_nothing(database, lambda: withdraw(api, clinic_id, "view"))


@pytest.mark.parametrize("permission", ["view", "note"])
def test_rule_a_parallel_removal_of_the_record_counts_as_success(
    api: Client, database: Database, clinic_id: str, permission: str
) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: withdraw(api, clinic_id, permission),
    )
    assert (reply.status, reply.json) == (204, None)
    assert [kept.deleted_by_user_id for kept in stored(database, PatientDeletion)] == [ALICE.id]
    assert [told.kind for told in stored(database, OutboxEntry)] == ["patient_removed"]


def test_a_parallel_removal_is_no_success_for_what_was_never_granted(
    api: Client, database: Database, clinic_id: str
) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.remove_patient(unit, clinic_id, CAROL.id, ALICE.id),
        lambda: withdraw(api, clinic_id, "upload"),
    )
    assert_error(reply, 404)


def test_of_two_who_withdraw_the_same_at_once_one_finds_it_gone(
    api: Client, database: Database, clinic_id: str
) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.withdraw_permission(unit, clinic_id, CAROL.id, "note", was_granted=True),
        lambda: withdraw(api, clinic_id, "note"),
    )
    assert_error(reply, 404)
    assert granted(database) == {"view"}
    assert len(stored(database, OutboxEntry)) == 1


def test_of_two_simultaneous_withdrawals_the_second_removes_the_grant(
    api: Client, database: Database, clinic_id: str
) -> None:
    reply = meanwhile(
        database,
        lambda unit: permissions.withdraw_permission(unit, clinic_id, CAROL.id, "note", was_granted=True),
        lambda: withdraw(api, clinic_id, "view"),
    )
    assert reply.status == 204
    assert granted(database) is None
    [kept] = stored(database, PatientDeletion)
    assert (kept.record["permission_view"], kept.record["permission_note"]) == (True, False)


def test_the_number_of_statements_does_not_depend_on_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    def sent() -> list[int]:
        return [
            number_of_statements(database, lambda: withdraw(api, clinic_id, "view")),
            number_of_statements(database, lambda: withdraw(api, clinic_id, "note")),
        ]

    few = sent()
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        patient = make_patient(unit, clinic, CAROL, "view", "note")
        for number in range(20):
            make_patient(unit, clinic, ERIN, user_id=f"{number:010x}")
            tag_patient(unit, patient, make_tag(unit, clinic, f"Tag {number}"))
    # The caller's standing, twice.
    # What there is to withdraw, the clinic's lock, the record's, the change, the outbox; a removal has five instead of
    # the change.
    assert sent() == few == [7, 12]
