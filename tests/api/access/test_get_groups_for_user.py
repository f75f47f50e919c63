"""GetGroupsForUser: GET /access/groups/{userId}"""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.rows import make_grant, make_patient, make_staffed_clinic, storing
from tests.support.statements import counting

PATH = f"/access/groups/{CAROL.id}"


@pytest.mark.parametrize("caller", [SERVICE, CAROL])
def test_answers_the_grants_that_the_user_was_given(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        make_grant(unit, ERIN, CAROL, "follow")
        make_grant(unit, ALICE, CAROL, "view", "note")
        make_grant(unit, CAROL, ERIN, "view")
        make_grant(unit, DAVE, ERIN, "view")
        make_grant(unit, CAROL, CAROL, "view")
    reply = api.get(PATH, as_=caller)
    assert reply.status == 200
    assert list(reply.json.items()) == [
        (CAROL.id, {"root": {}}),
        (ALICE.id, {"view": {}, "note": {}}),
        (ERIN.id, {"follow": {}}),
    ]


def test_patients_of_the_users_clinics_are_not_listed(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL)
    assert api.get(f"/access/groups/{BOB.id}", as_=BOB).json == {BOB.id: {"root": {}}}


def test_an_unknown_user_is_the_only_entry(api: Client) -> None:
    assert api.get(f"/access/groups/{MALLORY.id}", as_=SERVICE).json == {MALLORY.id: {"root": {}}}


def test_custodians_may_ask_also_those_through_a_clinic(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "custodian")
        make_patient(unit, make_staffed_clinic(unit), CAROL, "custodian")
    assert api.get(PATH, as_=DAVE).status == 200
    assert api.get(PATH, as_=BOB).status == 200


@pytest.mark.parametrize("names", [("admin",), ("view", "upload", "note", "follow"), ()])
def test_nobody_else_may_ask(api: Client, database: Database, names: tuple[str, ...]) -> None:
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL, "view", "upload", "note")
        if names:
            make_grant(unit, CAROL, DAVE, *names)
        make_grant(unit, ERIN, CAROL)
    assert_error(api.get(PATH, as_=DAVE), 403)
    assert_error(api.get(PATH, as_=BOB), 403)
    assert_error(api.get(PATH, as_=ERIN), 403)


def test_malformed_ids_are_refused(api: Client) -> None:
    assert_error(api.get("/access/groups/Carol", as_=SERVICE), 400)
    assert_error(api.get("/access/groups/Carol", as_=CAROL), 403)


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(api.get(PATH), 401)


def test_cost_does_not_depend_on_the_number_of_grants(api: Client, database: Database) -> None:
    with counting(database) as few:
        api.get(PATH, as_=CAROL)
    with storing(database) as unit:
        for person in (ALICE, BOB, DAVE, ERIN):
            make_grant(unit, person, CAROL)
    with counting(database) as many:
        assert len(api.get(PATH, as_=CAROL).json) == 5
    # The caller's standing, the grants.
    assert len(few) == len(many) == 2
