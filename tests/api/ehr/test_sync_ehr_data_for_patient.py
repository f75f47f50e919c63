"""SyncEHRDataForPatient: POST /v1/patients/{patientId}/ehr/sync"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, ScheduledReportOrder
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinician, make_patient, stored, storing
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOT_ON_UPLOAD = {"cadence": "14d", "onUploadEnabled": False}


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as admin, in which Carol and Dave are subscribed, and Erin no longer."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        for person in (CAROL, DAVE, ERIN):
            message_id = store_message(unit, redox_order(log_id=person.id))
            make_subscription(unit, make_patient(unit, clinic, person), message_id, active=person != ERIN)
        return clinic.id


def subscribe_elsewhere(database: Database, **settings: Any) -> str:
    """The id of a further clinic in which Carol is subscribed."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit, **settings)
        message_id = store_message(unit, redox_order(log_id=clinic.id))
        make_subscription(unit, make_patient(unit, clinic, CAROL), message_id)
        return clinic.id


def sync(api: Client, user_id: str = CAROL.id, as_: Somebody | None = SERVICE) -> Reply:
    return api.post(f"/v1/patients/{user_id}/ehr/sync", as_=as_)


def scheduled(database: Database) -> list[ScheduledReportOrder]:
    return sorted(stored(database, ScheduledReportOrder), key=lambda row: row.id)


def test_schedules_a_report_in_each_clinic_that_wants_one_on_upload(
    api: Client, database: Database, clinic_id: str
) -> None:
    other = subscribe_elsewhere(database, sourceId="1")
    for settings in (
        {"sourceId": "2", "scheduledReports": NOT_ON_UPLOAD},
        {"sourceId": "3", "enabled": False},
        {"sourceId": "4", "provider": "xealth"},
    ):
        subscribe_elsewhere(database, **settings)
    reply = sync(api)
    assert (reply.status, reply.body) == (202, b"")
    rows = scheduled(database)
    assert {(row.clinic_id, row.user_id) for row in rows} == {(clinic_id, CAROL.id), (other, CAROL.id)}
    events = [event for event in stored(database, OutboxEntry) if event.kind == "ehr_report_scheduled"]
    assert [event.payload for event in events] == [
        {"clinicId": row.clinic_id, "userId": CAROL.id, "orderId": row.id} for row in rows
    ]


def test_follows_the_rows_of_the_clinic(api: Client, database: Database, clinic_id: str) -> None:
    """A report of all patients precedes the report of one."""
    api.post(f"/v1/clinics/{clinic_id}/ehr/sync", as_=SERVICE)
    first = next(row for row in scheduled(database) if row.user_id == CAROL.id)
    sync(api)
    last = scheduled(database)[-1]
    assert (last.user_id, last.preceding_id, last.preceding_created_time) == (CAROL.id, first.id, first.created_time)
    assert last.message_id == first.message_id


def test_a_patient_who_is_subscribed_where_nobody_wants_uploads_is_no_error(api: Client, database: Database) -> None:
    subscribe_elsewhere(database, scheduledReports=NOT_ON_UPLOAD)
    assert sync(api).status == 202
    assert scheduled(database) == []


@pytest.mark.parametrize("settings", [{"enabled": False}, {"provider": "xealth"}])
def test_a_patient_who_is_subscribed_where_redox_is_not_enabled_is_not_found(
    api: Client, database: Database, settings: dict[str, Any]
) -> None:
    subscribe_elsewhere(database, **settings)
    assert_error(sync(api), 404)


@pytest.mark.parametrize("user_id", [ERIN.id, BOB.id, "5a1c0de0-7f3e-4b1d-9c2a-0123456789ab"])
def test_a_patient_without_an_active_subscription_is_not_found(
    api: Client, database: Database, clinic_id: str, user_id: str
) -> None:
    before = everything(database)
    assert_error(sync(api, user_id), 404)
    assert clinic_id
    assert everything(database) == before


@pytest.mark.one_engine
@pytest.mark.parametrize("bad", ["CA401C0003", "ca401c000", "x", "5A1C0DE0-7F3E-4B1D-9C2A-0123456789AB"])
def test_a_malformed_id_is_refused(api: Client, bad: str) -> None:
    assert_violations(sync(api, bad), ("/path/patientId", "pattern"))


@pytest.mark.one_engine
@pytest.mark.parametrize(("caller", "status"), [(None, 401), (ALICE, 403), (CAROL, 403)])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody | None, status: int) -> None:
    assert_error(sync(api, as_=caller), status)
    assert clinic_id
    assert scheduled(database) == []


def test_waits_for_a_change_of_the_number(api: Client, database: Database, clinic_id: str) -> None:
    def change(unit: Any) -> None:
        unit.clinics.lock(clinic_id)
        unit.ehr.deactivate(clinic_id, unit.patients.lock(clinic_id, CAROL.id).id)

    reply = meanwhile(database, change, lambda: sync(api))
    # Whether the subscription was there is asked before waiting, and again when the report is scheduled.
    assert reply.status in (202, 404)
    assert scheduled(database) == []


def test_only_the_locks_and_look_ups_grow_with_the_clinics(api: Client, database: Database, clinic_id: str) -> None:
    few = number_of_statements(database, lambda: sync(api))
    for number in range(10):
        subscribe_elsewhere(database, sourceId=str(number))
    # The clinics, the lock and the subscriptions of each, the rows and the outbox.
    assert few == 5
    assert number_of_statements(database, lambda: sync(api)) == few + 2 * 10
    assert clinic_id
    assert len(scheduled(database)) == 1 + 11


def test_all_or_nothing_is_scheduled(api: Client, database: Database, clinic_id: str) -> None:
    assert clinic_id
    subscribe_elsewhere(database, sourceId="1")
    assert_all_or_nothing(database, lambda: sync(api), statements=7)
