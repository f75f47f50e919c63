"""What a merge does to the reports that health record systems have ordered, on both engines."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from clinic_service.db.engine import Database
from clinic_service.models import (
    EhrProvider,
    EhrSubscription,
    OutboxEntry,
    ScheduledReportOrder,
    XealthOrder,
)
from clinic_service.outbox.events import EhrReportScheduled
from clinic_service.resources.ehr.redox.deliveries import find_pending
from clinic_service.resources.ehr.redox.scheduling import sync_clinic
from clinic_service.unit_of_work import reading
from tests.support.cast import CAROL, DAVE, SERVICE
from tests.support.client import Client
from tests.support.ehr import ehr_columns, make_ehr_clinic, make_subscription, store_message
from tests.support.merges import Pair
from tests.support.rows import make_clinic, make_patient, stored, storing
from tests.support.xealth_site import make_enrolled_patient


def merge(api: Client, pair: Pair) -> None:
    assert api.post(pair.path, as_=SERVICE, json=pair.body).status == 200


def payload_of_report(database: Database) -> dict[str, Any]:
    with reading(database) as unit:
        query = select(OutboxEntry.payload).where(OutboxEntry.kind == EhrReportScheduled.kind)
        payload: dict[str, Any] = unit.execute(query).scalar_one()
    return payload


def test_a_scheduled_report_is_found_in_the_clinic_that_has_the_patient_now(api: Client, database: Database) -> None:
    """The event was stored before the merge and names the source, which is gone."""
    with storing(database) as unit:
        source = make_ehr_clinic(unit)
        target, last = make_clinic(unit, name="Harbour"), make_clinic(unit, name="Bay")
        make_subscription(unit, make_patient(unit, source, CAROL), store_message(unit))
        sync_clinic(unit, source.id)
    merge(api, Pair(source.id, target.id))
    merge(api, Pair(target.id, last.id))
    [report] = stored(database, ScheduledReportOrder)
    with reading(database) as unit:
        found = find_pending(unit, payload_of_report(database))
    assert found is not None
    assert (report.clinic_id, found[0], found[1].user_id) == (last.id, last.id, CAROL.id)


def test_the_reports_of_who_is_in_both_clinics_go_with_the_record_of_the_source(
    api: Client, database: Database
) -> None:
    with storing(database) as unit:
        source, target = make_ehr_clinic(unit), make_clinic(unit, name="Harbour")
        make_subscription(unit, make_patient(unit, source, DAVE), store_message(unit))
        make_patient(unit, target, DAVE)
        sync_clinic(unit, source.id)
    merge(api, Pair(source.id, target.id))
    assert stored(database, ScheduledReportOrder) == []
    with reading(database) as unit:
        assert find_pending(unit, payload_of_report(database)) is None


def test_the_order_that_a_subscription_rests_on_moves_with_the_patient(api: Client, database: Database) -> None:
    with storing(database) as unit:
        source = make_clinic(unit, **ehr_columns(provider="xealth", sourceId="harbour-prod"))
        target = make_clinic(unit, name="Harbour")
        make_enrolled_patient(unit, source, CAROL)
    merge(api, Pair(source.id, target.id))
    [order] = stored(database, XealthOrder)
    assert order.clinic_id == target.id


@pytest.mark.parametrize(
    ("settings", "active"),
    [
        (None, True),
        ({}, True),
        ({"enabled": False, "sourceId": "another"}, True),
        ({"sourceId": "another"}, False),
        ({"provider": EhrProvider.XEALTH.value}, False),
    ],
    ids=["no system", "the same system", "another one, switched off", "another one", "another partner"],
)
def test_reports_end_where_the_target_sends_its_own_to_another_system(
    api: Client, database: Database, settings: dict[str, Any] | None, active: bool
) -> None:
    """Otherwise another hospital would get the reports of patients whom it does not know."""
    with storing(database) as unit:
        source = make_ehr_clinic(unit)
        target = make_clinic(unit, name="Harbour", **({} if settings is None else ehr_columns(**settings)))
        make_subscription(unit, make_patient(unit, source, CAROL), store_message(unit))
    merge(api, Pair(source.id, target.id))
    [subscription] = stored(database, EhrSubscription)
    assert (subscription.clinic_id, subscription.active) == (target.id, active)
