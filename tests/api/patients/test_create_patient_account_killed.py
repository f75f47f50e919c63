"""CreatePatientAccount where another system keeps the accounts, and the process ends in the middle of it."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

import pytest

from clinic_service import clock
from clinic_service.models import OutboxEntry, Patient, Reservation
from tests.support.cast import BOB, CAROL, ERIN
from tests.support.client import Reply
from tests.support.databases import clear
from tests.support.errors import assert_error
from tests.support.hosted import NOW, Hosted
from tests.support.http_server import Received, Response
from tests.support.killing import killed_at
from tests.support.rows import make_patient, make_staffed_clinic, stored, storing

# When nothing of what was begun can be under way any more.
LATER = NOW + timedelta(minutes=10)


def start_anew(server: Hosted) -> str:
    """A clinic, and a platform without accounts."""
    server.platform.forget()
    clear(server.database)
    with storing(server.database) as unit:
        return make_staffed_clinic(unit).id


def create(server: Hosted, clinic_id: str) -> Reply:
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": CAROL.email}
    return server.api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=body)


def deliver_all(server: Hosted) -> None:
    with clock.frozen(LATER):
        while server.deliver():
            pass


def add_older_account(server: Hosted, clinic_id: str, **origin: str) -> None:
    """Erin's account, which has had Carol's address for an hour."""
    server.platform.users[ERIN.id] = CAROL.email
    made = clock.to_wire(NOW - timedelta(hours=1))
    server.platform.origins[ERIN.id] = {"createdTime": made, "createdUserId": clinic_id} | origin


def patients(server: Hosted) -> set[str]:
    return {patient.user_id for patient in stored(server.database, Patient)}


def kinds(server: Hosted) -> list[str]:
    return [entry.kind for entry in stored(server.database, OutboxEntry) if entry.delivered_time is None]


def test_whenever_it_ends_there_is_an_account_with_a_patient_or_neither(server: Hosted) -> None:
    outcomes: list[int] = []
    for last in count(1):
        clinic_id = start_anew(server)
        with killed_at(server.database, last) as steps:
            create(server, clinic_id)
        deliver_all(server)
        assert set(server.platform.users) == patients(server), last
        outcomes.append(len(server.platform.users))
        with clock.frozen(LATER):
            assert create(server, clinic_id).status == (409 if outcomes[-1] else 200), last
        if not steps.reached:
            break
    # It is not stored at first, and from some step on it is.
    assert len(outcomes) > 15
    assert outcomes == sorted(outcomes)
    assert outcomes.count(0) > 10


def test_whenever_it_ends_an_older_account_with_the_address_stays(server: Hosted) -> None:
    for last in count(1):
        clinic_id = start_anew(server)
        add_older_account(server, clinic_id)
        with killed_at(server.database, last) as steps:
            assert_error(create(server, clinic_id), 409)
        deliver_all(server)
        assert server.platform.users == {ERIN.id: CAROL.email}, last
        if not steps.reached:
            break
    assert last > 5
    assert stored(server.database, OutboxEntry) == []


def kill_after_the_answer(server: Hosted, clinic_id: str) -> None:
    """The account is there, and what is known of it here is the schedule to remove it."""
    before = len(server.platform.calls)
    for last in count(1):
        with killed_at(server.database, last):
            create(server, clinic_id)
        if len(server.platform.calls) > before:
            break
        remove_scheduled_events(server)
    assert kinds(server) == ["account_unconfirmed"]


def remove_scheduled_events(server: Hosted) -> None:
    with storing(server.database) as unit:
        for model in (OutboxEntry, Reservation):
            unit.execute(model.__table__.delete())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "origin",
    [
        pytest.param({"createdTime": "2026-03-02T09:29:57Z"}, id="older"),
        pytest.param({"createdTime": "2026-03-02T09:31:00Z"}, id="made when the attempt was over"),
        pytest.param({"createdTime": "2026-03-02T09:30:00"}, id="made in no time zone"),
        pytest.param({"createdTime": ""}, id="made at a time that is not told"),
        pytest.param({"createdUserId": "65f1c0de0a1b2c3d4e5f6a7b"}, id="made for another clinic"),
        pytest.param({"createdUserId": ""}, id="made for nobody"),
    ],
)
def test_an_account_that_may_be_somebody_elses_stays(server: Hosted, origin: dict[str, str]) -> None:
    clinic_id = start_anew(server)
    kill_after_the_answer(server, clinic_id)
    [user_id] = server.platform.users
    server.platform.origins[user_id] |= origin
    deliver_all(server)
    assert set(server.platform.users) == {user_id}
    assert kinds(server) == []


@pytest.mark.parametrize("made", ["2026-03-02T09:29:58Z", "2026-03-02T09:30:59.999Z", "2026-03-02T10:30:00+01:00"])
def test_clocks_may_differ_a_little(server: Hosted, made: str) -> None:
    clinic_id = start_anew(server)
    kill_after_the_answer(server, clinic_id)
    for origin in server.platform.origins.values():
        origin["createdTime"] = made
    deliver_all(server)
    assert server.platform.users == {}


def test_an_account_that_has_become_a_patients_stays(server: Hosted) -> None:
    clinic_id = start_anew(server)
    kill_after_the_answer(server, clinic_id)
    [user_id] = server.platform.users
    with storing(server.database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), CAROL._replace(id=user_id))
    deliver_all(server)
    assert set(server.platform.users) == {user_id}
    assert kinds(server) == []


def test_while_the_clinic_makes_accounts_the_removal_waits(server: Hosted) -> None:
    """The one with the address may be of another attempt, which is under way."""
    clinic_id = start_anew(server)
    server.platform.fail("POST", Response(500))
    assert_error(create(server, clinic_id), 502)
    delivered: list[int] = []

    def answer(received: Received) -> Response | None:
        if received.method != "POST":
            return None
        made = server.platform.carry_out(received)
        delivered.append(server.deliver())
        return made

    server.platform.on_bad_days = answer
    with clock.frozen(NOW + timedelta(seconds=5)):
        reply = create(server, clinic_id)
    assert (reply.status, delivered) == (200, [0])
    with clock.frozen(LATER + timedelta(hours=1)):
        server.deliver()
    assert set(server.platform.users) == patients(server) == {reply.json["id"]}
    assert "account_unconfirmed" not in kinds(server)
