"""Scheduling reports of many patients at once, on both engines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete, insert

from clinic_service.db.engine import Database
from clinic_service.models import (
    REDOX_REPORTS,
    XEALTH_REPORTS,
    EhrSubscription,
    MatchedMessage,
    OutboxEntry,
    RedoxMessage,
    ReportOrderState,
    ScheduledReportOrder,
)
from clinic_service.resources.clinics.errors import ClinicNotFound
from clinic_service.resources.ehr.errors import RedoxNotEnabled, SubscriptionNotFound
from clinic_service.resources.ehr.redox.scheduling import sync_clinic, sync_patient
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import CAROL, DAVE, ERIN, PETE
from tests.support.crowds import make_crowd
from tests.support.ehr import ehr_columns, make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.plans import analyze
from tests.support.rows import LONG_AGO, make_patient, stored, storing
from tests.support.statements import counting

Sync = Callable[[UnitOfWork], None]


def sync(database: Database, work: Sync) -> list[ScheduledReportOrder]:
    """The rows that this adds, in order of their ids."""
    before = {row.id for row in stored(database, ScheduledReportOrder)}
    with storing(database) as unit:
        work(unit)
    return sorted((r for r in stored(database, ScheduledReportOrder) if r.id not in before), key=lambda row: row.id)


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic in which Carol and Dave are subscribed, Carol by her second order."""
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        for person in (CAROL, DAVE, ERIN, PETE):
            make_patient(unit, clinic, person)
        first, second = (store_message(unit, redox_order(log_id=log_id)) for log_id in "ab")
        make_subscription(unit, unit.patients.get(clinic.id, CAROL.id), first, second)
        make_subscription(unit, unit.patients.get(clinic.id, DAVE.id), first)
        make_subscription(unit, unit.patients.get(clinic.id, ERIN.id), first, active=False)
        return clinic.id


def message_ids(database: Database) -> list[str]:
    return [row.id for row in stored(database, RedoxMessage)]


@pytest.mark.parametrize("of", ["clinic", "patient"])
def test_first_rows_have_no_predecessor_and_further_ones_have_the_latest(
    database: Database, clinic_id: str, of: str
) -> None:
    work: Sync = (
        (lambda unit: sync_clinic(unit, clinic_id)) if of == "clinic" else lambda unit: sync_patient(unit, CAROL.id)
    )
    first, second, third = (next(row for row in sync(database, work) if row.user_id == CAROL.id) for _ in range(3))
    assert (first.clinic_id, first.message_id) == (clinic_id, message_ids(database)[1])
    assert first.state is ReportOrderState.PENDING
    assert (first.preceding_id, first.preceding_created_time, first.delivered_time) == (None, None, None)
    assert (second.preceding_id, second.preceding_created_time) == (first.id, first.created_time)
    assert (third.preceding_id, third.preceding_created_time) == (second.id, second.created_time)


def test_a_clinic_s_rows_are_those_of_active_subscriptions_with_a_stored_message(
    database: Database, clinic_id: str
) -> None:
    messages = message_ids(database)
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        gone = make_patient(unit, clinic, PETE, user_id="0000000001")
        make_subscription(unit, gone, "65f1c0de0a1b2c3d4e5f6cff")
        without = make_patient(unit, clinic, PETE, user_id="0000000002")
        make_subscription(unit, without)
        xealth = make_patient(unit, clinic, PETE, user_id="0000000003")
        make_subscription(unit, xealth, *messages, kind=XEALTH_REPORTS)
        elsewhere = make_patient(unit, make_ehr_clinic(unit, sourceId="another"), CAROL)
        make_subscription(unit, elsewhere, *messages)
    rows = sync(database, lambda unit: sync_clinic(unit, clinic_id))
    assert {(row.clinic_id, row.user_id) for row in rows} == {(clinic_id, CAROL.id), (clinic_id, DAVE.id)}


def test_each_row_adds_an_event(database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.execute(delete(OutboxEntry))
    rows = sync(database, lambda unit: sync_clinic(unit, clinic_id))
    events = stored(database, OutboxEntry)
    assert {event.kind for event in events} == {"ehr_report_scheduled"}
    # Nobody else's event waits for a report.
    assert {event.clinic_id for event in events} == {""}
    assert [event.payload for event in events] == [
        {"clinicId": clinic_id, "userId": row.user_id, "orderId": row.id} for row in rows
    ]


def test_rows_of_another_patient_do_not_precede(database: Database, clinic_id: str) -> None:
    """A document can come to rest on another patient who has got the number."""
    sync(database, lambda unit: sync_clinic(unit, clinic_id))
    first, _ = message_ids(database)
    with storing(database) as unit:
        make_subscription(unit, unit.patients.get(clinic_id, PETE.id), first)
    rows = {row.user_id: row for row in sync(database, lambda unit: sync_clinic(unit, clinic_id))}
    assert rows[DAVE.id].preceding_id is not None
    assert rows[PETE.id].preceding_id is None


@pytest.mark.parametrize("settings", [{"enabled": False}, {"provider": "xealth"}, None])
def test_a_clinic_that_is_not_connected_through_redox_is_refused(
    database: Database, clinic_id: str, settings: dict[str, Any] | None
) -> None:
    columns = ehr_columns(**settings) if settings else dict.fromkeys(("ehr_settings", "ehr_provider", "ehr_source_id"))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in {"ehr_enabled": False, **columns}.items():
            setattr(clinic, name, value)
    with storing(database) as unit:
        with pytest.raises(RedoxNotEnabled):
            sync_clinic(unit, clinic_id)
        with pytest.raises(SubscriptionNotFound):
            sync_patient(unit, CAROL.id)
    assert stored(database, ScheduledReportOrder) == []


def test_an_unknown_clinic_is_refused(database: Database) -> None:
    with storing(database) as unit, pytest.raises(ClinicNotFound):
        sync_clinic(unit, "65f1c0de0a1b2c3d4e5f6a7b")


def test_a_patient_s_rows_are_in_all_clinics_that_want_them_on_upload(database: Database, clinic_id: str) -> None:
    on_upload = {"cadence": "14d", "onUploadEnabled": True}
    others: list[dict[str, Any]] = [
        {"sourceId": "1", "scheduledReports": on_upload},
        {"sourceId": "2", "scheduledReports": on_upload | {"onUploadEnabled": False}},
        {"sourceId": "3", "enabled": False},
        {"sourceId": "4", "provider": "xealth"},
    ]
    first, _ = message_ids(database)
    with storing(database) as unit:
        clinics = [make_ehr_clinic(unit, **settings) for settings in others]
        for clinic in clinics:
            make_subscription(unit, make_patient(unit, clinic, CAROL), first)
    rows = sync(database, lambda unit: sync_patient(unit, CAROL.id))
    assert {(row.clinic_id, row.user_id) for row in rows} == {(clinic_id, CAROL.id), (clinics[0].id, CAROL.id)}


def test_a_patient_who_is_subscribed_where_nobody_wants_uploads_gets_no_row(database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        unit.clinics.get(clinic_id).ehr_on_upload = False
    assert sync(database, lambda unit: sync_patient(unit, CAROL.id)) == []


@pytest.mark.parametrize("person", [ERIN, PETE])
def test_a_patient_without_an_active_subscription_is_refused(
    database: Database, clinic_id: str, person: object
) -> None:
    assert clinic_id
    with storing(database) as unit, pytest.raises(SubscriptionNotFound):
        sync_patient(unit, person.id)  # type: ignore[attr-defined]


def test_all_patients_of_a_clinic_are_scheduled_by_one_statement(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        patient_ids = make_crowd(unit, clinic, 1000)
    # Subscriptions refer to patients, whose number PostgreSQL has to know.
    analyze(database)
    with storing(database) as unit:
        subscribe(unit, clinic.id, patient_ids)
    for _ in range(2):
        analyze(database)
        with counting(database) as sent:
            rows = sync(database, lambda unit: sync_clinic(unit, clinic.id))
        inserted = [sql for sql in sent if "INSERT INTO" in sql]
        assert ["scheduled_report_orders" in sql for sql in inserted] == [True, False]
        assert len(rows) == len({row.user_id for row in rows}) == 1000
        # Ids are those of no other unit, in order of the patients.
        assert [row.id for row in rows] == [f"{int(rows[0].id, 16) + number:024x}" for number in range(1000)]
    assert all(row.preceding_id for row in rows)


def subscribe(unit: UnitOfWork, clinic_id: str, patient_ids: list[str]) -> None:
    """Let each patient be subscribed by an order."""
    kind = {"data_model": "Order", "event_type": "New"}
    messages = [
        {"id": unit.new_id(), "payload": "{}", "payload_hash": b"", "received_time": LONG_AGO, **kind}
        for _ in patient_ids
    ]
    keys = [{"clinic_id": clinic_id, "patient_id": one, "name": REDOX_REPORTS.name} for one in patient_ids]
    state = {"provider": "redox", "active": True, "created_time": LONG_AGO, "updated_time": LONG_AGO}
    matches = [
        key | kind | {"position": 0, "document_id": message["id"]} for key, message in zip(keys, messages, strict=True)
    ]
    unit.execute(insert(RedoxMessage), messages)
    unit.execute(insert(EhrSubscription), [key | state for key in keys])
    unit.execute(insert(MatchedMessage), matches)
