"""ConnectProvider: POST /v1/clinics/{clinicId}/patients/{patientId}/connect/{providerId}"""

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
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import (
    LONG_AGO,
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    stored,
    storing,
)
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
IN_30_DAYS = datetime(2026, 4, 1, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic whose patient Carol was invited to connect Dexcom."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_data_source(unit, make_patient(unit, clinic, CAROL), "dexcom", state="pending")
        return clinic.id


def connect(
    api: Client, clinic_id: str, provider: str = "dexcom", person: Somebody = CAROL, as_: Somebody | None = BOB
) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patients/{person.id}/connect/{provider}", as_=as_)


def sources(database: Database) -> list[tuple[Any, ...]]:
    """Provider, state, time of the last change and of expiry of all sources."""
    return [(s.provider_name, s.state, s.modified_time, s.expiration_time) for s in stored(database, DataSource)]


def requests(api: Client, clinic_id: str) -> dict[str, list[Any]]:
    """The times of the requests by provider, as they are shown."""
    shown = api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json["connectionRequests"]
    assert all(request["providerName"] == provider for provider in shown for request in shown[provider])
    return {provider: [request["createdTime"] for request in shown[provider]] for provider in shown}


@pytest.mark.parametrize("caller", [ALICE, BOB, SERVICE])
def test_the_source_waits_for_30_days_and_the_request_is_remembered(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    reply = connect(api, clinic_id, as_=caller)
    assert (reply.status, reply.json) == (204, None)
    assert sources(database) == [("dexcom", "pending", None, IN_30_DAYS)]
    assert requests(api, clinic_id) == {"abbott": [], "dexcom": ["2026-03-02T09:30:00.000Z"], "twiist": []}
    [patient] = stored(database, Patient)
    assert (patient.updated_time, patient.created_time) == (NOW, LONG_AGO)


@pytest.mark.parametrize("state", ["pending", "pendingReconnect", "connected", "disconnected", "error"])
@pytest.mark.parametrize("modified", [None, LONG_AGO])
def test_rule_the_state_follows_from_whether_it_was_ever_modified(
    api: Client, database: Database, state: str, modified: datetime | None
) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(unit, clinic, CAROL)
        make_data_source(
            unit,
            patient,
            "twiist",
            state=state,
            modified_time=modified,
            data_source_id="a" * 24,
            expiration_time=LONG_AGO,
            latest_data_time=LONG_AGO,
        )
    assert connect(api, clinic.id, "twiist").status == 204
    expected = ("pendingReconnect", NOW) if modified else ("pending", None)
    assert sources(database) == [("twiist", *expected, IN_30_DAYS)]
    [source] = stored(database, DataSource)
    assert (source.data_source_id, source.latest_data_time) == ("a" * 24, LONG_AGO)


def test_rule_of_several_sources_the_first_is_judged_and_changed(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(unit, clinic, CAROL)
        make_data_source(unit, patient, "abbott", modified_time=LONG_AGO)
        make_data_source(unit, patient, "dexcom", state="error")
        make_data_source(unit, patient, "dexcom", modified_time=LONG_AGO)
    assert connect(api, clinic.id).status == 204
    assert sources(database) == [
        ("abbott", "connected", LONG_AGO, None),
        ("dexcom", "pending", None, IN_30_DAYS),
        ("dexcom", "connected", LONG_AGO, None),
    ]
    [entry] = stored(database, OutboxEntry)
    assert entry.kind == "request_dexcom_connect"


def test_requests_stand_newest_first_for_each_provider(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_data_source(unit, unit.patients.get(clinic_id, CAROL.id), "abbott")
    for minute, provider in enumerate(("dexcom", "abbott", "dexcom")):
        with clock.frozen(NOW + timedelta(minutes=minute)):
            assert connect(api, clinic_id, provider).status == 204
    assert requests(api, clinic_id) == {
        "abbott": ["2026-03-02T09:31:00.000Z"],
        "dexcom": ["2026-03-02T09:32:00.000Z", "2026-03-02T09:30:00.000Z"],
        "twiist": [],
    }
    assert len(stored(database, OutboxEntry)) == 3


def test_rule_the_newest_100_requests_are_kept(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        old = [{"providerName": "dexcom", "createdTime": f"2025-01-01T00:00:00.{n:03}Z"} for n in range(100, 0, -1)]
        kept = {"dexcom": old, "abbott": [{"providerName": "abbott", "createdTime": "2025-01-01T00:00:00.000Z"}]}
        unit.patients.get(clinic_id, CAROL.id).connection_requests = kept
    assert connect(api, clinic_id).status == 204
    shown = requests(api, clinic_id)
    assert shown["dexcom"] == ["2026-03-02T09:30:00.000Z", *(request["createdTime"] for request in old[:99])]
    assert len(shown["abbott"]) == 1


def test_an_older_record_shows_the_new_request(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).last_requested_dexcom_connect_time = LONG_AGO
    assert requests(api, clinic_id)["dexcom"] == ["2026-01-05T08:30:00.000Z"]
    connect(api, clinic_id)
    assert requests(api, clinic_id)["dexcom"] == ["2026-03-02T09:30:00.000Z"]


@pytest.mark.parametrize(("provider", "name"), [("dexcom", "Dexcom"), ("abbott", "Abbott"), ("twiist", "twiist")])
@pytest.mark.parametrize(
    ("permission", "modified", "action"),
    [
        ("view", None, "connect"),
        ("custodian", None, "connect_custodial"),
        ("view", LONG_AGO, "reconnect"),
        ("custodian", LONG_AGO, "reconnect"),
    ],
)
def test_the_mail_tells_the_user_what_to_do(
    api: Client,
    database: Database,
    provider: str,
    name: str,
    permission: str,
    modified: datetime | None,
    action: str,
) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        patient = make_patient(unit, clinic, CAROL, permission)
        make_data_source(unit, patient, provider, modified_time=modified)
    connect(api, clinic.id, provider)
    [entry] = stored(database, OutboxEntry)
    assert (entry.kind, entry.clinic_id) == (f"request_{provider}_{action}", clinic.id)
    assert entry.payload == {
        "clinicId": clinic.id,
        "userId": CAROL.id,
        "providerId": provider,
        "action": action,
        "ClinicName": "Harbour Diabetes Centre",
        "PatientName": CAROL.name,
        "ProviderName": name,
    }


def test_changes_nobody_else(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        for clinic, person in ((unit.clinics.get(clinic_id), DAVE), (make_clinic(unit), CAROL)):
            make_data_source(unit, make_patient(unit, clinic, person), "dexcom", state="connected")
    before = everything(database)
    connect(api, clinic_id)
    after = everything(database)
    changed = {table for table in after if after[table] != before[table]}
    assert changed == {"patients", "data_sources", "outbox", "mail_requests"}
    others = [
        patient
        for patient in stored(database, Patient)
        if (patient.clinic_id, patient.user_id) != (clinic_id, CAROL.id)
    ]
    assert [(patient.updated_time, patient.connection_requests) for patient in others] == [(LONG_AGO, None)] * 2
    assert [state for _, state, _, expires in sources(database) if expires is None] == ["connected"] * 2


def test_rule_the_time_of_the_record_always_grows(api: Client, database: Database, clinic_id: str) -> None:
    ahead = NOW + timedelta(hours=1)
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).updated_time = ahead
    connect(api, clinic_id)
    assert stored(database, Patient)[0].updated_time == ahead + timedelta(milliseconds=1)


def test_rule_two_at_once_both_count(api: Client, database: Database, clinic_id: str) -> None:
    """Rule: the record is read, judged and written under one lock."""
    reply = meanwhile(
        database,
        lambda unit: connections.request_connection(unit, clinic_id, CAROL.id, "dexcom", MailSender(None, Config())),
        lambda: connect(api, clinic_id),
    )
    assert reply.status == 204
    assert len(requests(api, clinic_id)["dexcom"]) == 2
    assert len(stored(database, OutboxEntry)) == 2
    assert stored(database, Patient)[0].updated_time == NOW + timedelta(milliseconds=1)


def test_rule_the_state_is_judged_as_others_left_it(api: Client, database: Database, clinic_id: str) -> None:
    connected = {"provider_name": "dexcom", "state": "connected", "modified_time": LONG_AGO}
    reply = meanwhile(
        database, lambda unit: update_everywhere(unit, CAROL.id, [connected]), lambda: connect(api, clinic_id)
    )
    assert reply.status == 204
    assert sources(database) == [("dexcom", "pendingReconnect", NOW, IN_30_DAYS)]
    [entry] = stored(database, OutboxEntry)
    assert entry.kind == "request_dexcom_reconnect"


def test_a_source_that_goes_meanwhile_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(database, lambda unit: update_everywhere(unit, CAROL.id, []), lambda: connect(api, clinic_id))
    assert_error(reply, 404)
    assert requests(api, clinic_id)["dexcom"] == []


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(connect(api, clinic_id, as_=None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, ERIN, MALLORY, PETE])
def test_is_for_members_and_services(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    before = everything(database)
    assert_error(connect(api, clinic_id, as_=caller), 403)
    assert_error(connect(api, clinic_id, "nobody", as_=caller), 403)
    assert everything(database) == before


@pytest.mark.one_engine
def test_requests_that_break_the_spec_are_refused(api: Client, clinic_id: str) -> None:
    reply = connect(api, clinic_id, "libreview")
    assert_violations(reply, ("/path/providerId", "enum"))
    assert "libreview" not in str(reply.json)
    assert_violations(connect(api, clinic_id, "Dexcom"), ("/path/providerId", "enum"))
    assert_violations(connect(api, clinic_id, person=CAROL._replace(id="Carol")), ("/path/patientId", "pattern"))
    assert_violations(connect(api, "A" * 24, as_=SERVICE), ("/path/clinicId", "pattern"))


def test_without_a_source_of_the_provider_it_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        elsewhere = make_patient(unit, make_clinic(unit), CAROL)
        make_data_source(unit, elsewhere, "twiist")
        make_patient(unit, unit.clinics.get(clinic_id), DAVE)
    before = everything(database)
    assert_error(connect(api, clinic_id, "twiist"), 404)
    assert_error(connect(api, clinic_id, person=DAVE), 404)
    assert everything(database) == before


def test_who_is_no_patient_of_the_clinic_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_data_source(unit, make_patient(unit, make_clinic(unit), MALLORY), "dexcom")
    before = everything(database)
    for person in (MALLORY, ERIN):
        assert_error(connect(api, clinic_id, person=person), 404)
    assert_error(connect(api, "0" * 24, as_=SERVICE), 404)
    assert everything(database) == before


def test_all_or_nothing(api: Client, database: Database, clinic_id: str) -> None:
    # The clinic, the record, its source, three for the limit of mails, the changes of both, the mail.
    assert_all_or_nothing(database, lambda: connect(api, clinic_id, as_=SERVICE), statements=9)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    few = number_of_statements(database, lambda: connect(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_data_source(unit, make_patient(unit, clinic, DAVE, user_id=f"{number:010x}"), "dexcom")
            make_data_source(unit, unit.patients.get(clinic_id, CAROL.id), "dexcom")
    assert number_of_statements(database, lambda: connect(api, clinic_id)) == few == 10
