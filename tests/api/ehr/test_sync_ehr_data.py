"""SyncEHRData: POST /v1/clinics/{clinicId}/ehr/sync"""

from __future__ import annotations

from typing import Any

import pytest

from clinic_service.db.engine import Database
from clinic_service.models import OutboxEntry, ScheduledReportOrder
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.ehr import ehr_columns, make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinician, make_patient, stored, storing
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as admin and Bob as member, in which Carol and Dave are subscribed, and Erin no longer."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_clinician(unit, clinic, ALICE, "CLINIC_ADMIN")
        make_clinician(unit, clinic, BOB)
        for person in (CAROL, DAVE, ERIN):
            message_id = store_message(unit, redox_order(log_id=person.id))
            make_subscription(unit, make_patient(unit, clinic, person), message_id, active=person != ERIN)
        make_patient(unit, clinic, PETE)
        return clinic.id


def sync(api: Client, clinic_id: str, as_: Somebody | None = SERVICE, **rest: Any) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/ehr/sync", as_=as_, **rest)


def scheduled(database: Database) -> list[ScheduledReportOrder]:
    return sorted(stored(database, ScheduledReportOrder), key=lambda row: row.id)


def test_schedules_a_report_for_each_subscribed_patient(api: Client, database: Database, clinic_id: str) -> None:
    reply = sync(api, clinic_id)
    assert (reply.status, reply.body) == (202, b"")
    assert {(row.clinic_id, row.user_id, row.preceding_id) for row in scheduled(database)} == {
        (clinic_id, CAROL.id, None),
        (clinic_id, DAVE.id, None),
    }
    events = [event for event in stored(database, OutboxEntry) if event.kind == "ehr_report_scheduled"]
    assert [event.payload["orderId"] for event in events] == [row.id for row in scheduled(database)]


def test_a_repeat_schedules_again(api: Client, database: Database, clinic_id: str) -> None:
    sync(api, clinic_id)
    first = {row.user_id: row for row in scheduled(database)}
    assert sync(api, clinic_id).status == 202
    second = [row for row in scheduled(database) if row.id not in {one.id for one in first.values()}]
    assert {row.user_id: row.preceding_id for row in second} == {user: row.id for user, row in first.items()}


def test_neither_cadence_nor_uploads_are_asked_about(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        reports = {"cadence": "DISABLED", "onUploadEnabled": False}
        clinic = unit.clinics.get(clinic_id)
        for name, value in ehr_columns(scheduledReports=reports).items():
            setattr(clinic, name, value)
    sync(api, clinic_id)
    assert len(scheduled(database)) == 2


def test_where_nobody_is_subscribed_nothing_is_scheduled(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_ehr_clinic(unit).id
    assert sync(api, clinic_id).status == 202
    assert stored(database, OutboxEntry) == []


@pytest.mark.parametrize("settings", [{"enabled": False}, {"provider": "xealth"}])
def test_a_clinic_that_is_not_connected_through_redox_is_not_found(
    api: Client, database: Database, clinic_id: str, settings: dict[str, Any]
) -> None:
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in ehr_columns(**settings).items():
            setattr(clinic, name, value)
    before = everything(database)
    assert_error(sync(api, clinic_id), 404)
    assert everything(database) == before


def test_an_unknown_clinic_is_not_found(api: Client) -> None:
    assert_error(sync(api, "65f1c0de0a1b2c3d4e5f6a7b"), 404)


@pytest.mark.one_engine
@pytest.mark.parametrize("bad", ["65F1C0DE0A1B2C3D4E5F6A7B", "65f1c0de0a1b2c3d4e5f6a7g"])
def test_a_malformed_id_is_refused(api: Client, bad: str) -> None:
    assert_violations(sync(api, bad), ("/path/clinicId", "pattern"))


@pytest.mark.one_engine
@pytest.mark.parametrize(("caller", "status"), [(None, 401), (ALICE, 403), (BOB, 403), (CAROL, 403)])
def test_is_for_services(api: Client, database: Database, clinic_id: str, caller: Somebody | None, status: int) -> None:
    assert_error(sync(api, clinic_id, caller), status)
    assert scheduled(database) == []


def test_a_body_is_not_looked_at(api: Client, clinic_id: str) -> None:
    assert sync(api, clinic_id, data=b"{", content_type="text/plain").status == 202


def test_waits_for_the_removal_of_a_patient(api: Client, database: Database, clinic_id: str) -> None:
    def remove(unit: Any) -> None:
        unit.clinics.lock(clinic_id)
        unit.patients.remove([unit.patients.lock(clinic_id, CAROL.id)], None)
        unit.flush()

    assert meanwhile(database, remove, lambda: sync(api, clinic_id)).status == 202
    assert [row.user_id for row in scheduled(database)] == [DAVE.id]


def test_the_number_of_statements_does_not_depend_on_the_clinic(
    api: Client, database: Database, clinic_id: str
) -> None:
    few = number_of_statements(database, lambda: sync(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            patient = make_patient(unit, clinic, PETE, user_id=f"{number:010x}")
            make_subscription(unit, patient, store_message(unit, redox_order(log_id=str(number))))
    # The clinic's lock, the number of subscriptions, the rows and the outbox.
    assert number_of_statements(database, lambda: sync(api, clinic_id)) == few == 4
    assert len(scheduled(database)) == 2 + 22


def test_all_or_nothing_is_scheduled(api: Client, database: Database, clinic_id: str) -> None:
    sync(api, clinic_id)
    assert_all_or_nothing(database, lambda: sync(api, clinic_id), statements=4)
