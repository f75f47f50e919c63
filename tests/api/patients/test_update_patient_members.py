"""What UpdatePatient makes of each member: absent, null, and given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import DataSource, PatientSite
from tests.support.cast import BOB, CAROL, DAVE, MALLORY
from tests.support.client import Client
from tests.support.errors import assert_error
from tests.support.patient_records import NOW, SOURCE, TIME, change, events, make_known_patient, path, record
from tests.support.rows import (
    make_clinic,
    make_data_source,
    make_patient,
    make_site,
    make_tag,
    stored,
    storing,
)
from tests.support.units import everything

KEPT, CLEARED = "kept", "cleared"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with the claimed patient Carol, of whom everything is known."""
    return make_known_patient(database)


# What becomes of each member when it is absent, and when it is null; 400 stands for a refusal.
CELLS: list[tuple[str, Any, Any]] = [
    ("fullName", 400, 400),
    ("birthDate", 400, 400),
    ("mrn", CLEARED, 400),
    ("targetDevices", CLEARED, 400),
    ("tags", KEPT, KEPT),
    ("sites", KEPT, 400),
    ("dataSources", KEPT, KEPT),
    ("glycemicRanges", KEPT, 400),
    ("diagnosisType", KEPT, 400),
    ("reviews", KEPT, KEPT),
    ("permissions", KEPT, 400),
    ("createdTime", KEPT, 400),
    ("connectionRequests", KEPT, 400),
]


@pytest.mark.parametrize(
    ("member", "value", "outcome"),
    [
        pytest.param(member, value, outcome, id=f"{member} {'absent' if value is ... else 'null'}")
        for member, absent, null in CELLS
        for value, outcome in ((..., absent), (None, null))
    ],
)
def test_absent_and_null_are_two_different_things(
    api: Client, database: Database, clinic_id: str, member: str, value: Any, outcome: Any
) -> None:
    before = record(api, clinic_id)
    assert before[member] not in (None, [], "")
    reply = change(api, clinic_id, **{member: value})
    after = record(api, clinic_id)
    if outcome == 400:
        assert_error(reply, 400)
        assert after == before
    elif outcome == KEPT:
        assert (reply.status, reply.json) == (200, before)
        assert events(database) == []
    else:
        assert reply.status == 200
        expected = {name: shown for name, shown in before.items() if name != member} | {"updatedTime": TIME}
        assert reply.json == after == expected
        assert events(database)[0]["changed"] == [member]


@pytest.mark.parametrize(
    ("member", "value", "shown"),
    [
        ("fullName", "Carol C.", "Carol C."),
        ("fullName", " ", " "),
        ("birthDate", "1990-01-02", "1990-01-02"),
        ("birthDate", "0001-01-01", "0001-01-01"),
        ("mrn", "mrn-1", "mrn-1"),
        ("mrn", "B 2", "B 2"),
        ("targetDevices", ["dexcom", "omnipod"], ["dexcom", "omnipod"]),
        ("targetDevices", [], []),
        ("tags", [], []),
        ("sites", [], []),
        ("dataSources", [], []),
        (
            "dataSources",
            [{"state": "pending", "providerName": "abbott", "expirationTime": TIME}, SOURCE],
            [{"state": "pending", "providerName": "abbott", "expirationTime": TIME}, SOURCE],
        ),
        ("glycemicRanges", {}, {"type": "preset", "preset": "adaStandard"}),
        (
            "glycemicRanges",
            {"type": "custom", "preset": "adaHighRisk", "custom": {"name": "Hers", "thresholds": []}},
            {"type": "custom", "custom": {"name": "Hers", "thresholds": []}},
        ),
        ("diagnosisType", "lada", "lada"),
        ("diagnosisType", "", ...),
    ],
)
def test_what_is_given_takes_the_place_of_what_was_known(
    api: Client, database: Database, clinic_id: str, member: str, value: Any, shown: Any
) -> None:
    before = record(api, clinic_id)
    reply = change(api, clinic_id, **{member: value})
    assert reply.status == 200
    expected = before | {member: shown, "updatedTime": TIME}
    assert reply.json == {name: told for name, told in expected.items() if told is not ...}
    assert record(api, clinic_id) == reply.json
    assert events(database) == [{"clinicId": clinic_id, "userId": CAROL.id, "changed": [member], "custodial": False}]


def test_tags_are_replaced_and_unknown_ones_dropped(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        other, foreign = make_tag(unit, unit.clinics.get(clinic_id), "Loop"), make_tag(unit, make_clinic(unit), "Loop")
    [old] = record(api, clinic_id)["tags"]
    assert change(api, clinic_id, tags=["0" * 24, foreign.id, other.id]).json["tags"] == [other.id]
    assert change(api, clinic_id, tags=[other.id, old]).json["tags"] == sorted([old, other.id])
    assert [event["changed"] for event in events(database)] == [["tags"], ["tags"]]
    # Tags are a set: their order is no change, and neither is one that does not exist.
    assert change(api, clinic_id, tags=[old, "0" * 24, other.id]).status == 200
    assert len(events(database)) == 2
    assert change(api, clinic_id, tags=["0" * 24]).json["tags"] == []


def test_sites_are_replaced_in_their_order(api: Client, database: Database, clinic_id: str) -> None:
    north, city = record(api, clinic_id)["sites"]
    reply = change(api, clinic_id, sites=[{"id": one["id"], "name": "any"} for one in (city, north, city)])
    assert reply.json["sites"] == [city, north]
    assert [link.position for link in stored(database, PatientSite)] in ([0, 1], [1, 0])
    assert change(api, clinic_id, sites=[city]).json["sites"] == [city]


@pytest.mark.parametrize("which", ["unknown", "foreign"])
def test_a_site_of_somebody_else_is_refused(api: Client, database: Database, clinic_id: str, which: str) -> None:
    with storing(database) as unit:
        foreign = make_site(unit, make_clinic(unit), "North").id
    before = everything(database)
    site = {"id": foreign if which == "foreign" else "0" * 24, "name": "any"}
    assert_error(change(api, clinic_id, sites=[*record(api, clinic_id)["sites"], site], fullName="Other"), 422)
    assert everything(database) == before


def test_data_sources_are_those_of_this_clinic(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_data_source(unit, make_patient(unit, make_clinic(unit), CAROL), "abbott")
    sources = [{"state": "error", "providerName": "twiist", "dataSourceId": "0" * 24, "latestDataTime": TIME}]
    assert change(api, clinic_id, dataSources=sources).json["dataSources"] == sources
    assert sorted(source.provider_name for source in stored(database, DataSource)) == ["abbott", "twiist"]


def test_a_list_of_sources_is_set_by_an_empty_one(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), DAVE)
    shown = api.get(path(clinic_id, DAVE), as_=BOB).json
    assert shown["dataSources"] is None
    assert api.put(path(clinic_id, DAVE), as_=BOB, json=shown).json["dataSources"] is None
    assert api.put(path(clinic_id, DAVE), as_=BOB, json=shown | {"dataSources": []}).json["dataSources"] == []


@pytest.mark.parametrize(
    "members",
    [
        {"permissions": {"custodian": {}, "view": {}}},
        {"reviews": []},
        {"reviews": [{"clinicianId": MALLORY.id, "time": TIME}]},
        {"id": MALLORY.id, "createdTime": TIME, "updatedTime": TIME},
        {"lastUploadReminderTime": TIME},
        {"connectionRequests": {"abbott": [], "dexcom": [], "twiist": []}},
        {"attestationSubmitted": True},
        {"summary": {}},
        {"email": "other@mail.example"},
        {"email": ""},
        {"email": ...},
    ],
    ids=str,
)
def test_what_is_not_the_clinics_to_change_is_ignored(
    api: Client, database: Database, clinic_id: str, members: dict[str, Any]
) -> None:
    """WP-6 and WP-9 among others: nobody forges reviews, and the address of a claimed account is the patient's own."""
    before = everything(database)
    shown = record(api, clinic_id)
    reply = change(api, clinic_id, **members)
    assert (reply.status, reply.json) == (200, shown)
    assert everything(database) == before
