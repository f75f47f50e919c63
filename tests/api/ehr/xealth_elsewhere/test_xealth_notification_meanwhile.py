"""Changes by other requests while the account of the patient is created."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from clinic_service.models import Clinic, EhrSubscription, Patient, XealthOrder, XealthPreorder
from clinic_service.unit_of_work import UnitOfWork
from tests.api.ehr.xealth_elsewhere.steps import assert_made_once, deliver_all, enter, notify
from tests.support.cast import BOB, CAROL
from tests.support.client import Reply
from tests.support.errors import assert_error
from tests.support.http_server import Received, Response
from tests.support.platform import Platform
from tests.support.rows import make_patient, stored, storing
from tests.support.xealth_site import BIRTH_DATE, EMAIL, MRN, XealthSite, ehr_columns


class TestMeanwhile:
    """What changes while Xealth or the accounts service is asked is noticed."""

    @staticmethod
    def during(there: Platform, act: Callable[[], object]) -> None:
        """Let `act` happen once, while the account is made."""

        def answer(received: Received) -> None:
            if received.method == "POST":
                there.on_bad_days = lambda _: None
                act()

        there.on_bad_days = answer

    @staticmethod
    def change(site: XealthSite, work: Callable[[UnitOfWork], object]) -> Callable[[], None]:
        def act() -> None:
            with storing(site.database) as unit:
                work(unit)

        return act

    def test_somebody_else_adds_the_patient(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        def add(unit: UnitOfWork) -> None:
            make_patient(unit, unit.clinics.get(clinic_id), CAROL, mrn=MRN, mrn_key=MRN.lower(), birth_date=BIRTH_DATE)

        self.during(there, self.change(site, add))
        assert notify(site).status == 200
        [patient] = stored(site.database, Patient)
        assert patient.user_id == CAROL.id
        assert [row.active for row in stored(site.database, EhrSubscription)] == [True]
        deliver_all(site)
        assert there.users == {}

    def test_the_same_event_comes_once_more(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        assert clinic_id
        replies: list[Reply] = []
        self.during(there, lambda: replies.append(notify(site)))
        replies.append(notify(site))
        assert [reply.status for reply in replies] == [200, 200]
        deliver_all(site)
        assert_made_once(site, there)
        assert len(stored(site.database, XealthOrder)) == 1

    def test_the_same_event_comes_once_more_and_there_is_one_place(
        self, site: XealthSite, there: Platform, clinic_id: str
    ) -> None:
        with storing(site.database) as unit:
            unit.clinics.get(clinic_id).patient_count_settings = {"hardLimit": {"plan": 1}}
        replies: list[Reply] = []

        def answer(received: Received) -> Response | None:
            # The other one is told that there is no place; it comes again, and finds that all is done.
            if received.method == "POST":
                there.on_bad_days = lambda _: None
                replies.append(notify(site))
            return None

        there.on_bad_days = answer
        replies.append(notify(site))
        assert [reply.status for reply in replies] == [402, 200]
        assert notify(site).status == 200
        assert_made_once(site, there)

    def test_the_order_is_canceled(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        assert clinic_id
        replies: list[Reply] = []
        self.during(there, lambda: replies.append(notify(site, "cancel", eventTimeStamp="2026-03-02T09:29:30.000Z")))
        replies.append(notify(site))
        assert [reply.status for reply in replies] == [200, 200]
        # The cancellation is the later event, so the new order has no effect any more.
        assert stored(site.database, Patient) == []
        assert [row.applied_time is None for row in sorted(stored(site.database, XealthOrder), key=lambda o: o.id)] == [
            False,
            True,
        ]
        deliver_all(site)
        assert there.users == {}

    def test_the_form_is_filled_in_once_more(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        assert clinic_id
        self.during(there, lambda: enter(site, email="c2@mail.example"))
        assert notify(site).status == 200
        [patient] = stored(site.database, Patient)
        assert patient.email == "c2@mail.example"
        deliver_all(site)
        assert_made_once(site, there)

    @pytest.mark.parametrize("gone", ["clinic", "settings", "program", "form"])
    def test_what_the_order_rests_on_goes(self, site: XealthSite, there: Platform, clinic_id: str, gone: str) -> None:
        def go(unit: UnitOfWork) -> None:
            if gone == "clinic":
                unit.execute(delete(Clinic).where(Clinic.id == clinic_id))
            elif gone == "settings":
                unit.execute(update(Clinic).where(Clinic.id == clinic_id).values(ehr_enabled=False))
            elif gone == "program":
                columns = ehr_columns(procedureCodes={"createAccountAndEnableReports": "another"})
                unit.execute(update(Clinic).where(Clinic.id == clinic_id).values(**columns))
            else:
                unit.execute(delete(XealthPreorder))

        self.during(there, self.change(site, go))
        assert notify(site).status == (404 if gone == "form" else 200)
        assert (stored(site.database, Patient), stored(site.database, XealthOrder)) == ([], [])
        deliver_all(site)
        assert there.users == {}

    def test_a_patient_of_another_request_takes_the_address(
        self, site: XealthSite, there: Platform, clinic_id: str
    ) -> None:
        body = {"fullName": "Dave", "birthDate": "1999-09-09", "email": EMAIL, "mrn": "another"}
        path = f"/v1/clinics/{clinic_id}/patients"
        replies: list[Reply] = []
        self.during(there, lambda: replies.append(site.api.post(path, as_=BOB, json=body)))
        assert_error(notify(site), 409)
        assert replies[0].status == 200
        deliver_all(site)
        [patient] = stored(site.database, Patient)
        assert set(there.users) == {patient.user_id}
