"""UpdatePatientDataSources: PUT /v1/patients/{userId}/data_sources"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.models import DataSource, OutboxEntry, Patient
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.resources.patients import connections
from clinic_service.resources.patients.data_sources import update_everywhere
from tests.support.cast import ALICE, BOB, CAROL, DAVE, MALLORY, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.statements import counting
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

PATH = f"/v1/patients/{CAROL.id}/data_sources"
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DEXCOM = {
    "providerName": "dexcom",
    "state": "connected",
    "dataSourceId": "65f2a3b40a1b2c3d4e5f6d01",
    "modifiedTime": "2026-01-20T14:05:11.000Z",
    "expirationTime": "2026-02-20T14:05:11.250Z",
    "latestDataTime": "2026-03-02T08:55:00.000Z",
}
ABBOTT = {"providerName": "abbott", "state": "pending"}


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_ids(database: Database) -> list[str]:
    """Three clinics with Carol as a patient: without a list, with an empty one, and with a source of her own."""
    with storing(database) as unit:
        clinics = [make_staffed_clinic(unit) for _ in range(3)]
        without, empty, full = (make_patient(unit, clinic, CAROL) for clinic in clinics)
        empty.data_sources_set = True
        make_data_source(unit, full, "twiist")
        make_data_source(unit, make_patient(unit, clinics[0], DAVE), "twiist")
        return [without.clinic_id, empty.clinic_id, full.clinic_id]


def update(api: Client, body: Any = (), as_: Somebody | None = SERVICE) -> Reply:
    return api.put(PATH, as_=as_, json=body)


def shown(api: Client, clinic_ids: list[str], person: Somebody = CAROL) -> list[Any]:
    """The lists that the clinics show of somebody."""
    return [
        api.get(f"/v1/clinics/{clinic_id}/patients/{person.id}", as_=BOB).json["dataSources"]
        for clinic_id in clinic_ids
    ]


def times(database: Database) -> list[datetime]:
    """When Carol's records changed."""
    return [patient.updated_time for patient in stored(database, Patient) if patient.user_id == CAROL.id]


def test_replaces_the_list_in_every_clinic(api: Client, database: Database, clinic_ids: list[str]) -> None:
    reply = update(api, [DEXCOM, ABBOTT])
    assert (reply.status, reply.json) == (200, None)
    assert shown(api, clinic_ids) == [[DEXCOM, ABBOTT]] * 3
    assert times(database) == [NOW] * 3
    assert stored(database, OutboxEntry) == []


def test_other_patients_keep_theirs(api: Client, database: Database, clinic_ids: list[str]) -> None:
    update(api, [DEXCOM])
    assert shown(api, clinic_ids[:1], DAVE) == [[{"providerName": "twiist", "state": "connected"}]]
    [dave] = [patient for patient in stored(database, Patient) if patient.user_id == DAVE.id]
    assert dave.updated_time == LONG_AGO


def test_order_and_several_sources_of_a_provider_are_kept(api: Client, clinic_ids: list[str]) -> None:
    second = DEXCOM | {"state": "error", "dataSourceId": "65f2a3b40a1b2c3d4e5f6d02"}
    for body in ([DEXCOM, ABBOTT, second, ABBOTT], [ABBOTT, second, DEXCOM]):
        assert update(api, body).status == 200
        assert shown(api, clinic_ids) == [body] * 3


def test_an_empty_list_clears(api: Client, database: Database, clinic_ids: list[str]) -> None:
    assert shown(api, clinic_ids) == [None, [], [{"providerName": "twiist", "state": "connected"}]]
    assert update(api, []).status == 200
    assert shown(api, clinic_ids) == [[], [], []]
    # The second clinic knew that there were none.
    assert times(database) == [NOW, LONG_AGO, NOW]


@pytest.mark.parametrize("state", ["pending", "pendingReconnect", "connected", "disconnected", "error"])
def test_every_state_and_any_provider_is_taken(api: Client, clinic_ids: list[str], state: str) -> None:
    body = [{"providerName": "Käse & Co.", "state": state}, {"providerName": "x" * 100, "state": state}]
    assert update(api, body).status == 200
    assert shown(api, clinic_ids) == [body] * 3


def test_times_are_moments_in_utc_cut_to_milliseconds(api: Client, database: Database, clinic_ids: list[str]) -> None:
    body = {"providerName": "dexcom", "state": "connected", "modifiedTime": "2026-03-02T10:30:00.1239999+01:00"}
    assert update(api, [body]).status == 200
    assert shown(api, clinic_ids)[0] == [body | {"modifiedTime": "2026-03-02T09:30:00.123Z"}]
    assert {source.modified_time for source in stored(database, DataSource) if source.provider_name == "dexcom"} == {
        NOW + timedelta(milliseconds=123)
    }
    # The same moment, written in another way, is no change.
    with clock.frozen(NOW + timedelta(hours=1)):
        assert update(api, [body | {"modifiedTime": "2026-03-02T09:30:00.123Z"}]).status == 200
    assert times(database) == [NOW] * 3


@pytest.mark.parametrize("body", [[DEXCOM, ABBOTT], [], [ABBOTT, ABBOTT]])
def test_rule_an_unchanged_list_writes_nothing(
    api: Client, database: Database, clinic_ids: list[str], body: list[Any]
) -> None:
    assert clinic_ids
    update(api, body)
    before = everything(database)
    with clock.frozen(NOW + timedelta(hours=1)), counting(database) as sent:
        assert update(api, body).status == 200
    assert everything(database) == before
    assert not [sql for sql in sent if sql.startswith(("INSERT", "UPDATE", "DELETE"))]


@pytest.mark.parametrize(
    "second",
    [
        [ABBOTT, DEXCOM],
        [DEXCOM],
        [DEXCOM, ABBOTT, ABBOTT],
        [DEXCOM, ABBOTT | {"state": "error"}],
        [DEXCOM, ABBOTT | {"latestDataTime": "2026-03-02T08:55:00.001Z"}],
        [{name: value for name, value in DEXCOM.items() if name != "dataSourceId"}, ABBOTT],
    ],
)
def test_any_difference_is_a_change(api: Client, database: Database, clinic_ids: list[str], second: list[Any]) -> None:
    update(api, [DEXCOM, ABBOTT])
    later = NOW + timedelta(hours=1)
    with clock.frozen(later):
        update(api, second)
    assert shown(api, clinic_ids) == [second] * 3
    assert times(database) == [later] * 3


def test_records_that_hold_the_list_already_stay_untouched(
    api: Client, database: Database, clinic_ids: list[str]
) -> None:
    with storing(database) as unit:
        make_data_source(unit, unit.patients.get(clinic_ids[1], CAROL.id), "abbott", state="pending")
    assert update(api, [ABBOTT]).status == 200
    assert times(database) == [NOW, LONG_AGO, NOW]
    assert shown(api, clinic_ids) == [[ABBOTT]] * 3


def test_rule_the_time_of_a_record_always_grows(api: Client, database: Database, clinic_ids: list[str]) -> None:
    ahead = NOW + timedelta(hours=1)
    with storing(database) as unit:
        unit.patients.get(clinic_ids[1], CAROL.id).updated_time = ahead
    update(api, [ABBOTT])
    assert times(database) == [NOW, ahead + timedelta(milliseconds=1), NOW]


def test_the_clinics_counts_follow(api: Client, clinic_ids: list[str]) -> None:
    def counts(clinic_id: str) -> tuple[int, dict[str, Any]]:
        count = api.get(f"/v1/clinics/{clinic_id}/patient_count", as_=ALICE).json
        return count["plan"], count["providers"]

    plan, providers = counts(clinic_ids[2])
    assert (plan, set(providers)) == (0, {"twiist"})
    update(api, [DEXCOM, ABBOTT])
    plan, providers = counts(clinic_ids[2])
    assert (plan, set(providers)) == (1, {"abbott", "dexcom"})
    update(api, [{"providerName": "twiist", "state": "disconnected"}])
    assert counts(clinic_ids[2])[0] == 0


def test_rule_a_user_who_is_no_patient_is_no_error(api: Client, database: Database, clinic_ids: list[str]) -> None:
    assert clinic_ids
    before = everything(database)
    for body in ([DEXCOM], []):
        reply = api.put(f"/v1/patients/{MALLORY.id}/data_sources", as_=SERVICE, json=body)
        assert (reply.status, reply.json) == (200, None)
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("entry", "place", "rule"),
    [
        ({"providerName": "dexcom"}, "/body/1/state", "required"),
        ({"state": "connected"}, "/body/1/providerName", "required"),
        (ABBOTT | {"state": "secret"}, "/body/1/state", "enum"),
        (ABBOTT | {"state": None}, "/body/1/state", "type"),
        (ABBOTT | {"providerName": ""}, "/body/1/providerName", "minLength"),
        (ABBOTT | {"providerName": "secret" * 20}, "/body/1/providerName", "maxLength"),
        (ABBOTT | {"dataSourceId": "secret"}, "/body/1/dataSourceId", "pattern"),
        (ABBOTT | {"modifiedTime": "secret"}, "/body/1/modifiedTime", "format"),
        (ABBOTT | {"modifiedTime": "2026-06-30T23:59:60Z"}, "/body/1/modifiedTime", "format"),
        (ABBOTT | {"expirationTime": "0000-01-01T00:00:00Z"}, "/body/1/expirationTime", "format"),
        (ABBOTT | {"latestDataTime": None}, "/body/1/latestDataTime", "type"),
        ("secret", "/body/1", "type"),
        (None, "/body/1", "type"),
    ],
)
def test_entries_that_break_the_spec_are_refused(
    api: Client, database: Database, clinic_ids: list[str], entry: Any, place: str, rule: str
) -> None:
    assert clinic_ids
    before = everything(database)
    reply = update(api, [DEXCOM, entry])
    assert_error(reply, 400)
    assert (place, rule) in [(violation["pointer"], violation["rule"]) for violation in reply.json["errors"]]
    assert "secret" not in str(reply.json)
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize("body", [..., None, {}, {"dataSources": []}, "dexcom", 5, [[]]])
def test_bodies_that_are_no_list_are_refused(api: Client, database: Database, clinic_ids: list[str], body: Any) -> None:
    assert clinic_ids
    before = everything(database)
    assert_error(update(api, body), 400)
    assert everything(database) == before


def test_a_hundred_sources_are_taken(api: Client, clinic_ids: list[str]) -> None:
    body = [{"providerName": f"provider {number}", "state": "connected"} for number in range(101)]
    assert_error(update(api, body), 400)
    assert update(api, body[:100]).status == 200
    assert shown(api, clinic_ids) == [body[:100]] * 3


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client) -> None:
    reply = api.put("/v1/patients/Carol/data_sources", as_=SERVICE, json=[])
    assert_violations(reply, ("/path/userId", "pattern"))


@pytest.mark.one_engine
def test_needs_a_token(api: Client) -> None:
    assert_error(update(api, [DEXCOM], as_=None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [ALICE, BOB, CAROL, MALLORY])
def test_is_for_services(api: Client, database: Database, clinic_ids: list[str], caller: Somebody) -> None:
    assert clinic_ids
    before = everything(database)
    assert_error(update(api, [DEXCOM], as_=caller), 403)
    assert_error(update(api, "nonsense", as_=caller), 403)
    assert everything(database) == before


def test_rule_a_failure_is_a_failure(api: Client, database: Database, clinic_ids: list[str]) -> None:
    """Rule: nothing is swallowed, and it is all clinics or none."""
    assert clinic_ids
    # The records and a second look, their lists, removal, insertion, the records' times.
    assert_all_or_nothing(database, lambda: update(api, [DEXCOM, ABBOTT]), statements=EVERYTHING_CHANGED)


def test_two_at_once_leave_one_of_the_lists(api: Client, database: Database, clinic_ids: list[str]) -> None:
    first = [{"provider_name": "abbott", "state": "pending"}, {"provider_name": "dexcom", "state": "error"}]
    reply = meanwhile(
        database, lambda unit: update_everywhere(unit, CAROL.id, first), lambda: update(api, [DEXCOM, ABBOTT])
    )
    assert reply.status == 200
    assert shown(api, clinic_ids) == [[DEXCOM, ABBOTT]] * 3
    assert times(database) == [NOW + timedelta(milliseconds=1)] * 3


def test_rule_a_request_to_connect_that_comes_first_is_not_lost(
    api: Client, database: Database, clinic_ids: list[str]
) -> None:
    """Rule: the list is replaced under the lock of the record; what is none of its business stays."""
    reply = meanwhile(
        database,
        lambda unit: connections.request_connection(
            unit, clinic_ids[2], CAROL.id, "twiist", MailSender(None, Config())
        ),
        lambda: update(api, [DEXCOM]),
    )
    assert reply.status == 200
    assert shown(api, clinic_ids) == [[DEXCOM]] * 3
    requests = [patient.connection_requests for patient in stored(database, Patient) if patient.user_id == CAROL.id]
    assert [bool(request) for request in requests] == [False, False, True]


def test_a_record_that_goes_meanwhile_is_left_out(api: Client, database: Database, clinic_ids: list[str]) -> None:
    reply = meanwhile(
        database,
        lambda unit: unit.patients.remove([unit.patients.lock(clinic_ids[0], CAROL.id)], None),
        lambda: update(api, [DEXCOM]),
    )
    assert reply.status == 200
    assert shown(api, clinic_ids[1:]) == [[DEXCOM]] * 2


# The clinics, a lock in each of three, the lists, what is removed, what is added, and the records' times.
EVERYTHING_CHANGED = 8


def test_only_the_locks_grow_with_the_clinics(api: Client, database: Database, clinic_ids: list[str]) -> None:
    assert clinic_ids
    few = number_of_statements(database, lambda: update(api, [DEXCOM, ABBOTT]))
    with storing(database) as unit:
        for _ in range(20):
            make_data_source(unit, make_patient(unit, make_clinic(unit), CAROL), "twiist")
    many = number_of_statements(database, lambda: update(api, [ABBOTT, DEXCOM, DEXCOM]))
    assert few == EVERYTHING_CHANGED
    # One lock for each of twenty more clinics.
    assert many == few + 20
    # Nothing to change, and nobody.
    assert number_of_statements(database, lambda: update(api, [ABBOTT, DEXCOM, DEXCOM])) == 1 + 23 + 1
    nobody = f"/v1/patients/{MALLORY.id}/data_sources"
    assert number_of_statements(database, lambda: api.put(nobody, as_=SERVICE, json=[DEXCOM])) == 1
