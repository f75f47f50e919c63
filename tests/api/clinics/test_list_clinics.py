"""ListClinics: GET /v1/clinics"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import ShareCode
from tests.support.cast import ALICE, MALLORY, SERVICE, Somebody
from tests.support.client import Client
from tests.support.rows import LONG_AGO, make_clinic, make_staffed_clinic, make_tag, share_code, storing
from tests.support.statements import counting


def ids(api: Client, **query: Any) -> list[str]:
    reply = api.get("/v1/clinics", as_=SERVICE, query_string=query)
    assert reply.status == 200
    return [clinic["id"] for clinic in reply.json]


def test_shows_each_clinic_as_a_whole(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        tag = make_tag(unit, clinic, "Pump")
    reply = api.get("/v1/clinics", as_=SERVICE)
    assert reply.status == 200
    assert reply.json == [
        {
            "id": clinic.id,
            "name": "Harbour Diabetes Centre",
            "preferredBgUnits": "mg/dL",
            "shareCode": share_code(clinic.id),
            "canMigrate": False,
            "tier": "tier0100",
            "tierDescription": "Free",
            "patientTags": [{"id": tag.id, "name": "Pump", "numPatients": 0}],
            "sites": [],
            "createdTime": "2026-01-05T08:30:00.000Z",
            "updatedTime": "2026-01-05T08:30:00.000Z",
        }
    ]


def test_nothing_is_an_empty_list(api: Client) -> None:
    assert ids(api) == []


def test_rule_order_is_by_creation_then_id(api: Client, database: Database) -> None:
    """Rule: a total order, so that pages neither overlap nor leave anything out."""
    with storing(database) as unit:
        # Made in another order than the one in which they are to be listed.
        newest = make_clinic(unit, created_time=LONG_AGO + timedelta(days=1)).id
        twins = [make_clinic(unit, id=digit * 24).id for digit in "cab"]
        oldest = make_clinic(unit, created_time=LONG_AGO - timedelta(days=1)).id
    expected = [oldest, *sorted(twins), newest]
    assert ids(api) == expected
    assert [one for offset in range(0, 5, 2) for one in ids(api, limit=2, offset=offset)] == expected
    assert ids(api, offset=5) == []


def test_ten_are_shown_unless_the_limit_says_otherwise(api: Client, database: Database) -> None:
    with storing(database) as unit:
        for _ in range(11):
            make_clinic(unit)
    assert len(ids(api)) == 10
    assert len(ids(api, limit=11)) == 11


def test_finds_own_and_secondary_share_codes_exactly(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_clinic(unit)
        make_clinic(unit)
        unit.session.add(ShareCode(code="AAAA-BBBB-CCCC", clinic_id=clinic.id, canonical=False))
    assert ids(api, shareCode="AAAA-BBBB-CCCC") == [clinic.id]
    assert ids(api, shareCode=share_code(clinic.id)) == [clinic.id]
    assert ids(api, shareCode="aaaa-bbbb-cccc") == []
    assert ids(api, shareCode="anything at all, however long") == []
    assert ids(api, shareCode="") == []


def test_the_start_is_included_and_the_end_is_not(api: Client, database: Database) -> None:
    with storing(database) as unit:
        first = make_clinic(unit).id
        second = make_clinic(unit, created_time=LONG_AGO + timedelta(milliseconds=1)).id
    times = "2026-01-05T08:30:00.000Z", "2026-01-05T08:30:00.001Z"
    assert ids(api, createdTimeStart=times[0]) == [first, second]
    assert ids(api, createdTimeStart=times[1]) == [second]
    assert ids(api, createdTimeEnd=times[1]) == [first]
    assert ids(api, createdTimeStart=times[0], createdTimeEnd=times[0]) == []
    assert ids(api, createdTimeStart=times[1], createdTimeEnd=times[0]) == []
    assert ids(api, createdTimeStart="2026-01-05T10:30:00.001+02:00") == [second]


def test_rule_not_enabled_includes_clinics_without_settings(api: Client, database: Database) -> None:
    """Rule: ehrEnabled=false finds every clinic whose integration is not enabled, settings or not."""
    with storing(database) as unit:
        without = make_clinic(unit).id
        switched_off = make_clinic(unit, ehr_enabled=False, ehr_settings={"enabled": False}).id
        switched_on = make_clinic(unit, ehr_enabled=True, ehr_settings={"enabled": True}).id
    assert ids(api, ehrEnabled="false") == [without, switched_off]
    assert ids(api, ehrEnabled="true") == [switched_on]
    assert ids(api) == [without, switched_off, switched_on]


def test_filters_are_combined(api: Client, database: Database) -> None:
    with storing(database) as unit:
        enabled = make_clinic(unit, ehr_enabled=True).id
        disabled = make_clinic(unit).id
    assert ids(api, shareCode=share_code(enabled), ehrEnabled="true") == [enabled]
    assert ids(api, shareCode=share_code(disabled), ehrEnabled="true") == []


@pytest.mark.one_engine
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "offset=-1",
        "ehrEnabled=yes",
        "createdTimeStart=yesterday",
        "createdTimeEnd=2026-02-30T00:00:00Z",
    ],
)
def test_malformed_queries_are_refused(api: Client, query: str) -> None:
    assert api.get(f"/v1/clinics?{query}", as_=SERVICE).status == 400


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert api.get("/v1/clinics").status == 401


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, MALLORY])
def test_is_for_services(api: Client, database: Database, caller: Somebody) -> None:
    with storing(database) as unit:
        make_staffed_clinic(unit)
    assert api.get("/v1/clinics", as_=caller).status == 403
    assert api.get("/v1/clinics?limit=0", as_=caller).status == 403


def test_the_number_of_statements_is_fixed(api: Client, database: Database) -> None:
    def sent() -> int:
        with counting(database) as statements:
            ids(api, limit=50)
        return len(statements)

    with storing(database) as unit:
        make_staffed_clinic(unit)
    one = sent()
    with storing(database) as unit:
        for _ in range(20):
            make_tag(unit, make_staffed_clinic(unit), "Pump")
    assert sent() == one <= 3
