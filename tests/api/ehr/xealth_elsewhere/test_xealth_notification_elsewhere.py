"""XealthNotification where Xealth, its token endpoint or the accounts service fail, or others are faster.

A notification that fails leaves nothing behind, so Xealth can send it again.
"""

from __future__ import annotations

from secrets import token_hex

import pytest

from clinic_service import clock
from clinic_service.models import OutboxEntry, Patient, Reservation, XealthOrder
from clinic_service.resources.patients.accounts.changes import LIFETIME
from tests.api.ehr.xealth_elsewhere.steps import assert_made_once, deliver_all, enter, notify
from tests.support.cast import CAROL, ERIN
from tests.support.databases import open_transactions
from tests.support.errors import assert_error
from tests.support.failing import losing_the_confirmation
from tests.support.http_server import Received, Response
from tests.support.platform import Platform
from tests.support.rows import stored, storing
from tests.support.units import everything
from tests.support.xealth_server import CLIENT_SECRET
from tests.support.xealth_site import BIRTH_DATE, DEPLOYMENT, EMAIL, MRN, NOW, ORDER_ID, XealthSite, order

READ = f"GET /partner/read/order/{DEPLOYMENT}/{ORDER_ID}"
PERSONAL = (MRN, "Cooper", BIRTH_DATE, EMAIL)
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
    @pytest.mark.one_engine
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

    @pytest.mark.one_engine
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
        site.xealth.answer = lambda _: seen.append(open_transactions(site.database))
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
        there.on_bad_days = lambda _: seen.append(open_transactions(site.database))
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
