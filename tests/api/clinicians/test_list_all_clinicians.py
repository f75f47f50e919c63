"""ListAllClinicians: GET /v1/clinicians"""

from __future__ import annotations

from datetime import timedelta

import pytest

from clinic_service.db.engine import Database
from tests.support.cast import ALICE, BOB, ERIN, PETE, SERVICE
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_clinician, make_staffed_clinic, storing
from tests.support.statements import counting

INVITE_KEY = "Qm9yZWFsIEZvcmVzdCBpbnZpdGUgMDAx"


@pytest.fixture
def clinic_ids(database: Database) -> tuple[str, str]:
    """Harbour with Alice and Bob; Hilltop with Erin, an invitation and a service account, one day apart."""
    with storing(database) as unit:
        harbour = make_staffed_clinic(unit)
        hilltop = make_clinic(unit, name="Hilltop")
        day = timedelta(days=1)
        make_clinician(unit, hilltop, ERIN, "CLINIC_ADMIN", created_time=LONG_AGO + day)
        pending = make_clinician(unit, hilltop, PETE, user_id=None, created_time=LONG_AGO + 2 * day, name=None)
        pending.invite_id = INVITE_KEY
        make_clinician(
            unit, hilltop, BOB, email=None, is_service_account=True, created_time=LONG_AGO + 3 * day, name="Robot"
        )
        return harbour.id, hilltop.id


def found(api: Client, **query: str) -> list[tuple[str, str]]:
    reply = api.get("/v1/clinicians", query_string=query, as_=SERVICE)
    assert reply.status == 200
    return [(one["clinician"].get("id") or one["clinician"]["inviteId"], one["clinic"]["id"]) for one in reply.json]


def test_answers_the_clinicians_of_all_clinics_newest_first(api: Client, clinic_ids: tuple[str, str]) -> None:
    harbour, hilltop = clinic_ids
    assert found(api) == [
        (BOB.id, hilltop),
        (INVITE_KEY, hilltop),
        (ERIN.id, hilltop),
        (ALICE.id, harbour),
        (BOB.id, harbour),
    ]


def test_each_stands_with_the_whole_clinic(api: Client, clinic_ids: tuple[str, str]) -> None:
    one = api.get("/v1/clinicians?limit=1&offset=3", as_=SERVICE).json[0]
    assert one["clinician"] == {
        "id": ALICE.id,
        "email": ALICE.email,
        "name": ALICE.name,
        "roles": ["CLINIC_ADMIN"],
        "createdTime": "2026-01-05T08:30:00.000Z",
        "updatedTime": "2026-01-05T08:30:00.000Z",
    }
    assert one["clinic"] == api.get(f"/v1/clinics/{clinic_ids[0]}", as_=SERVICE).json


def test_pages(api: Client, clinic_ids: tuple[str, str]) -> None:
    harbour, hilltop = clinic_ids
    assert found(api, limit="2", offset="2") == [(ERIN.id, hilltop), (ALICE.id, harbour)]
    assert found(api, offset="5") == []


def test_the_start_is_included_and_the_end_is_not(api: Client, clinic_ids: tuple[str, str]) -> None:
    _, hilltop = clinic_ids
    start, end = "2026-01-06T08:30:00.000Z", "2026-01-08T08:30:00.000Z"
    assert found(api, createdTimeStart=start, createdTimeEnd=end) == [(INVITE_KEY, hilltop), (ERIN.id, hilltop)]
    assert len(found(api, createdTimeStart=start)) == 3
    assert len(found(api, createdTimeEnd=end)) == 4
    assert found(api, createdTimeStart=end, createdTimeEnd=start) == []
    # The same moment in another zone.
    assert len(found(api, createdTimeStart="2026-01-06T10:30:00+02:00")) == 3
    assert len(found(api, createdTimeStart="2026-01-06T08:30:00.001Z")) == 2


def test_nobody_is_an_empty_list(api: Client) -> None:
    assert found(api) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("query", ["createdTimeStart=yesterday", "createdTimeEnd=2026-02-30T00:00:00Z", "limit=0"])
def test_malformed_queries_are_refused(api: Client, query: str) -> None:
    assert api.get(f"/v1/clinicians?{query}", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.get("/v1/clinicians").status == 401


@pytest.mark.one_engine
@pytest.mark.usefixtures("clinic_ids")
def test_is_for_services(api: Client) -> None:
    assert api.get("/v1/clinicians", as_=ALICE).status == 403
    assert api.get("/v1/clinicians?limit=0", as_=ALICE).status == 403


@pytest.mark.usefixtures("clinic_ids")
def test_the_statements_do_not_grow_with_the_page(api: Client, database: Database) -> None:
    counts = set()
    for limit in (1, 3, 5):
        with counting(database) as statements:
            api.get(f"/v1/clinicians?limit={limit}", as_=SERVICE)
        counts.add(len(statements))
    assert counts == {3}
