"""ListClinicianInvites: GET /v1/clinicians/{userId}/invites"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import AccountEmail, EmbeddedAccount, OutboxEntry
from tests.support.cast import ALICE, BOB, CAROL, ERIN, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.invites import (
    invite_of,
    make_key,
    make_offer,
    make_pending,
    restrict,
    session_of,
    statements_of,
)
from tests.support.rows import LONG_AGO, make_account, make_clinic, make_invite, make_staffed_clinic, stored, storing


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        for person in (ALICE, ERIN, MALLORY):
            make_account(unit, person)
        return make_staffed_clinic(unit).id


@pytest.fixture
def key(database: Database, clinic_id: str) -> str:
    with storing(database) as unit:
        return make_pending(unit, unit.clinics.get(clinic_id), ERIN)


def list_invites(api: Client, person: Somebody = ERIN, as_: Somebody | None = ERIN, **rest: dict[str, str]) -> Reply:
    return api.get(f"/v1/clinicians/{person.id}/invites", as_=as_, **rest)


def keys(reply: Reply) -> list[str]:
    return [invite["key"] for invite in reply.json]


def test_answers_the_invitation_with_creator_and_restrictions(api: Client, clinic_id: str, key: str) -> None:
    reply = list_invites(api)
    assert reply.status == 200
    assert reply.json == [
        {
            "key": key,
            "type": "clinician_invitation",
            "status": "pending",
            "email": ERIN.email,
            "creatorId": ALICE.id,
            "created": "2026-01-05T08:30:00.000Z",
            "modified": "2026-01-05T08:30:00.000Z",
            "creator": {
                "userid": ALICE.id,
                "profile": {"fullName": "Alice Archer", "patient": {}},
                "clinicId": clinic_id,
                "clinicName": "Harbour Diabetes Centre",
            },
            "restrictions": {"canAccept": True},
        }
    ]


@pytest.mark.usefixtures("clinic_id")
def test_dc_4_none_are_an_empty_list(api: Client) -> None:
    reply = list_invites(api)
    assert (reply.status, reply.json) == (200, [])


def test_invitations_sent_to_the_address_are_linked_to_the_user_first(
    api: Client, database: Database, key: str
) -> None:
    assert invite_of(database, key).user_id is None
    list_invites(api)
    row = invite_of(database, key)
    assert (row.user_id, row.modified, row.status) == (ERIN.id, LONG_AGO, "pending")
    # Now the address may change.
    with storing(database) as unit:
        unit.session.get_one(EmbeddedAccount, ERIN.id).username = "new@mail.example"
        unit.session.get_one(AccountEmail, ERIN.email).email = "new@mail.example"
    assert keys(list_invites(api)) == [key]


def test_wc_15_addresses_are_compared_without_case(api: Client, database: Database, clinic_id: str) -> None:
    body = {"email": "ERIN@Hilltop.Example", "roles": ["CLINIC_MEMBER"]}
    with storing(database) as unit:
        # The account came later, and spells its address in its own way.
        unit.session.delete(unit.session.get_one(AccountEmail, ERIN.email))
        unit.session.delete(unit.session.get_one(EmbeddedAccount, ERIN.id))
    sent = api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=ALICE)
    with storing(database) as unit:
        make_account(unit, ERIN._replace(email="erin@hilltop.example"))
        unit.session.get_one(EmbeddedAccount, ERIN.id).username = "Erin@HILLTOP.example"
    assert keys(list_invites(api)) == [sent.json["inviteId"]]
    assert list_invites(api).json[0]["restrictions"] == {"canAccept": True}


def test_every_address_of_the_account_counts(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.session.add(AccountEmail(email="erin@work.example", user_id=ERIN.id, position=1))
        key = make_pending(unit, unit.clinics.get(clinic_id), ERIN, email="erin@work.example")
    assert keys(list_invites(api)) == [key]


def test_linked_invitations_are_found_whatever_their_address(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        key = make_pending(unit, clinic, ERIN, email="erin@old.example", user_id=ERIN.id)
        make_pending(unit, clinic, ERIN, user_id=MALLORY.id)
    assert keys(list_invites(api)) == [key]


def test_only_pending_invitations_of_clinics_to_the_person_are_shown(
    api: Client, database: Database, clinic_id: str, key: str
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for status in ("completed", "canceled", "declined"):
            make_invite(unit, clinic, email=ERIN.email, user_id=ERIN.id, status=status)
        make_offer(unit, clinic, ERIN)
        make_pending(unit, clinic, MALLORY)
        make_invite(unit, clinic, key=make_key(), email=None)
    assert keys(list_invites(api)) == [key]
    assert keys(list_invites(api, MALLORY, MALLORY)) != [key]


def test_the_newest_comes_first(api: Client, database: Database, key: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit, name="Hilltop Clinic")
        later = make_pending(unit, other, ERIN, created=LONG_AGO + timedelta(days=1))
        latest = make_pending(unit, make_clinic(unit), ERIN, created=LONG_AGO + timedelta(days=2))
    reply = list_invites(api)
    assert keys(reply) == [latest, later, key]
    assert [invite["creator"]["clinicName"] for invite in reply.json][1:] == [
        "Hilltop Clinic",
        "Harbour Diabetes Centre",
    ]
    assert reply.json[1]["creator"]["clinicId"] == other.id


@pytest.mark.parametrize(
    ("entries", "provider", "restrictions"),
    [
        ([("mail.example", None)], None, {"canAccept": False}),
        ([("hilltop.example", None)], None, {"canAccept": True}),
        ([("HillTop.Example", "")], None, {"canAccept": True}),
        ([("example", None), ("sub.hilltop.example", None), ("top.example", None)], None, {"canAccept": False}),
        ([("hilltop.example", "Okta")], None, {"canAccept": False, "requiredIdp": "Okta"}),
        ([("hilltop.example", "Okta")], "azure", {"canAccept": False, "requiredIdp": "Okta"}),
        ([("hilltop.example", "Okta")], "OKTA", {"canAccept": True}),
        ([("mail.example", "okta")], "okta", {"canAccept": False}),
        (
            [("hilltop.example", "okta"), ("hilltop.example", "azure")],
            "google",
            {"canAccept": False, "requiredIdp": "okta"},
        ),
    ],
)
def test_restrictions_are_computed_for_the_session(
    api: Client,
    database: Database,
    clinic_id: str,
    key: str,
    entries: list[tuple[str, str | None]],
    provider: str | None,
    restrictions: dict[str, object],
) -> None:
    with storing(database) as unit:
        restrict(unit, unit.clinics.get(clinic_id), *entries)
    headers = session_of(ERIN, provider) if provider else {}
    reply = list_invites(api, headers=headers)
    assert keys(reply) == [key]
    assert reply.json[0]["restrictions"] == restrictions


@pytest.mark.usefixtures("key")
def test_wc_9_every_matching_restriction_is_tried_and_one_success_is_enough(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        restrict(unit, unit.clinics.get(clinic_id), ("hilltop.example", "okta"), ("hilltop.example", "azure"))
    assert list_invites(api, headers=session_of(ERIN, "azure")).json[0]["restrictions"] == {"canAccept": True}


def test_each_clinic_has_its_own_restrictions(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        restrict(unit, unit.clinics.get(clinic_id), ("mail.example", None))
        free = make_pending(unit, make_clinic(unit), ERIN)
    verdicts = {invite["key"]: invite["restrictions"]["canAccept"] for invite in list_invites(api).json}
    assert verdicts == {key: False, free: True}


def test_a_person_without_an_account_has_what_is_linked(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        restrict(unit, clinic, ("mail.example", None))
        key = make_pending(unit, clinic, CAROL, user_id=CAROL.id)
        make_invite(unit, clinic, key=make_key(), email="")
    reply = list_invites(api, CAROL, CAROL)
    assert (keys(reply), reply.json[0]["restrictions"]) == ([key], {"canAccept": False})


def test_an_invitation_made_by_a_service_still_names_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_pending(unit, unit.clinics.get(clinic_id), ERIN, creator_id=SERVICE.id)
    creator = list_invites(api).json[0]["creator"]
    assert "userid" not in creator
    assert creator["clinicName"] == "Harbour Diabetes Centre"


@pytest.mark.usefixtures("clinic_id")
def test_a_clinic_without_a_name_is_not_named(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit, name=None)
        make_pending(unit, clinic, ERIN)
    creator = list_invites(api).json[0]["creator"]
    assert creator["clinicId"] == clinic.id
    assert "clinicName" not in creator


def test_nothing_else_changes(api: Client, database: Database, clinic_id: str, key: str) -> None:
    with storing(database) as unit:
        other = make_pending(unit, unit.clinics.get(clinic_id), MALLORY)
        offer = make_offer(unit, unit.clinics.get(clinic_id), ERIN)
    assert keys(list_invites(api)) == [key]
    assert [invite_of(database, one).user_id for one in (other, offer)] == [None, None]
    assert stored(database, OutboxEntry) == []


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert list_invites(api, as_=None).status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY, SERVICE])
def test_is_for_the_person_alone(api: Client, database: Database, key: str, caller: Somebody) -> None:
    assert list_invites(api, as_=caller).status == 403
    assert invite_of(database, key).user_id is None


@pytest.mark.one_engine
def test_malformed_user_ids_are_told_to_nobody(api: Client) -> None:
    assert api.get("/v1/clinicians/Erin/invites", as_=ERIN).status == 403


@pytest.mark.usefixtures("key")
def test_the_statements_do_not_depend_on_the_invitations(api: Client, database: Database) -> None:
    # The caller's standing, twice.
    # Two for the account, the invitations and their creators; the invitations, the link, the restrictions.
    assert statements_of(database, lambda: list_invites(api)) == 11
    # The invitations are linked already.
    few = statements_of(database, lambda: list_invites(api))
    with storing(database) as unit:
        for number in range(10):
            clinic = make_clinic(unit)
            restrict(unit, clinic, ("mail.example", None), ("hilltop.example", None))
            make_account(unit, ALICE._replace(id=f"{number:010x}", email=f"{number}@mail.example"))
            make_pending(unit, clinic, ERIN, creator_id=f"{number:010x}")
    assert len(keys(list_invites(api))) == 11
    assert (few, statements_of(database, lambda: list_invites(api))) == (10, 10)
