"""GrantPermissionsInGroup: POST /access/{sharerId}/{userId}"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import Grant, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_grant, make_patient, make_staffed_clinic, stored, storing
from tests.support.statements import counting

CAROL_TO_DAVE = f"/access/{CAROL.id}/{DAVE.id}"


def nested(levels: int) -> dict[str, Any]:
    """Objects and lists inside each other, `levels` in all."""
    value: Any = {}
    for number in range(levels - 2):
        value = [value] if number % 2 else {"in": value}
    return {"in": value}


def grants(database: Database) -> dict[tuple[str, str], Any]:
    """Every stored grant by sharer and grantee."""
    return {(grant.sharer_id, grant.grantee_id): grant.permissions for grant in stored(database, Grant)}


def events(database: Database) -> list[Any]:
    return [(event.kind, event.clinic_id, event.payload) for event in stored(database, OutboxEntry)]


@pytest.fixture
def ward(database: Database) -> None:
    """Carol's account is managed by her clinic, where Alice and Bob are."""
    with storing(database) as unit:
        make_patient(unit, make_staffed_clinic(unit), CAROL, "custodian", "view")


@pytest.mark.parametrize("caller", [SERVICE, CAROL])
def test_the_body_is_the_new_grant(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "view", "note")
        make_grant(unit, CAROL, ERIN, "view")
        make_grant(unit, DAVE, CAROL, "view")
    reply = api.post(CAROL_TO_DAVE, as_=caller, json={"upload": {"sources": ["pump"]}, "view": {}, "follow": {}})
    assert reply.status == 200
    assert reply.json == {"upload": {"sources": ["pump"]}, "view": {}, "follow": {}}
    assert grants(database) == {
        (CAROL.id, DAVE.id): reply.json,
        (CAROL.id, ERIN.id): {"view": {}},
        (DAVE.id, CAROL.id): {"view": {}},
    }
    assert events(database) == [("access_changed", "", {"sharerId": CAROL.id, "granteeId": DAVE.id})]


def test_neither_needs_an_account(api: Client, database: Database) -> None:
    assert api.post(f"/access/{MALLORY.id}/{ERIN.id}", as_=SERVICE, json={"view": {}}).json == {"view": {}}
    assert grants(database) == {(MALLORY.id, ERIN.id): {"view": {}}}


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": b"", "content_type": "application/json"},
        {"data": b" \n", "content_type": "application/json"},
        {"json": None},
        {"json": {}},
    ],
)
def test_an_empty_body_removes_the_grant(api: Client, database: Database, sent: dict[str, Any]) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "view", "custodian")
        make_grant(unit, CAROL, ERIN)
    for _ in range(2):
        reply = api.post(CAROL_TO_DAVE, as_=CAROL, **sent)
        assert reply.status == 200
        assert reply.json is None
        assert reply.headers["Content-Type"] == "application/json"
    assert grants(database) == {(CAROL.id, ERIN.id): {"view": {}}}
    assert len(events(database)) == 1


def test_the_answer_spells_null_when_nothing_is_left(api: Client) -> None:
    reply = api.post(CAROL_TO_DAVE, as_=CAROL, json={})
    assert reply.headers["Content-Length"] == "4"


@pytest.mark.usefixtures("ward")
def test_what_comes_through_clinics_stays_and_shows(api: Client, database: Database) -> None:
    path = f"/access/{CAROL.id}/{BOB.id}"
    assert api.post(path, as_=CAROL, json={"note": {}}).json == {"note": {}, "view": {}, "custodian": {}}
    assert api.post(path, as_=CAROL, json={}).json == {"view": {}, "custodian": {}}
    assert grants(database) == {}


@pytest.mark.parametrize("body", [{"view": {}}, {}, {"custodian": {}}, {"whatever": {}}])
@pytest.mark.parametrize("caller", [SERVICE, CAROL])
def test_nothing_is_granted_to_oneself(api: Client, database: Database, caller: Somebody, body: dict[str, Any]) -> None:
    reply = api.post(f"/access/{CAROL.id}/{CAROL.id}", as_=caller, json=body)
    assert reply.status == 200
    assert reply.json == {"root": {}}
    assert grants(database) == {}
    assert events(database) == []


def test_root_is_dropped(api: Client, database: Database) -> None:
    assert api.post(CAROL_TO_DAVE, as_=CAROL, json={"root": {}, "view": {}}).json == {"view": {}}
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": {}}}


@pytest.mark.parametrize("caller", [SERVICE, CAROL, DAVE])
def test_a_body_with_nothing_but_root_changes_nothing(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "view", "follow")
    reply = api.post(CAROL_TO_DAVE, as_=caller, json={"root": {}})
    assert reply.status == 200
    assert reply.json == {"view": {}, "follow": {}}
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": {}, "follow": {}}}
    assert events(database) == []


def test_a_repeat_is_no_change(api: Client, database: Database) -> None:
    for _ in range(2):
        assert api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": {}}).json == {"view": {}}
    assert len(events(database)) == 1


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [[], "view", 1, True, {"view": True}, {"view": None}, {"view": []}, {"root": 1}])
def test_bodies_that_are_no_objects_of_objects_are_refused(api: Client, database: Database, body: Any) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
    assert_error(api.post(CAROL_TO_DAVE, as_=CAROL, json=body), 400)
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": {}}}


@pytest.mark.parametrize("caller", [SERVICE, CAROL])
@pytest.mark.parametrize("name", ["share", "View", "", "owner"])
def test_unknown_names_are_refused(api: Client, database: Database, caller: Somebody, name: str) -> None:
    assert_violations(api.post(CAROL_TO_DAVE, as_=caller, json={"view": {}, name: {}}), ("/body/*", "unknown"))
    assert grants(database) == {}


def test_values_have_a_size(api: Client, database: Database) -> None:
    fits = {"a": "x" * (4096 - len('{"a":""}'))}
    assert api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": fits, "note": fits}).json == {"view": fits, "note": fits}
    too_large = {"a": fits["a"] + "x"}
    assert_violations(api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": too_large}), ("/body/view", "maxLength"))
    # Bytes count, not characters.
    assert_error(api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": {"a": "ü" * 2048}}), 400)
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": fits, "note": fits}}


def test_values_have_a_depth(api: Client, database: Database) -> None:
    assert api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": nested(8)}).json == {"view": nested(8)}
    assert_violations(api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": nested(9)}), ("/body/view", "depth"))
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": nested(8)}}


@pytest.mark.parametrize("name", ["custodian", "admin"])
def test_managing_permissions_are_given_by_services_only(api: Client, database: Database, name: str) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, ERIN, "custodian", "admin")
    for caller in (CAROL, ERIN):
        assert_error(api.post(CAROL_TO_DAVE, as_=caller, json={"view": {}, name: {}}), 403)
    assert (CAROL.id, DAVE.id) not in grants(database)
    assert api.post(CAROL_TO_DAVE, as_=SERVICE, json={name: {}}).json == {name: {}}


def test_a_person_repeats_managing_permissions_or_drops_them(api: Client, database: Database) -> None:
    with storing(database) as unit:
        unit.grants.put(CAROL.id, DAVE.id, {"custodian": {"by": "service"}, "admin": {}, "view": {}})
    repeated = api.post(CAROL_TO_DAVE, as_=CAROL, json={"custodian": {"by": "Carol"}, "note": {}})
    assert repeated.json == {"custodian": {"by": "service"}, "note": {}}
    assert_error(api.post(CAROL_TO_DAVE, as_=CAROL, json={"admin": {}}), 403)
    assert api.post(CAROL_TO_DAVE, as_=CAROL, json={"note": {}}).json == {"note": {}}
    assert_error(api.post(CAROL_TO_DAVE, as_=CAROL, json={"custodian": {}}), 403)


@pytest.mark.parametrize("name", ["custodian", "admin"])
def test_managers_write_any_grant_of_the_account(api: Client, database: Database, name: str) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, ERIN, name)
    assert api.post(CAROL_TO_DAVE, as_=ERIN, json={"view": {}}).json == {"view": {}}
    assert api.post(CAROL_TO_DAVE, as_=ERIN).json is None
    own = f"/access/{CAROL.id}/{ERIN.id}"
    assert api.post(own, as_=ERIN, json={"note": {}, name: {}}).json == {"note": {}, name: {}}
    assert api.post(own, as_=ERIN, json={"note": {}}).json == {"note": {}}
    assert_error(api.post(CAROL_TO_DAVE, as_=ERIN, json={"view": {}}), 403)


@pytest.mark.usefixtures("ward")
def test_a_custodian_through_a_clinic_writes_the_grants_of_others(api: Client) -> None:
    assert api.post(CAROL_TO_DAVE, as_=BOB, json={"view": {}, "follow": {}}).json == {"view": {}, "follow": {}}
    # A colleague is somebody else as well.
    colleague = f"/access/{CAROL.id}/{ALICE.id}"
    assert api.post(colleague, as_=BOB, json={"note": {}}).json == {"note": {}, "view": {}, "custodian": {}}
    assert_error(api.post(CAROL_TO_DAVE, as_=BOB, json={"custodian": {}}), 403)
    assert api.post(CAROL_TO_DAVE, as_=BOB, json={}).json is None


@pytest.mark.usefixtures("ward")
@pytest.mark.parametrize("body", [{"view": {}}, {"custodian": {}}, {"follow": {}, "view": {}}, {"whatever": {}}])
def test_a_custodian_through_a_clinic_makes_no_lasting_grant_to_oneself(
    api: Client, database: Database, body: dict[str, Any]
) -> None:
    own = f"/access/{CAROL.id}/{BOB.id}"
    assert_error(api.post(own, as_=BOB, json=body), 403)
    with storing(database) as unit:
        make_grant(unit, CAROL, BOB, "view")
    assert_error(api.post(own, as_=BOB, json=body), 403)
    assert grants(database) == {(CAROL.id, BOB.id): {"view": {}}}
    assert api.post(own, as_=BOB, json={}).json == {"view": {}, "custodian": {}}
    assert grants(database) == {}


@pytest.mark.parametrize("body", [{"view": {}, "upload": {}}, {"view": {}}, {"whatever": {}}, {"custodian": {}}])
def test_a_grantee_does_not_write_the_own_grant(api: Client, database: Database, body: dict[str, Any]) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE, "view", "note", "upload", "follow")
    assert_error(api.post(CAROL_TO_DAVE, as_=DAVE, json=body), 403)
    assert grants(database) == {(CAROL.id, DAVE.id): {"view": {}, "note": {}, "upload": {}, "follow": {}}}
    assert events(database) == []


def test_a_grantee_gives_up_the_own_grant(api: Client, database: Database) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
    assert api.post(CAROL_TO_DAVE, as_=DAVE, json={}).json is None
    assert grants(database) == {}


@pytest.mark.parametrize("names", [("view", "upload", "note", "follow"), ()])
@pytest.mark.parametrize("body", [{"view": {}}, {}, {"root": {}}, [], "x"])
def test_nobody_else_writes_a_grant(api: Client, database: Database, names: tuple[str, ...], body: Any) -> None:
    with storing(database) as unit:
        make_grant(unit, CAROL, DAVE)
        make_patient(unit, make_staffed_clinic(unit), CAROL, "view", "upload", "note")
        if names:
            make_grant(unit, CAROL, ERIN, *names)
    for caller in (ERIN, BOB):
        assert_error(api.post(CAROL_TO_DAVE, as_=caller, json=body), 403)
    assert grants(database)[CAROL.id, DAVE.id] == {"view": {}}
    assert events(database) == []


def test_malformed_ids_are_refused(api: Client, database: Database) -> None:
    assert_error(api.post(f"/access/{CAROL.id}/Dave", as_=CAROL, json={"view": {}}), 400)
    assert_error(api.post(f"/access/Carol/{DAVE.id}", as_=SERVICE, json={"view": {}}), 400)
    assert_error(api.post(f"/access/Carol/{DAVE.id}", as_=CAROL, json={"view": {}}), 403)
    assert grants(database) == {}


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(api.post(CAROL_TO_DAVE, json={"view": {}}), 401)


def test_cost_does_not_depend_on_the_number_of_grants(api: Client, database: Database) -> None:
    with counting(database) as few:
        api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": {}})
    with storing(database) as unit:
        for person in (ALICE, BOB, ERIN):
            make_grant(unit, CAROL, person)
            make_patient(unit, make_staffed_clinic(unit), CAROL)
    with counting(database) as many:
        api.post(CAROL_TO_DAVE, as_=CAROL, json={"view": {}, "note": {}})
    assert len(few) == len(many)
