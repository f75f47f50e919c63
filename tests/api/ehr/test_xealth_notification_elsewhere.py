"""XealthNotification where Xealth, its token endpoint or the accounts service fail, or others are faster.

A notification that fails leaves nothing behind, so Xealth can send it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from secrets import token_hex
from typing import Any

import pytest
from sqlalchemy import delete, update

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import (
    Clinic,
    EhrSubscription,
    OutboxEntry,
    Patient,
    Reservation,
    XealthOrder,
    XealthPreorder,
)
from clinic_service.resources.patients.accounts.changes import LIFETIME
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, CAROL, ERIN
from tests.support.client import Reply
from tests.support.errors import assert_error
from tests.support.failing import failing, losing_the_confirmation
from tests.support.http_server import Received, Response
from tests.support.platform import Platform
from tests.support.rows import make_patient, stored, storing
from tests.support.units import everything
from tests.support.xealth_server import CLIENT_SECRET
from tests.support.xealth_site import (
    BIRTH_DATE,
    DEPLOYMENT,
    EMAIL,
    MRN,
    NOW,
    ORDER_ID,
    XealthSite,
    ehr_columns,
    event,
    make_xealth_clinic,
    order,
    with_input,
    xealth_site,
)

READ = f"GET /partner/read/order/{DEPLOYMENT}/{ORDER_ID}"
PERSONAL = (MRN, "Cooper", BIRTH_DATE, EMAIL)


@pytest.fixture(scope="module")
def shared_site(shared_database: Database) -> Iterator[XealthSite]:
    with xealth_site(shared_database, hosted=True) as made:
        yield made


@pytest.fixture
def site(shared_site: XealthSite, database: Database) -> Iterator[XealthSite]:  # noqa: ARG001 - emptied afterwards
    shared_site.reset()
    shared_site.xealth.orders[DEPLOYMENT, ORDER_ID] = order()
    with clock.frozen(NOW):
        yield shared_site


@pytest.fixture
def there(site: XealthSite) -> Platform:
    """The accounts service."""
    assert site.platform
    return site.platform


@pytest.fixture
def clinic_id(site: XealthSite) -> str:
    """A clinic that knows the form of the order, but not the patient."""
    with storing(site.database) as unit:
        clinic_id = make_xealth_clinic(unit, mrn_unique=True).id
    assert enter(site).json == {}
    return clinic_id


def enter(site: XealthSite, **person: Any) -> Reply:
    return site.preorder(with_input({"patient": {"email": EMAIL, "connectDexcom": True} | person}))


def notify(site: XealthSite, context: str = "new", **members: Any) -> Reply:
    return site.notify(event(context, **members))


def assert_made_once(site: XealthSite, there: Platform) -> None:
    """One patient with an active subscription, whose account is the only one; nothing is under way."""
    [patient] = stored(site.database, Patient)
    assert set(there.users) == {patient.user_id}
    assert [row.active for row in stored(site.database, EhrSubscription)] == [True]
    assert stored(site.database, Reservation) == []
    assert [row.used_time is None for row in stored(site.database, XealthPreorder)] == [False]


def deliver_all(site: XealthSite) -> None:
    """What ten minutes bring about."""
    with clock.frozen(NOW + timedelta(minutes=10)):
        while site.deliver():
            pass


UNUSABLE = [
    pytest.param(Response(500), id="failure"),
    pytest.param(Response(403), id="refusal"),
    pytest.param(Response(404), id="not there"),
    pytest.param(Response(302, headers={"location": "/v2/elsewhere"}), id="redirect"),
    pytest.param(Response(200, body=b"<html>"), id="no JSON"),
    pytest.param(Response(200, json=[order()]), id="no object"),
    pytest.param(Response(200, json={}), id="no order"),
    pytest.param(Response(raw=b"garbage\r\n\r\n"), id="no HTTP"),
    pytest.param(Response(raw=b""), id="hung up"),
    pytest.param(Response(hang=True), id="no answer"),
]


@pytest.mark.usefixtures("clinic_id")
class TestXealth:
    @pytest.mark.parametrize("response", UNUSABLE)
    def test_an_order_that_cannot_be_read(
        self,
        site: XealthSite,
        there: Platform,
        response: Response,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        before = everything(site.database)
        site.xealth.answer = lambda _: response
        reply = notify(site)
        assert_error(reply, 502)
        assert everything(site.database) == before
        assert there.users == {}
        told = str(reply) + caplog.text + "".join(capsys.readouterr())
        assert [word for word in (*PERSONAL, CLIENT_SECRET, "xealth-token-1", ORDER_ID) if word in told] == []
        site.xealth.answer = lambda _: None
        assert notify(site).status == 200
        assert_made_once(site, there)

    @pytest.mark.parametrize("response", [*UNUSABLE, pytest.param(Response(401), id="wrong credentials")])
    def test_a_token_that_cannot_be_had(self, site: XealthSite, there: Platform, response: Response) -> None:
        before, healthy = everything(site.database), site.xealth.grant
        # The one that is kept from before is refused.
        site.xealth.tokens = [token_hex()]
        site.xealth.grant = lambda _: response
        assert_error(notify(site), 502)
        assert everything(site.database) == before
        site.xealth.grant = healthy
        assert notify(site).status == 200
        assert_made_once(site, there)

    def test_a_token_that_ended_early_is_renewed(self, site: XealthSite, there: Platform) -> None:
        notify(site, "cancel")
        site.xealth.tokens = [token_hex()]
        assert notify(site).status == 200
        assert_made_once(site, there)

    def test_nothing_is_locked_while_it_is_asked(self, site: XealthSite) -> None:
        seen: list[int] = []
        site.xealth.answer = lambda _: seen.append(site.open_transactions())
        assert notify(site).status == 200
        assert seen
        assert set(seen) == {0}


@pytest.mark.usefixtures("clinic_id")
class TestAccounts:
    def test_the_account_is_made_for_the_clinic(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        assert notify(site).status == 200
        assert there.calls[-2:] == ["GET /user/carol%40mail.example", f"POST /v1/clinics/{clinic_id}/users"]
        assert_made_once(site, there)

    def test_nothing_is_locked_while_it_is_asked(self, site: XealthSite, there: Platform) -> None:
        seen: list[int] = []
        there.on_bad_days = lambda _: seen.append(site.open_transactions())
        assert notify(site).status == 200
        assert seen
        assert set(seen) == {0}

    @pytest.mark.parametrize("after", [False, True], ids=["not made", "made"])
    @pytest.mark.parametrize(
        "response",
        [
            pytest.param(Response(500), id="failure"),
            pytest.param(Response(403), id="refusal"),
            pytest.param(Response(201, body=b"<html>"), id="no JSON"),
            pytest.param(Response(raw=b""), id="hung up"),
            pytest.param(Response(hang=True), id="no answer"),
        ],
    )
    def test_an_account_that_cannot_be_made(
        self,
        site: XealthSite,
        there: Platform,
        response: Response,
        after: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        there.fail("POST", response, after=after)
        reply = notify(site)
        assert_error(reply, 502)
        assert (stored(site.database, Patient), stored(site.database, XealthOrder)) == ([], [])
        assert [word for word in PERSONAL if word in str(reply) + caplog.text] == []
        there.on_bad_days = lambda _: None
        # At once, before anybody has tidied up: the account, if it was made, is taken.
        assert notify(site).status == 200
        assert_made_once(site, there)
        deliver_all(site)
        assert_made_once(site, there)

    @pytest.mark.parametrize("response", [Response(500), Response(raw=b""), Response(hang=True)], ids=repr)
    def test_an_address_that_cannot_be_looked_up(self, site: XealthSite, there: Platform, response: Response) -> None:
        before = everything(site.database)
        there.fail("GET", response)
        assert_error(notify(site), 502)
        assert_error(enter(site), 502)
        assert everything(site.database) == before
        there.on_bad_days = lambda _: None
        assert notify(site).status == 200
        assert_made_once(site, there)

    @pytest.mark.parametrize(
        "origin",
        [
            pytest.param({}, id="nobody's"),
            pytest.param({"createdUserId": "0" * 24}, id="another clinic's"),
        ],
    )
    def test_an_account_of_somebody_else_is_not_taken(
        self, site: XealthSite, there: Platform, origin: dict[str, str]
    ) -> None:
        there.users[ERIN.id] = EMAIL
        there.origins[ERIN.id] = origin
        assert_error(notify(site), 409)
        assert (stored(site.database, Patient), stored(site.database, Reservation)) == ([], [])

    def test_an_account_that_was_claimed_is_not_taken(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        there.users[ERIN.id] = EMAIL
        there.origins[ERIN.id] = {"createdUserId": clinic_id}
        there.on_bad_days = lambda received: (
            Response(
                200, json={"userid": ERIN.id, "username": EMAIL, "createdUserId": clinic_id, "emailVerified": True}
            )
            if received.method == "GET"
            else None
        )
        assert_error(notify(site), 409)
        assert stored(site.database, Patient) == []

    def test_an_orphaned_account_is_reused(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        there.users[CAROL.id] = EMAIL
        there.origins[CAROL.id] = {"createdUserId": clinic_id}
        assert notify(site).status == 200
        assert_made_once(site, there)
        assert set(there.users) == {CAROL.id}

    def test_an_orphaned_account_needs_a_place(self, site: XealthSite, there: Platform, clinic_id: str) -> None:
        there.users[CAROL.id] = EMAIL
        there.origins[CAROL.id] = {"createdUserId": clinic_id}
        with storing(site.database) as unit:
            unit.clinics.get(clinic_id).patient_count_settings = {"hardLimit": {"plan": 0}}
        assert_error(notify(site), 402)

    def test_an_account_that_is_removed_before_its_place_is_reserved_is_made_anew(
        self, site: XealthSite, there: Platform, clinic_id: str
    ) -> None:
        there.users[CAROL.id] = EMAIL
        there.origins[CAROL.id] = {"createdUserId": clinic_id}

        def answer(received: Received) -> Response | None:
            # Somebody removes it right after it was found.
            if received.method == "GET" and "%40" in received.path and CAROL.id in there.users:
                found = there.carry_out(received)
                del there.users[CAROL.id]
                return found
            return None

        there.on_bad_days = answer
        assert notify(site).status == 200
        assert CAROL.id not in there.users
        assert_made_once(site, there)


class TestOrphanedAccount:
    """The removal of an orphaned account and a repetition that reuses it exclude each other."""

    def fail_once(self, site: XealthSite) -> None:
        with failing(site.database, "INSERT INTO xealth_orders"):
            assert_error(notify(site), 500)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_before_the_removal(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        [user_id] = there.users
        assert notify(site).status == 200
        assert_made_once(site, there)
        deliver_all(site)
        assert_made_once(site, there)
        assert set(there.users) == {user_id}

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_after_the_removal(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        deliver_all(site)
        assert there.users == {}
        assert notify(site).status == 200
        assert_made_once(site, there)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_removal_during_the_repetition_waits(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        [user_id] = there.users
        delivered: list[int] = []

        def answer(received: Received) -> None:
            # The place has been reserved by now.
            if received.path == f"/user/{user_id}" and received.method == "GET":
                delivered.append(site.deliver())

        there.on_bad_days = answer
        assert notify(site).status == 200
        assert delivered == [0]
        there.on_bad_days = lambda _: None
        deliver_all(site)
        assert_made_once(site, there)

    @pytest.mark.usefixtures("clinic_id")
    def test_a_repetition_during_the_removal_is_told_to_come_again(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        replies: list[Reply] = []

        def answer(received: Received) -> None:
            if received.method == "DELETE":
                there.on_bad_days = lambda _: None
                replies.append(notify(site))

        there.on_bad_days = answer
        assert site.deliver() == 1
        assert_error(replies[0], 503)
        assert there.users == {}
        assert notify(site).status == 200
        assert_made_once(site, there)

    def test_without_the_clinic_it_is_removed_all_the_same(
        self, site: XealthSite, there: Platform, clinic_id: str
    ) -> None:
        self.fail_once(site)
        with storing(site.database) as unit:
            unit.execute(delete(Clinic).where(Clinic.id == clinic_id))
        deliver_all(site)
        assert there.users == {}

    @pytest.mark.usefixtures("clinic_id")
    def test_a_removal_that_fails_is_tried_again(self, site: XealthSite, there: Platform) -> None:
        self.fail_once(site)
        there.fail("DELETE", Response(500))
        assert site.deliver() == 0
        assert stored(site.database, Reservation) == []
        there.on_bad_days = lambda _: None
        deliver_all(site)
        assert there.users == {}


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


@pytest.mark.usefixtures("clinic_id")
def test_a_lost_confirmation_does_no_harm(site: XealthSite, there: Platform) -> None:
    """The transaction is committed, and seems to have failed."""
    with losing_the_confirmation(site.database, "INSERT INTO xealth_orders"):
        assert_error(notify(site), 500)
    assert notify(site).status == 200
    deliver_all(site)
    assert_made_once(site, there)
    assert len(stored(site.database, XealthOrder)) == 1


@pytest.mark.usefixtures("clinic_id")
def test_the_reservation_of_a_process_that_ended_expires(site: XealthSite, there: Platform) -> None:
    there.fail("POST", Response(500), after=True)
    assert_error(notify(site), 502)
    there.on_bad_days = lambda _: None
    with clock.frozen(NOW + LIFETIME):
        assert notify(site).status == 200
    deliver_all(site)
    assert_made_once(site, there)
    waiting = [entry.kind for entry in stored(site.database, OutboxEntry) if entry.delivered_time is None]
    assert [kind for kind in waiting if kind.startswith("account")] == []
