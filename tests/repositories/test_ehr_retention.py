"""What is kept of messages and scheduled reports, and for how long, on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import EhrSubscription, RedoxMessage, ScheduledReportOrder, XealthOrder, XealthPreorder
from clinic_service.resources.ehr import retention
from clinic_service.resources.ehr.retention import Purged
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import CAROL, DAVE
from tests.support.ehr import make_ehr_clinic, make_subscription, redox_order, store_message
from tests.support.rows import make_patient, stored, storing
from tests.support.statements import counting
from tests.support.xealth_site import make_enrolled_patient, make_xealth_clinic

NOW = clock.now()
KEPT = timedelta(days=90)
OLD, YOUNG = NOW - KEPT - timedelta(seconds=1), NOW - KEPT + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def purge(database: Database) -> Purged:
    return retention.purge(database, KEPT)


def store_at(database: Database, time: Any, log_id: str) -> str:
    with clock.frozen(time), storing(database) as unit:
        return store_message(unit, redox_order(log_id=log_id))


def order(unit: UnitOfWork, clinic_id: str, message_id: str, time: Any, state: str = "pending") -> str:
    row = ScheduledReportOrder(
        clinic_id=clinic_id, id=unit.new_id(), user_id=CAROL.id, message_id=message_id, created_time=time, state=state
    )
    unit.session.add(row)
    unit.flush()
    return row.id


def kept_messages(database: Database) -> set[str]:
    return {row.id for row in stored(database, RedoxMessage)}


def test_messages_are_kept_ninety_days(database: Database) -> None:
    store_at(database, OLD, "a")
    young = store_at(database, YOUNG, "b")
    assert purge(database) == Purged(messages=1, orders=0, xealth_orders=0, preorders=0)
    assert kept_messages(database) == {young}


def test_scheduled_reports_are_kept_ninety_days(database: Database) -> None:
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        for state in ("pending", "delivered", "skipped", "failed"):
            order(unit, clinic.id, "0" * 24, OLD, state)
        young = order(unit, clinic.id, "0" * 24, YOUNG)
    assert purge(database) == Purged(messages=0, orders=4, xealth_orders=0, preorders=0)
    assert [row.id for row in stored(database, ScheduledReportOrder)] == [young]


def test_a_message_stays_while_an_active_subscription_rests_on_it(database: Database) -> None:
    replaced, rested_on, ended = (store_at(database, OLD, log_id) for log_id in "abc")
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_subscription(unit, make_patient(unit, clinic, CAROL), replaced, rested_on)
        make_subscription(unit, make_patient(unit, clinic, DAVE), replaced, ended, active=False)
    assert purge(database).messages == 2
    assert kept_messages(database) == {rested_on}


def test_a_message_stays_while_a_pending_report_that_is_not_old_names_it(database: Database) -> None:
    pending, old, done = (store_at(database, OLD, log_id) for log_id in "abc")
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        order(unit, clinic.id, pending, YOUNG)
        order(unit, clinic.id, old, OLD)
        order(unit, clinic.id, done, YOUNG, "delivered")
    assert purge(database) == Purged(messages=2, orders=1, xealth_orders=0, preorders=0)
    assert kept_messages(database) == {pending}


def test_a_repeat_finds_nothing(database: Database) -> None:
    store_at(database, OLD, "a")
    purge(database)
    assert purge(database) == Purged(0, 0, 0, 0)


def test_batches_pass_over_what_stays(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [store_at(database, OLD - timedelta(hours=number), str(number)) for number in range(7)]
    with storing(database) as unit:
        clinic = make_ehr_clinic(unit)
        make_subscription(unit, make_patient(unit, clinic, CAROL), ids[6])
        make_subscription(unit, make_patient(unit, clinic, DAVE), ids[3])
        for _ in range(5):
            order(unit, clinic.id, ids[0], OLD)
    monkeypatch.setattr(retention, "_BATCH", 2)
    with counting(database) as sent:
        assert purge(database) == Purged(messages=5, orders=5, xealth_orders=0, preorders=0)
    assert kept_messages(database) == {ids[6], ids[3]}
    assert len([sql for sql in sent if "DELETE FROM redox_messages" in sql]) == 4
    assert len([sql for sql in sent if "DELETE FROM scheduled_report_orders" in sql]) == 4


def preorder(unit: UnitOfWork, clinic_id: str, tracking_id: str) -> None:
    unit.session.add(
        XealthPreorder(
            clinic_id=clinic_id,
            data_tracking_id=tracking_id,
            deployment="harbour-prod",
            mrn="MRN-1",
            connect_abbott=False,
            connect_dexcom=False,
            tag_ids=[],
            created_time=unit.creation_time,
            updated_time=unit.now,
        )
    )


def test_forms_of_xealth_are_kept_ninety_days(database: Database) -> None:
    with storing(database) as unit:
        clinic_id = make_ehr_clinic(unit).id
    for time, tracking_id in ((OLD, "old"), (YOUNG, "young")):
        with clock.frozen(time), storing(database) as unit:
            preorder(unit, clinic_id, tracking_id)
    assert purge(database) == Purged(0, 0, xealth_orders=0, preorders=1)
    assert [row.data_tracking_id for row in stored(database, XealthPreorder)] == ["young"]


@pytest.mark.parametrize(("active", "left"), [(True, 1), (False, 0)])
def test_an_order_of_xealth_stays_while_an_active_subscription_rests_on_it(
    database: Database, active: bool, left: int
) -> None:
    with clock.frozen(OLD), storing(database) as unit:
        make_enrolled_patient(unit, make_xealth_clinic(unit), CAROL)
    with storing(database) as unit:
        unit.execute(update(EhrSubscription).values(active=active))
    assert purge(database) == Purged(0, 0, xealth_orders=1 - left, preorders=0)
    assert len(stored(database, XealthOrder)) == left
