"""GetPermissionsForUser: GET /access/{sharerId}/{userId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import (
    make_clinic,
    make_clinician,
    make_grant,
    make_patient,
    make_staffed_clinic,
    storing,
)
from tests.support.statements import counting


def path(sharer: Somebody, user: Somebody) -> str:
    return f"/access/{sharer.id}/{user.id}"


@pytest.mark.parametrize("caller", [SERVICE, CAROL, DAVE])
def test_answers_the_direct_grant(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        unit.grants.put(CAROL.id, DAVE.id, {"view": {}, "upload": {"sources": ["pump"]}, "follow": {}})
    reply = api.get(path(CAROL, DAVE), as_=caller)
    assert reply.status == 200
    assert reply.json == {"view": {}, "upload": {"sources": ["pump"]}, "follow": {}}


@pytest.mark.parametrize("caller", [SERVICE, MALLORY])
def test_everybody_is_root_of_the_own_account_whatever_is_stored(
    api: Client, database: Database, caller: Somebody
) -> None:
    with storing(database) as unit:
        make_grant(unit, MALLORY, MALLORY, "view")
    reply = api.get(path(MALLORY, MALLORY), as_=caller)
    assert reply.status == 200
    assert reply.json == {"root": {}}


def test_what_comes_through_clinics_is_united_with_the_grant(api: Client, database: Database) -> None:
    with storing(database) as unit:
        first, second = make_staffed_clinic(unit), make_clinic(unit)
        make_clinician(unit, second, BOB)
        make_patient(unit, first, CAROL, "view")
        make_patient(unit, second, CAROL, "note", "custodian")
        unit.grants.put(CAROL.id, BOB.id, {"view": {"until": "2026"}, "follow": {}})
    reply = api.get(path(CAROL, BOB), as_=BOB)
    assert reply.json == {"view": {"until": "2026"}, "follow": {}, "note": {}, "custodian": {}}


@pytest.mark.parametrize("role", ["CLINIC_ADMIN", "CLINIC_MEMBER"])
def test_admins_and_members_hold_the_same(api: Client, database: Database, role: str) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, BOB, role)
        make_patient(unit, clinic, CAROL, "view", "upload")
    assert api.get(path(CAROL, BOB), as_=BOB).json == {"view": {}, "upload": {}}


def test_prescribers_and_invited_clinicians_hold_nothing(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, PETE, "PRESCRIBER")
        make_clinician(unit, clinic, BOB, user_id=None, invite_id="a" * 32)
        make_patient(unit, clinic, CAROL)
    assert_error(api.get(path(CAROL, PETE), as_=PETE), 404)
    assert_error(api.get(path(CAROL, BOB), as_=BOB), 404)


def test_a_clinic_without_permissions_gives_nothing(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL).permissions = None
    assert_error(api.get(path(CAROL, BOB), as_=BOB), 404)


def test_access_does_not_run_backwards(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
        make_grant(unit, CAROL, DAVE)
    assert_error(api.get(path(DAVE, CAROL), as_=SERVICE), 404)
    assert_error(api.get(path(BOB, CAROL), as_=SERVICE), 404)


@pytest.mark.parametrize("sharer", [CAROL, MALLORY])
def test_no_permission_and_no_account_look_the_same(api: Client, database: Database, sharer: Somebody) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
    reply = api.get(path(sharer, ERIN), as_=ERIN)
    assert_error(reply, 404)
    assert reply.json["message"] == "There is no such permission."


@pytest.mark.parametrize("name", ["custodian", "admin"])
def test_managers_of_the_account_may_ask_about_anybody(api: Client, database: Database, name: str) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, ERIN, name)
        make_grant(unit, CAROL, DAVE)
    assert api.get(path(CAROL, DAVE), as_=ERIN).json == {"view": {}}
    assert_error(api.get(path(CAROL, MALLORY), as_=ERIN), 404)


def test_a_clinic_that_manages_the_account_may_ask(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL, "custodian")
        make_grant(unit, CAROL, DAVE)
    assert api.get(path(CAROL, DAVE), as_=BOB).json == {"view": {}}


@pytest.mark.parametrize("names", [("view", "upload", "note", "follow"), ()])
def test_other_permissions_tell_nothing_about_third_parties(
    api: Client, database: Database, names: tuple[str, ...]
) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
        if names:
            make_grant(unit, CAROL, ERIN, *names)
        make_patient(unit, make_staffed_clinic(unit), CAROL, "view", "upload", "note")
    assert_error(api.get(path(CAROL, DAVE), as_=ERIN), 403)
    assert_error(api.get(path(CAROL, DAVE), as_=BOB), 403)
    assert_error(api.get(path(CAROL, CAROL), as_=ERIN), 403)


def test_malformed_ids_are_refused(api: Client) -> None:
    assert_error(api.get(f"/access/{CAROL.id}/Dave", as_=SERVICE), 400)
    assert_error(api.get(f"/access/{CAROL.id.upper()}/{DAVE.id}", as_=DAVE), 400)
    assert_error(api.get(f"/access/{CAROL.id}/Dave", as_=ERIN), 403)


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(api.get(path(CAROL, DAVE)), 401)


def test_cost_does_not_depend_on_the_number_of_clinics(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
    with counting(database) as few:
        api.get(path(CAROL, ALICE), as_=SERVICE)
    with storing(database) as unit:
        for _ in range(4):
            make_patient(unit, make_staffed_clinic(unit), CAROL)
    with counting(database) as many:
        assert api.get(path(CAROL, ALICE), as_=SERVICE).status == 200
    assert len(few) == len(many) == 2
