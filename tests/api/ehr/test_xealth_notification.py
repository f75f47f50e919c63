"""XealthNotification: POST /v1/xealth/notification"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest

from clinic_service import clock
from clinic_service.models import EhrSubscription, MatchedMessage, Patient, XealthOrder
from tests.api.ehr.notifications import send, subscription
from tests.support.cast import ALICE, CAROL, DAVE
from tests.support.rows import make_patient, stored, storing
from tests.support.units import everything, number_of_statements
from tests.support.xealth_site import (
    AUTHORIZED,
    BIRTH_DATE,
    DEPLOYMENT,
    MRN,
    NOW,
    ORDER_ID,
    PROGRAM,
    XealthSite,
    event,
    make_xealth_clinic,
    order,
)

READ = f"GET /partner/read/order/{DEPLOYMENT}/{ORDER_ID}"


EARLIER, LATER = "2026-03-02T09:28:59.999Z", "2026-03-02T09:29:00.001Z"


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    """A clinic with Carol, whom the order is about."""
    with storing(site.database) as unit:
        clinic = make_xealth_clinic(unit)
        make_patient(unit, clinic, CAROL, mrn=MRN, birth_date=BIRTH_DATE)
        return clinic.id


def matched(site: XealthSite) -> list[tuple[str, str, str]]:
    rows = sorted(stored(site.database, MatchedMessage), key=lambda row: row.position)
    return [(row.document_id, row.data_model, row.event_type) for row in rows]


def orders(site: XealthSite) -> list[XealthOrder]:
    return sorted(stored(site.database, XealthOrder), key=lambda row: row.id)


@pytest.mark.usefixtures("clinic_id")
class TestKnownPatient:
    def test_a_new_order_makes_the_subscription_active(self, site: XealthSite, clinic_id: str) -> None:
        with clock.frozen(NOW + timedelta(seconds=1)):
            send(site, "new")
        [row], made = orders(site), subscription(site)
        assert (made.clinic_id, made.name, made.provider, made.active) == (clinic_id, "xealthReports", "xealth", True)
        assert (made.created_time, made.updated_time) == (NOW + timedelta(seconds=1),) * 2
        assert matched(site) == [(row.id, "order", "new")]
        assert stored(site.database, Patient)[0].updated_time == NOW + timedelta(seconds=1)
        assert site.xealth.calls == [READ]

    def test_event_and_order_are_kept_as_they_came(self, site: XealthSite, clinic_id: str) -> None:
        text = b'{"unknown": [1.50],\n ' + orjson.dumps(event())[1:]
        reply = site.api.post("/v1/xealth/notification", headers=AUTHORIZED, data=text, content_type="text/plain")
        assert reply.status == 200
        [row] = orders(site)
        assert (row.event_text.encode(), orjson.loads(row.order_text)) == (text, order())
        assert (row.clinic_id, row.deployment, row.order_id) == (clinic_id, DEPLOYMENT, ORDER_ID)
        assert (row.program_id, row.partner_id, row.event_id) == (PROGRAM, "tidepool", "7d0b6a8e")
        assert (row.event_type, row.event_context) == ("order", "new")
        assert (row.event_time, row.created_time, row.applied_time) == (NOW - timedelta(minutes=1), NOW, NOW)

    def test_a_canceled_order_makes_it_inactive(self, site: XealthSite) -> None:
        send(site, "new", "cancel")
        first, second = orders(site)
        assert subscription(site).active is False
        assert matched(site) == [(first.id, "order", "new"), (second.id, "order", "cancel")]

    def test_the_patient_needs_no_form_and_no_tracking_id(self, site: XealthSite) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(tracking_id=None)
        send(site, "new")
        assert subscription(site).active

    def test_the_patient_is_found_without_regard_to_case_and_accents(self, site: XealthSite) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(mrn="mrn-20417", given=["Another"])
        send(site, "new")
        assert [patient.full_name for patient in stored(site.database, Patient)] == [CAROL.name]
        assert subscription(site).active

    def test_a_change_of_the_number_ends_it_and_another_order_begins_it_again(
        self, site: XealthSite, clinic_id: str
    ) -> None:
        send(site, "new")
        body = {"fullName": CAROL.name, "birthDate": BIRTH_DATE, "mrn": "other"}
        path = f"/v1/clinics/{clinic_id}/patients/{CAROL.id}"
        assert site.api.put(path, as_=ALICE, json=body).status == 200
        assert subscription(site).active is False
        assert site.api.put(path, as_=ALICE, json=body | {"mrn": MRN}).status == 200
        send(site, "new")
        assert subscription(site).active is True
        assert len(matched(site)) == 2


@pytest.mark.usefixtures("clinic_id")
class TestRepeatedEvents:
    def test_an_event_that_had_its_effect_has_none_again(self, site: XealthSite) -> None:
        send(site, "new")
        before, calls = everything(site.database), list(site.xealth.calls)
        send(site, "new")
        assert everything(site.database) == before
        assert site.xealth.calls == calls

    def test_a_cancellation_as_well(self, site: XealthSite) -> None:
        send(site, "new", "cancel")
        before = everything(site.database)
        send(site, "cancel")
        assert everything(site.database) == before

    def test_new_canceled_and_new_with_the_same_id_and_time_ends_active(self, site: XealthSite) -> None:
        send(site, "new", "cancel", "new")
        assert subscription(site).active is True
        assert [kind for _, _, kind in matched(site)] == ["new", "cancel", "new"]

    def test_it_is_applied_again_when_the_subscription_is_inactive_since(
        self, site: XealthSite, clinic_id: str
    ) -> None:
        send(site, "new")
        patient_id = subscription(site).patient_id
        with storing(site.database) as unit:
            unit.ehr.deactivate(clinic_id, patient_id)
        send(site, "new")
        assert subscription(site).active is True
        assert len(orders(site)) == 2

    def test_it_is_applied_again_when_the_patient_was_deleted_since(self, site: XealthSite, clinic_id: str) -> None:
        send(site, "new")
        assert site.api.delete(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=ALICE).status == 204
        with storing(site.database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), DAVE, mrn=MRN, birth_date=BIRTH_DATE)
        send(site, "new")
        [patient] = stored(site.database, Patient)
        assert (patient.user_id, subscription(site).patient_id) == (DAVE.id, patient.id)

    def test_another_event_of_the_same_kind_is_applied(self, site: XealthSite) -> None:
        send(site, "new")
        send(site, "new", eventId="another")
        assert len(matched(site)) == 2

    def test_an_event_without_an_id_is_known_by_its_kind(self, site: XealthSite) -> None:
        send(site, "new", eventId=None)
        send(site, "new", eventId=None)
        assert len(orders(site)) == 1

    def test_orders_do_not_mix(self, site: XealthSite) -> None:
        site.xealth.orders[DEPLOYMENT, "XO-2"] = order(info={"orderId": "XO-2"})
        send(site, "new")
        send(site, "new", orderId="XO-2", eventTimeStamp=EARLIER)
        assert [kind for _, _, kind in matched(site)] == ["new", "new"]


@pytest.mark.usefixtures("clinic_id")
class TestEventsOutOfOrder:
    def test_an_older_event_is_kept_and_has_no_effect(self, site: XealthSite) -> None:
        send(site, "cancel")
        send(site, "new", eventTimeStamp=EARLIER)
        first, second = orders(site)
        assert (first.applied_time, second.applied_time) == (NOW, None)
        assert subscription(site).active is False
        assert matched(site) == [(first.id, "order", "cancel")]

    @pytest.mark.parametrize("time", ["2026-03-02T09:29:00.000Z", LATER, "2026-03-02T10:29:00+01:00"])
    def test_one_that_is_not_older_has_one(self, site: XealthSite, time: str) -> None:
        send(site, "cancel")
        send(site, "new", eventTimeStamp=time)
        assert subscription(site).active is True

    def test_one_that_had_no_effect_makes_no_other_one_old(self, site: XealthSite) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(info={"orderState": "canceled"})
        send(site, "new", eventTimeStamp=LATER)
        send(site, "cancel", eventTimeStamp=EARLIER)
        assert [row.applied_time for row in orders(site)] == [None, NOW]

    @pytest.mark.parametrize("state", ["canceled", "cancelled"])
    def test_a_new_order_that_is_canceled_by_now_is_kept_and_has_no_effect(self, site: XealthSite, state: str) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(info={"orderState": state})
        send(site, "new")
        assert [row.applied_time for row in orders(site)] == [None]
        assert stored(site.database, EhrSubscription) == []


class TestWithoutEffect:
    @pytest.mark.parametrize(
        "members",
        [
            {"eventContext": "update"},
            {"eventContext": "delete"},
            {"eventContext": "whatever"},
            {"eventType": "patient"},
            {"eventType": "patient_card"},
            {"eventType": "ORDER"},
            {"eventType": "patient", "deployment": None, "orderId": None, "eventTimeStamp": "whenever"},
            {"programId": "another"},
            {"programId": None},
            {"programId": ""},
            {"deployment": "another"},
            {"deployment": DEPLOYMENT.upper()},
        ],
        ids=str,
    )
    @pytest.mark.usefixtures("clinic_id")
    def test_events_that_are_none_of_ours(self, site: XealthSite, members: dict[str, Any]) -> None:
        before = everything(site.database)
        reply = site.notify(event() | members)
        assert (reply.status, reply.json) == (200, None)
        assert everything(site.database) == before
        assert site.xealth.server.received == []

    @pytest.mark.parametrize(
        "ehr",
        [
            {"enabled": False},
            {"provider": "redox"},
            {"procedureCodes": {}},
            {"procedureCodes": {"createAccountAndEnableReports": ""}},
            {"procedureCodes": {"createAccount": PROGRAM, "enableSummaryReports": PROGRAM}},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("program_id", [PROGRAM, "", None])
    def test_clinics_that_want_no_orders(self, site: XealthSite, ehr: dict[str, Any], program_id: str | None) -> None:
        with storing(site.database) as unit:
            make_xealth_clinic(unit, ehr=ehr)
        before = everything(site.database)
        send(site, "new", programId=program_id)
        assert everything(site.database) == before
        assert site.xealth.server.received == []

    @pytest.mark.usefixtures("clinic_id")
    def test_the_cancellation_of_a_patient_whom_nobody_knows_is_kept_and_nothing_else(self, site: XealthSite) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(mrn="nobody's")
        before = everything(site.database)
        send(site, "cancel")
        after = everything(site.database)
        assert {table for table in after if after[table] != before[table]} == {"xealth_orders"}


class TestCost:
    @pytest.mark.parametrize("patients", [0, 40])
    def test_is_fixed(self, site: XealthSite, clinic_id: str, patients: int) -> None:
        with storing(site.database) as unit:
            clinic = unit.clinics.get(clinic_id)
            for number in range(patients):
                make_patient(unit, clinic, CAROL._replace(id=f"{number:010x}"), mrn=f"A-{number}")
        counts = [
            number_of_statements(site.database, lambda context=context: site.notify(event(context)))  # type: ignore[misc]
            for context in ("new", "cancel", "cancel", "new")
        ]
        assert counts == [13, 13, 3, 13]
