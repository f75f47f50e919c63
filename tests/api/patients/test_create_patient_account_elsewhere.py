"""CreatePatientAccount where another system keeps the accounts: it answers, refuses, fails, hangs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import delete

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, OutboxEntry, Patient, Reservation
from clinic_service.resources.patients.accounts.changes import LIFETIME
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, CAROL, ERIN, SERVICE, Somebody
from tests.support.client import Reply
from tests.support.databases import open_transactions
from tests.support.errors import assert_error
from tests.support.failing import failing
from tests.support.hosted import NOW, Hosted
from tests.support.http_server import Received, Response
from tests.support.platform import MADE_UP
from tests.support.rows import make_clinic, make_patient, make_site, make_staffed_clinic, stored, storing

OLD_NUMBER = "A-1"


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        return make_staffed_clinic(unit, mrn_unique=True).id


def create(server: Hosted, clinic_id: str, as_: Somebody = BOB, **members: Any) -> Reply:
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": CAROL.email, "mrn": OLD_NUMBER} | members
    return server.api.post(f"/v1/clinics/{clinic_id}/patients", as_=as_, json=body)


def meanwhile(server: Hosted, act: Callable[[], object]) -> None:
    """Let `act` happen while the platform makes the account."""

    def answer(received: Received) -> None:
        if received.method == "POST":
            act()

    server.platform.on_bad_days = answer


def change(server: Hosted, work: Callable[[UnitOfWork], object]) -> Callable[[], None]:
    """A change of the database by somebody else, which would wait for a transaction that is open."""

    def act() -> None:
        with storing(server.database) as unit:
            work(unit)

    return act


def kinds(server: Hosted) -> list[str]:
    return [entry.kind for entry in stored(server.database, OutboxEntry)]


def assert_nothing_here(server: Hosted) -> None:
    for model in (Patient, OutboxEntry, Reservation):
        assert stored(server.database, model) == []


def test_the_platform_makes_the_account(server: Hosted, clinic_id: str) -> None:
    reply = create(server, clinic_id, email="Carol@Mail.Example")
    assert reply.status == 200
    [(user_id, address)] = server.platform.users.items()
    assert (reply.json["id"], reply.json["email"], address) == (user_id, CAROL.email, CAROL.email)
    assert server.platform.calls == [f"POST /v1/clinics/{clinic_id}/users"]
    assert server.platform.server.received[-1].json == {"username": CAROL.email, "emails": [CAROL.email]}
    [patient] = stored(server.database, Patient)
    assert patient.user_id == user_id
    assert kinds(server) == ["patient_added"]
    assert stored(server.database, Reservation) == []


def test_an_address_that_the_platform_makes_up_is_nobodys(server: Hosted, clinic_id: str) -> None:
    reply = create(server, clinic_id, email="")
    assert reply.status == 200
    assert server.platform.server.received[-1].json == {}
    assert MADE_UP not in str(reply.json)
    assert stored(server.database, Patient)[0].email is None


def test_nothing_is_locked_while_the_platform_is_asked(server: Hosted, clinic_id: str) -> None:
    """Rule: no call of another system inside an open transaction."""
    seen: list[int] = []

    def act() -> None:
        seen.append(open_transactions(server.database))
        change(server, lambda unit: unit.clinics.lock(clinic_id))()

    meanwhile(server, act)
    assert create(server, clinic_id).status == 200
    assert seen == [0]


def test_a_place_is_reserved_while_the_platform_is_asked(server: Hosted, clinic_id: str) -> None:
    seen: list[Reservation] = []
    meanwhile(server, lambda: seen.extend(stored(server.database, Reservation)))
    create(server, clinic_id)
    [reservation] = seen
    assert (reservation.clinic_id, reservation.user_id) == (clinic_id, None)


def test_the_platform_is_not_asked_for_what_is_refused_here(server: Hosted, clinic_id: str) -> None:
    """WP-2: the checks come before the account."""
    with storing(server.database) as unit:
        clinic = unit.clinics.get(clinic_id)
        make_patient(unit, clinic, ERIN, mrn=OLD_NUMBER, mrn_key="a-1", require_unique_mrn=True)
        foreign = make_site(unit, make_clinic(unit), "North").id
    assert_error(create(server, clinic_id), 400)
    assert_error(create(server, clinic_id, mrn="A-2", sites=[{"id": foreign, "name": "any"}]), 422)
    with storing(server.database) as unit:
        unit.clinics.get(clinic_id).patient_count_settings = {"hardLimit": {"plan": 0}}
    assert_error(create(server, clinic_id, mrn="A-2"), 402)
    assert server.platform.calls == []
    assert stored(server.database, Reservation) == []


def test_a_taken_address_is_a_conflict(server: Hosted, clinic_id: str) -> None:
    server.platform.users[ERIN.id] = CAROL.email
    assert_error(create(server, clinic_id), 409)
    assert_nothing_here(server)


@pytest.mark.parametrize("after", [False, True], ids=["not made", "made"])
@pytest.mark.parametrize(
    ("response", "status"),
    [
        pytest.param(Response(500), 502, id="failure"),
        pytest.param(Response(403), 502, id="refusal"),
        pytest.param(Response(201, body=b"<html>"), 502, id="no JSON"),
        pytest.param(Response(201, json={"userid": "Carol"}), 502, id="no user id"),
        pytest.param(Response(raw=b"garbage\r\n\r\n"), 502, id="no HTTP"),
        pytest.param(Response(raw=b""), 503, id="hung up"),
        pytest.param(Response(hang=True), 503, id="no answer"),
    ],
)
def test_a_platform_that_fails_leaves_nothing_anywhere(
    server: Hosted,
    clinic_id: str,
    response: Response,
    status: int,
    after: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server.platform.fail("POST", response, after=after)
    reply = create(server, clinic_id)
    assert_error(reply, status)
    assert (stored(server.database, Patient), stored(server.database, Reservation)) == ([], [])
    assert kinds(server) == ["account_unconfirmed"]
    # It is asked once: a second attempt could make a second account.
    assert server.platform.calls == [f"POST /v1/clinics/{clinic_id}/users"]
    written = capsys.readouterr()
    for value in (CAROL.email, CAROL.name, OLD_NUMBER):
        assert value not in str(reply) + caplog.text + written.out + written.err
    server.platform.on_bad_days = lambda _: None
    if not after:
        # It may still be at it, so it is asked again when it cannot be any more.
        assert server.deliver() == 0
    with clock.frozen(NOW if after else NOW + LIFETIME):
        assert server.deliver() == 1
        assert server.deliver() == after
    assert server.platform.users == {}


@pytest.mark.parametrize(
    ("happening", "status"),
    [
        pytest.param("number taken", 400, id="number taken"),
        pytest.param("limit lowered", 200, id="limit lowered"),
        pytest.param("clinic gone", 404, id="clinic gone"),
        pytest.param("access gone", 403, id="access gone"),
        pytest.param("site gone", 422, id="site gone"),
    ],
)
def test_what_changes_while_the_platform_is_asked_is_noticed(
    server: Hosted, clinic_id: str, happening: str, status: int
) -> None:
    """WP-13: a lost race is refused like anybody who comes too late, and its account is removed."""
    with storing(server.database) as unit:
        site = make_site(unit, unit.clinics.get(clinic_id), "North")

    def happen(unit: UnitOfWork) -> None:
        clinic = unit.clinics.get(clinic_id)
        if happening == "number taken":
            make_patient(unit, clinic, ERIN, mrn=OLD_NUMBER, mrn_key="a-1", require_unique_mrn=True)
        elif happening == "limit lowered":
            # The event that would remove the account is scheduled.
            clinic.patient_count_settings = {"hardLimit": {"plan": 0}}
        elif happening == "clinic gone":
            unit.execute(delete(Clinic).where(Clinic.id == clinic_id))
        elif happening == "access gone":
            unit.execute(delete(Clinician).where(Clinician.user_id == BOB.id))
        else:
            unit.session.delete(unit.session.merge(site))

    meanwhile(server, change(server, happen))
    # Members of a clinic that is gone have no access to it.
    reply = create(server, clinic_id, SERVICE if status == 404 else BOB, sites=[{"id": site.id, "name": "any"}])
    assert reply.status == status
    assert len(server.platform.users) == 1
    if status == 200:
        return
    assert CAROL.name not in [patient.full_name for patient in stored(server.database, Patient)]
    assert kinds(server) == ["account_orphaned"]
    assert server.deliver() == 1
    assert server.platform.users == {}
    assert server.platform.calls[-1].startswith("DELETE /user/")
    assert stored(server.database, Reservation) == []


def test_the_removal_is_tried_until_it_succeeds(server: Hosted, clinic_id: str) -> None:
    with failing(server.database, "INSERT INTO patients"):
        assert_error(create(server, clinic_id), 500)
    server.platform.fail("DELETE", Response(500))
    assert server.deliver() == 0
    [entry] = stored(server.database, OutboxEntry)
    assert (entry.attempts, entry.last_error, len(server.platform.users)) == (1, "BadGateway", 1)
    server.platform.on_bad_days = lambda _: None
    with clock.frozen(entry.next_attempt_time):
        assert server.deliver() == 1
    assert server.platform.users == {}


def test_an_account_that_nobody_would_remove_later_is_removed_at_once(server: Hosted, clinic_id: str) -> None:
    """Without an address, it could be found by nothing but its id."""
    with failing(server.database, "INSERT INTO outbox"):
        assert_error(create(server, clinic_id, email=""), 500)
    assert server.platform.calls[-1].startswith("DELETE /user/")
    assert server.platform.users == {}
    assert_nothing_here(server)
