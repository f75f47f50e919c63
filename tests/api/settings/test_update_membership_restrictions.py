"""UpdateMembershipRestrictions: PUT /v1/clinics/{clinicId}/membership_restrictions"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinician, MembershipRestriction, OutboxEntry
from clinic_service.resources.settings import service
from tests.support.cast import ALICE, BOB, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import LONG_AGO, make_clinic, make_restriction, make_staffed_clinic, stored, storing
from tests.support.tags_and_sites import clinic_time
from tests.support.units import meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit).id


def put(api: Client, clinic_id: str, body: Any, as_: Somebody | None = SERVICE) -> Reply:
    return api.put(f"/v1/clinics/{clinic_id}/membership_restrictions", as_=as_, json=body)


def replace(api: Client, clinic_id: str, *restrictions: dict[str, Any]) -> Any:
    reply = put(api, clinic_id, {"restrictions": list(restrictions)})
    assert reply.status == 200
    return reply.json["restrictions"]


def domains(database: Database, clinic_id: str) -> list[str]:
    return [one.email_domain for one in stored(database, MembershipRestriction) if one.clinic_id == clinic_id]


HARBOUR = {"emailDomain": "harbour.example", "requiredIdp": "harbour-sso"}
LAKESIDE = {"emailDomain": "lakeside.example"}


def test_stores_them_in_their_order(api: Client, database: Database, clinic_id: str) -> None:
    assert replace(api, clinic_id, LAKESIDE, HARBOUR) == [LAKESIDE, HARBOUR]
    shown = api.get(f"/v1/clinics/{clinic_id}/membership_restrictions", as_=ALICE).json
    assert shown == {"restrictions": [LAKESIDE, HARBOUR]}
    rows = stored(database, MembershipRestriction)
    assert [(row.position, row.email_domain, row.required_idp) for row in rows] == [
        (0, "lakeside.example", None),
        (1, "harbour.example", "harbour-sso"),
    ]
    assert clinic_time(database, clinic_id) == NOW
    assert stored(database, OutboxEntry) == []


def test_replaces_what_was_there(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other = make_clinic(unit)
        make_restriction(unit, other, "elsewhere.example")
    replace(api, clinic_id, LAKESIDE, HARBOUR)
    assert replace(api, clinic_id, HARBOUR) == [HARBOUR]
    assert domains(database, clinic_id) == ["harbour.example"]
    assert domains(database, other.id) == ["elsewhere.example"]
    assert clinic_time(database, other.id) == LONG_AGO


@pytest.mark.parametrize("body", [{}, {"restrictions": []}, {"unknown": 1}])
def test_nothing_given_clears_the_list(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    replace(api, clinic_id, LAKESIDE)
    reply = put(api, clinic_id, body)
    assert (reply.status, reply.json) == (200, {"restrictions": []})
    assert domains(database, clinic_id) == []


def test_rule_domains_are_stored_in_lower_case(api: Client, clinic_id: str) -> None:
    """Rule: domains are stored in lower case."""
    assert replace(api, clinic_id, {"emailDomain": "Harbour.EXAMPLE"}) == [{"emailDomain": "harbour.example"}]


def test_rule_exact_duplicates_collapse(api: Client, clinic_id: str) -> None:
    """Rule: exact duplicates collapse; the same domain with another provider is another entry."""
    upper = {"emailDomain": "HARBOUR.example", "requiredIdp": "harbour-sso"}
    plain = {"emailDomain": "harbour.example"}
    assert replace(api, clinic_id, HARBOUR, LAKESIDE, upper, plain, HARBOUR) == [HARBOUR, LAKESIDE, plain]


def test_rule_an_empty_provider_is_none(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: an empty `requiredIdp` is stored as null."""
    given = {"emailDomain": "lakeside.example", "requiredIdp": ""}
    assert replace(api, clinic_id, given, LAKESIDE) == [LAKESIDE]
    assert stored(database, MembershipRestriction)[0].required_idp is None


def test_members_are_never_removed(api: Client, database: Database, clinic_id: str) -> None:
    replace(api, clinic_id, LAKESIDE)
    assert {one.user_id for one in stored(database, Clinician)} == {ALICE.id, BOB.id}


def test_a_repeat_leads_to_the_same(api: Client, database: Database, clinic_id: str) -> None:
    for seconds in (0, 1):
        with clock.frozen(NOW + timedelta(seconds=seconds)):
            assert replace(api, clinic_id, LAKESIDE, HARBOUR) == [LAKESIDE, HARBOUR]
    assert clinic_time(database, clinic_id) == NOW + timedelta(seconds=1)


def test_of_two_at_once_the_later_one_is_whole(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: service.replace_restrictions(unit, clinic_id, [LAKESIDE, HARBOUR]),
        lambda: put(api, clinic_id, {"restrictions": [{"emailDomain": "later.example"}]}),
    )
    assert reply.status == 200
    assert domains(database, clinic_id) == ["later.example"]


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"requiredIdp": "x"},
        {"emailDomain": ""},
        {"emailDomain": "a b.example"},
        {"emailDomain": "@harbour.example"},
        {"emailDomain": "-harbour.example"},
        {"emailDomain": "harbour..example"},
        {"emailDomain": "x" * 64 + ".example"},
        {"emailDomain": ".".join(["x" * 62] * 5)},
        {"emailDomain": 5},
        {"emailDomain": None},
        {"emailDomain": "harbour.example", "requiredIdp": 5},
        {"emailDomain": "harbour.example", "requiredIdp": "x" * 256},
        "harbour.example",
    ],
)
def test_entries_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, entry: Any) -> None:
    replace(api, clinic_id, LAKESIDE)
    assert_error(put(api, clinic_id, {"restrictions": [HARBOUR, entry]}), 400)
    assert domains(database, clinic_id) == ["lakeside.example"]


@pytest.mark.parametrize("body", [..., None, [], "x", {"restrictions": None}, {"restrictions": {}}])
def test_bodies_that_break_the_spec_are_refused(api: Client, database: Database, clinic_id: str, body: Any) -> None:
    replace(api, clinic_id, LAKESIDE)
    assert_error(put(api, clinic_id, body), 400)
    assert domains(database, clinic_id) == ["lakeside.example"]


def test_at_most_100_entries_are_taken(api: Client, clinic_id: str) -> None:
    entries = [{"emailDomain": f"{number}.example"} for number in range(101)]
    assert len(replace(api, clinic_id, *entries[:100])) == 100
    assert_error(put(api, clinic_id, {"restrictions": entries}), 400)


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    assert_violations(put(api, "A" * 24, {}), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(put(api, clinic_id, {}, None), 401)


@pytest.mark.parametrize("caller", [ALICE, BOB, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    replace(api, clinic_id, LAKESIDE)
    assert_error(put(api, clinic_id, {}, caller), 403)
    assert domains(database, clinic_id) == ["lakeside.example"]


def test_unknown_clinics_are_not_found(api: Client, database: Database) -> None:
    assert_error(put(api, "0" * 24, {"restrictions": [LAKESIDE]}), 404)
    assert stored(database, MembershipRestriction) == []


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    entries = [{"emailDomain": f"{number}.example"} for number in range(100)]

    def sent(*given: dict[str, Any]) -> int:
        body = {"restrictions": given}
        return number_of_statements(database, lambda: put(api, clinic_id, body))

    assert sent(*entries[:1]) == sent(*entries) == 5
