"""XealthNotification among the other operations of Xealth: an adult and a child, from the form to the end."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import EmbeddedAccount, Patient
from tests.support.cast import ALICE, BOB, SERVICE
from tests.support.errors import assert_error
from tests.support.rows import make_tag, stored, storing
from tests.support.summaries import cgm_stats
from tests.support.summaries import dates as summary_dates
from tests.support.xealth_site import (
    BIRTH_DATE,
    CHILD_BIRTH_DATE,
    DEPLOYMENT,
    EMAIL,
    MRN,
    NOW,
    ORDER_ID,
    PROGRAM,
    XealthSite,
    asking,
    event,
    make_xealth_clinic,
    order,
    preorder,
    with_input,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def site(shared_site: XealthSite, database: Database) -> XealthSite:  # noqa: ARG001 - emptied afterwards
    shared_site.reset()
    return shared_site


class Flow:
    """One patient, whose days follow one upon another."""

    def __init__(self, site: XealthSite, **patient: Any) -> None:
        self.site, self.patient = site, patient
        self.time = NOW
        with storing(site.database) as unit:
            clinic = make_xealth_clinic(unit, timezone="US/Eastern", mrn_required=True, mrn_unique=True)
            self.clinic_id, self.tag_id = clinic.id, make_tag(unit, clinic, "Pump").id

    @property
    def user_id(self) -> str:
        [patient] = stored(self.site.database, Patient)
        return patient.user_id

    @property
    def path(self) -> str:
        return f"/v1/clinics/{self.clinic_id}/patients/{self.user_id}"

    def form(self) -> Any:
        """The form that is shown now; None when there is nothing to ask."""
        with clock.frozen(self.time):
            answer = self.site.preorder(preorder(**self.patient))
        assert answer.status == 200
        return answer.json or None

    def place(self, entered: Any, order_id: str = ORDER_ID) -> None:
        """Fill in the form and place the order."""
        with clock.frozen(self.time):
            shown = self.form()
            tracking_id = shown["dataTrackingId"] if shown else None
            if tracking_id:
                answer = self.site.preorder(with_input(entered, tracking_id=tracking_id, **self.patient))
                assert answer.json == {}
        told = order(tracking_id=tracking_id, info={"orderId": order_id}, **self.patient)
        self.site.xealth.orders[DEPLOYMENT, order_id] = told
        self.notify("new", order_id)

    def notify(self, context: str, order_id: str = ORDER_ID) -> None:
        self.time += HOUR
        with clock.frozen(self.time):
            body = event(context, orderId=order_id, eventTimeStamp=clock.to_wire(self.time))
            assert self.site.notify(body).status == 200

    def programs(self, user: str = "E10422") -> Any:
        with clock.frozen(self.time):
            answer = self.site.programs(asking(user=user, **self.patient))
        assert answer.status == 200
        return answer.json["programs"][0] if answer.json["present"] else None

    def upload(self) -> None:
        """Data come, and are summarised an hour later."""
        self.time += timedelta(days=1)
        times = {"lastUploadDate": self.time, "lastUpdatedDate": self.time + HOUR, "lastData": self.time - HOUR}
        self.time += HOUR
        random = Random(4711)
        given = summary_dates(random, **{name: clock.to_wire(time) for name, time in times.items()})
        body = {"cgmStats": cgm_stats(random, dates=given)}
        assert self.site.api.post(f"/v1/patients/{self.user_id}/summary", as_=SERVICE, json=body).status == 200

    def view(self) -> str:
        """Open the report; gives the address of the page."""
        self.time += HOUR
        with clock.frozen(self.time):
            answer = self.site.program_url(asking(**self.patient) | {"programId": PROGRAM})
            assert answer.status == 200
            parts = urlsplit(answer.json["url"])
            assert self.site.api.get(f"{parts.path}?{parts.query}").status == 200
        return str(answer.json["url"])


def test_an_adult(site: XealthSite) -> None:
    flow = Flow(site)
    assert flow.form()["preorderFormInfo"]["formId"] == "patient_enrollment_form"
    assert flow.programs() is None
    person = {"email": EMAIL, "connectAbbott": True, "connectDexcom": True}
    flow.place({"patient": person, "tags": {"ids": [flow.tag_id]}})

    patient = site.api.get(flow.path, as_=BOB).json
    assert (patient["fullName"], patient["email"], patient["mrn"]) == ("Carol Cooper", EMAIL, MRN)
    assert patient["tags"] == [flow.tag_id]
    requested = {name: [one["createdTime"] for one in made] for name, made in patient["connectionRequests"].items()}
    assert requested == {"abbott": [clock.to_wire(flow.time)], "dexcom": [clock.to_wire(flow.time)], "twiist": []}

    before = flow.programs()
    assert (before["has_alert"], before["hasStatusView"], before["enrolledDate"]) == (False, False, "2026-03-02")
    parts = "Last Upload: N/A | Last Viewed by You: N/A | Claimed Account?: No | Cloud Connections: "
    assert before["description"] == f"{parts}Abbott (pending), Dexcom (pending)"

    flow.upload()
    uploaded = flow.programs()
    assert (uploaded["has_alert"], uploaded["hasStatusView"]) == (True, True)
    link = parse_qs(urlsplit(flow.view()).query)
    assert (link["clinicId"], link["patientId"]) == ([flow.clinic_id], [flow.user_id])
    assert flow.programs()["has_alert"] is False
    assert flow.programs(user="another")["has_alert"] is True
    flow.upload()
    assert flow.programs()["has_alert"] is True

    flow.notify("cancel")
    assert flow.programs() is None
    assert_error(site.program_url(asking() | {"programId": PROGRAM}), 404)
    # The patient is known: there is nothing to ask, unless the date of birth is another one.
    assert flow.form() is None
    assert site.preorder(preorder(birth_date="1987-04-13")).json["notOrderable"] is True

    flow.place(None, "XO-2")
    assert flow.programs() is not None
    assert len(stored(site.database, Patient)) == 1
    body = {"fullName": "Carol Cooper", "birthDate": BIRTH_DATE, "mrn": "another", "email": EMAIL}
    assert site.api.put(flow.path, as_=BOB, json=body).status == 200
    assert site.api.put(flow.path, as_=BOB, json=body | {"mrn": MRN}).status == 200
    # The orders were for another number.
    assert flow.programs() is None

    assert site.api.delete(flow.path, as_=ALICE).status == 204
    assert flow.programs() is None
    assert flow.form()["preorderFormInfo"]["formId"] == "patient_enrollment_form"


def test_a_child(site: XealthSite) -> None:
    flow = Flow(site, given=["Cody"], birth_date=CHILD_BIRTH_DATE)
    assert flow.form()["preorderFormInfo"]["formId"] == "guardian_enrollment_form"
    guardian = {"firstName": "Gwen", "lastName": "Cooper", "email": "gwen@mail.example", "connectDexcom": True}
    flow.place({"guardian": guardian})

    patient = site.api.get(flow.path, as_=BOB).json
    assert (patient["fullName"], patient["birthDate"], patient["email"]) == (
        "Cody Cooper",
        CHILD_BIRTH_DATE,
        "gwen@mail.example",
    )
    assert [account.username for account in stored(site.database, EmbeddedAccount)] == ["gwen@mail.example"]
    assert flow.programs()["description"].endswith("Cloud Connections: Dexcom (pending)")
    flow.upload()
    flow.view()
    assert flow.programs()["has_alert"] is False
    flow.notify("cancel")
    assert flow.programs() is None
    assert flow.form() is None


def test_a_child_without_an_address(site: XealthSite) -> None:
    flow = Flow(site, given=["Cody"], birth_date=CHILD_BIRTH_DATE)
    flow.place({"guardian": {"firstName": "Gwen", "lastName": "Cooper", "email": "", "connectDexcom": True}})
    patient = site.api.get(flow.path, as_=BOB).json
    assert "email" not in patient
    assert (patient["dataSources"], patient["connectionRequests"]["dexcom"]) == (None, [])
    assert flow.programs()["description"].endswith("Claimed Account?: No | Cloud Connections: None")
