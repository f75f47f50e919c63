"""ListClinicians: GET /v1/clinics/{clinicId}/clinicians"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client
from tests.support.errors import assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.statements import counting

INVITE_KEY = "Qm9yZWFsIEZvcmVzdCBpbnZpdGUgMDAx"


@pytest.fixture
def clinic_id(database: Database) -> str:
    """Alice, Bob, a prescriber with a name beyond ASCII, an invitation and a service account, in order of age."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        values: dict[str, Any] = {"name": "Ольга 100%_Жук", "email": "o_zhuk@harbour.example"}
        make_clinician(unit, clinic, PETE, "PRESCRIBER", created_time=LONG_AGO + timedelta(days=1), **values)
        invited: dict[str, Any] = {"user_id": None, "name": None, "email": "dora@hill.example"}
        make_clinician(unit, clinic, PETE, invite_id=INVITE_KEY, created_time=LONG_AGO + timedelta(days=2), **invited)
        robot: dict[str, Any] = {"user_id": MALLORY.id, "email": None, "name": "Robot", "is_service_account": True}
        make_clinician(unit, clinic, MALLORY, created_time=LONG_AGO + timedelta(days=3), **robot)
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        return clinic.id


def found(api: Client, clinic_id: str, as_: Somebody = SERVICE, **query: str) -> list[str]:
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians", query_string=query, as_=as_)
    assert reply.status == 200
    return [one.get("id") or one["inviteId"] for one in reply.json]


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_answers_members_invitations_and_service_accounts_newest_first(
    api: Client, clinic_id: str, caller: Somebody
) -> None:
    assert found(api, clinic_id, as_=caller) == [MALLORY.id, INVITE_KEY, PETE.id, ALICE.id, BOB.id]


def test_a_pending_invitation_has_an_invite_id_and_neither_id_nor_name(api: Client, clinic_id: str) -> None:
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians?email=dora@hill.example", as_=ALICE)
    assert reply.json == [
        {
            "inviteId": INVITE_KEY,
            "email": "dora@hill.example",
            "roles": ["CLINIC_MEMBER"],
            "createdTime": "2026-01-07T08:30:00.000Z",
            "updatedTime": "2026-01-05T08:30:00.000Z",
        }
    ]


def test_a_service_account_has_an_empty_address(api: Client, clinic_id: str) -> None:
    first = api.get(f"/v1/clinics/{clinic_id}/clinicians?limit=1", as_=ALICE).json[0]
    assert (first["id"], first["name"], first["email"]) == (MALLORY.id, "Robot", "")


def test_pages(api: Client, clinic_id: str) -> None:
    assert found(api, clinic_id, limit="2", offset="1") == [INVITE_KEY, PETE.id]
    assert found(api, clinic_id, offset="5") == []


def test_a_page_holds_ten_unless_told_otherwise(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        for number in range(12):
            make_clinician(unit, clinic, BOB, user_id=f"{number:010x}", email=f"{number}@harbour.example")
    # All of the same moment, so that the order of their making decides.
    assert found(api, clinic.id) == [f"{number:010x}" for number in range(10)]
    assert found(api, clinic.id, limit="12", offset="1") == [f"{number:010x}" for number in range(1, 12)]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("BAK", [BOB.id]),  # in a name
        ("Hill.Example", [INVITE_KEY]),  # in an address
        ("e", [MALLORY.id, INVITE_KEY, PETE.id, ALICE.id, BOB.id][1:]),  # in either; the robot has no address
        ("жУ", [PETE.id]),  # letters beyond ASCII
        ("%_", [PETE.id]),  # wildcards of the database are letters like others
        ("_", [PETE.id]),
        ("a%r", []),
        ("", [MALLORY.id, INVITE_KEY, PETE.id, ALICE.id, BOB.id]),
        (" \t ", [MALLORY.id, INVITE_KEY, PETE.id, ALICE.id, BOB.id]),
        ("'); --", []),
    ],
)
def test_searches_names_and_addresses_for_a_substring_whatever_the_case(
    api: Client, clinic_id: str, search: str, expected: list[str]
) -> None:
    assert found(api, clinic_id, search=search) == expected


@pytest.mark.parametrize(
    ("name", "search", "hit"),
    [
        ("Jörg Weiß", "JÖRG WEIß", True),
        ("Jörg Weiß", "jorg", False),  # accents count
        ("Jörg Weiß", "WEISS", True),  # what is two letters in capitals
        ("Jörg Weiß", "jo\u0308rg", True),  # one letter of two characters
        ("Jo\u0308rg Weiß", "JÖRG", True),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς", True),  # whichever form of the letter stands at the end
        ("İpek", "pek", True),
    ],
)
def test_names_are_compared_in_their_folded_form(
    api: Client, database: Database, name: str, search: str, hit: bool
) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinician(unit, clinic, BOB, name=name)
    assert found(api, clinic.id, search=search) == ([BOB.id] if hit else [])


def test_a_search_is_paged(api: Client, clinic_id: str) -> None:
    assert found(api, clinic_id, search="e", limit="2", offset="1") == [PETE.id, ALICE.id]


def test_finds_an_address_whatever_its_case(api: Client, clinic_id: str) -> None:
    assert found(api, clinic_id, email="BOB@Harbour.example") == [BOB.id]
    assert found(api, clinic_id, email="ob@harbour.example") == []


def test_finds_a_role(api: Client, clinic_id: str) -> None:
    assert found(api, clinic_id, role="CLINIC_ADMIN") == [ALICE.id]
    assert found(api, clinic_id, role="PRESCRIBER") == [PETE.id]
    assert found(api, clinic_id, role="CLINIC_MEMBER") == [MALLORY.id, INVITE_KEY, BOB.id]


@pytest.mark.parametrize("role", ["clinic_admin", "OWNER", ""])
def test_an_unknown_role_finds_nothing(api: Client, clinic_id: str, role: str) -> None:
    assert found(api, clinic_id, role=role) == []


def test_all_filters_must_hold(api: Client, clinic_id: str) -> None:
    assert found(api, clinic_id, role="CLINIC_MEMBER", search="bob", email=BOB.email) == [BOB.id]
    assert found(api, clinic_id, role="CLINIC_ADMIN", email=BOB.email) == []
    assert found(api, clinic_id, search="alice", email=BOB.email) == []
    assert found(api, clinic_id, search="alice", role="CLINIC_MEMBER") == []


@pytest.mark.usefixtures("clinic_id")
def test_an_unknown_clinic_has_nobody(api: Client) -> None:
    assert found(api, "0" * 24) == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("query", "pointer", "rule"),
    [
        ("limit=0", "/query/limit", "minimum"),
        ("limit=1001", "/query/limit", "maximum"),
        ("offset=-1", "/query/offset", "minimum"),
        ("email=bob", "/query/email", "format"),
        ("search=%00", "/query/search", "characters"),
    ],
)
def test_malformed_queries_are_refused(api: Client, clinic_id: str, query: str, pointer: str, rule: str) -> None:
    reply = api.get(f"/v1/clinics/{clinic_id}/clinicians?{query}", as_=ALICE)
    assert_violations(reply, (pointer, rule))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [PETE, ERIN])
def test_is_for_members_and_services(api: Client, clinic_id: str, caller: Somebody) -> None:
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians", as_=caller).status == 403
    assert api.get(f"/v1/clinics/{clinic_id}/clinicians?limit=0", as_=caller).status == 403


def test_sends_one_statement_for_any_page(api: Client, database: Database, clinic_id: str) -> None:
    for query in ("limit=1", "limit=50", "search=e&limit=50"):
        with counting(database) as statements:
            api.get(f"/v1/clinics/{clinic_id}/clinicians?{query}", as_=SERVICE)
        assert len(statements) == 1
