"""Notifications of Xealth that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.ehr.notifications import send, subscription
from tests.support.cast import ALICE, CAROL, DAVE, SERVICE
from tests.support.errors import assert_error, assert_violations
from tests.support.rows import make_clinic, make_patient, storing
from tests.support.units import everything
from tests.support.xealth_site import (
    AUTHORIZED,
    BIRTH_DATE,
    DEPLOYMENT,
    MRN,
    ORDER_ID,
    XealthSite,
    ehr_columns,
    event,
    make_xealth_clinic,
    order,
)


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    """A clinic with Carol, whom the order is about."""
    with storing(site.database) as unit:
        clinic = make_xealth_clinic(unit)
        make_patient(unit, clinic, CAROL, mrn=MRN, birth_date=BIRTH_DATE)
        return clinic.id


@pytest.mark.usefixtures("clinic_id")
class TestRefusals:
    def refused(self, site: XealthSite, body: Any, status: int) -> Any:
        before = everything(site.database)
        reply = site.notify(body)
        assert_error(reply, status)
        assert everything(site.database) == before
        return reply

    @pytest.mark.one_engine
    def test_without_the_secret(self, site: XealthSite) -> None:
        for headers in ({}, {"Authorization": "Bearer another"}):
            assert_error(site.notify({}, headers=headers), 401)
        for who in (ALICE, SERVICE):
            assert_error(site.notify(event(), headers={}, as_=who), 401)
        assert site.xealth.server.received == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b'{"eventType": "order"'])
    def test_a_body_that_cannot_be_read(self, site: XealthSite, raw: bytes) -> None:
        before = everything(site.database)
        reply = site.api.post("/v1/xealth/notification", headers=AUTHORIZED, data=raw, content_type="application/json")
        assert_error(reply, 400)
        assert everything(site.database) == before

    @pytest.mark.one_engine
    @pytest.mark.parametrize("name", ["eventType", "eventContext"])
    def test_a_member_that_is_always_needed(self, site: XealthSite, name: str) -> None:
        body = {key: value for key, value in event().items() if key != name}
        assert_violations(self.refused(site, body, 400), (f"/body/{name}", "required"))

    @pytest.mark.one_engine
    @pytest.mark.parametrize("context", ["new", "cancel"])
    @pytest.mark.parametrize("name", ["deployment", "orderId", "eventTimeStamp"])
    @pytest.mark.parametrize("value", ["", None, ...])
    def test_a_member_that_an_order_needs(self, site: XealthSite, context: str, name: str, value: Any) -> None:
        body = event(context) | {name: value}
        if value is ...:
            del body[name]
        assert_violations(self.refused(site, body, 400), (f"/body/{name}", "required"))
        assert site.xealth.server.received == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "time",
        [
            "yesterday",
            "2026-03-02",
            "2026-03-02T09:29:00",
            "2026-02-30T09:29:00Z",
            "2026-06-30T23:59:60Z",
            "20260302T092900Z",
        ],
    )
    def test_a_time_that_is_none(self, site: XealthSite, time: str) -> None:
        reply = self.refused(site, event(eventTimeStamp=time), 400)
        assert_violations(reply, ("/body/eventTimeStamp", "format"))

    @pytest.mark.one_engine
    @pytest.mark.parametrize("order_id", [".", ".."])
    def test_an_order_id_that_no_path_can_hold(self, site: XealthSite, order_id: str) -> None:
        assert_violations(self.refused(site, event(orderId=order_id), 400), ("/body/orderId", "format"))
        assert site.xealth.server.received == []

    @pytest.mark.one_engine
    @pytest.mark.parametrize(
        "change", [{"orderId": 7}, {"deployment": []}, {"eventId": {}}, {"programId": True}], ids=str
    )
    def test_a_member_of_the_wrong_type(self, site: XealthSite, change: Any) -> None:
        self.refused(site, event() | change, 400)

    def test_a_deployment_of_several_clinics(self, site: XealthSite) -> None:
        with storing(site.database) as unit:
            make_clinic(unit, **ehr_columns())
        self.refused(site, event(), 409)
        assert site.xealth.server.received == []

    def test_several_patients_who_match(self, site: XealthSite, clinic_id: str) -> None:
        with storing(site.database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), DAVE, mrn=MRN.lower(), birth_date=BIRTH_DATE)
        self.refused(site, event(), 422)
        self.refused(site, event("cancel"), 422)

    @pytest.mark.parametrize(
        "change",
        [
            {"datasets": None},
            {"datasets": []},
            {"datasets": {"demographicsV1": "x"}},
            {"patientIdentity": None},
            {"patientIdentity": {"ids": {}}},
            {"patientIdentity": {"ids": [7, None, {"type": "MRN"}]}},
            {"patientIdentity": {"ids": [{"type": 7, "id": "x"}]}},
            {"patientIdentity": {"ids": [{"type": "MRN", "id": 20417}]}},
            {"patientIdentity": {"ids": [{"type": "MRN", "id": "x" * 256}]}},
            {"patientIdentity": {"ids": [{"type": "MRN", "id": "a\x00b"}]}},
            {"patientIdentity": {"ids": [{"type": "MRN", "id": "  "}]}},
        ],
        ids=str,
    )
    def test_an_order_that_lacks_data_of_the_patient(self, site: XealthSite, change: Any) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order() | change
        assert_violations(self.refused(site, event(), 400), ("/body/orderId", "state"))

    @pytest.mark.parametrize(
        "change",
        [
            {"birthDate": None},
            {"birthDate": "1987-04-31"},
            {"birthDate": 19870412},
            {"name": None},
            {"name": "Carol"},
            {"name": {"given": "Carol"}},
            {"name": {"given": [None, 7], "family": ["\x00"]}},
        ],
        ids=str,
    )
    def test_an_order_that_lacks_demographics(self, site: XealthSite, change: Any) -> None:
        broken = order()
        broken["datasets"]["demographicsV1"] |= change
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = broken
        assert_violations(self.refused(site, event(), 400), ("/body/orderId", "state"))

    @pytest.mark.parametrize(
        "info",
        [{"orderId": "XO-9"}, {"deployment": "hilltop"}, {"orderId": None}, {"deployment": None}, {"orderId": 58213}],
        ids=str,
    )
    def test_an_answer_about_another_order(self, site: XealthSite, info: Any) -> None:
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order(info=info)
        self.refused(site, event(), 502)

    def test_an_answer_about_no_order(self, site: XealthSite) -> None:
        for change in ({"orderInfo": None}, {"orderInfo": ["x"]}):
            site.xealth.orders[DEPLOYMENT, ORDER_ID] = order() | change
            self.refused(site, event(), 502)

    def test_an_order_that_is_not_there(self, site: XealthSite) -> None:
        site.xealth.orders.clear()
        self.refused(site, event(), 502)
        site.xealth.orders[DEPLOYMENT, ORDER_ID] = order()
        send(site, "new")
        assert subscription(site).active is True
