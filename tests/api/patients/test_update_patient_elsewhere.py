"""UpdatePatient where another system keeps the accounts, and the address of an account has to change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.models import OutboxEntry, Patient, Reservation
from clinic_service.outbox.mail_limits import MailSender
from clinic_service.resources.patients.accounts import update
from clinic_service.resources.patients.accounts.changes import LIFETIME
from clinic_service.resources.patients.accounts.compensation import NOTHING_TO_COMPENSATE
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import BOB, CAROL, DAVE, ERIN
from tests.support.client import Reply
from tests.support.databases import open_transactions
from tests.support.errors import assert_error
from tests.support.failing import Defect, failing, given_up, losing_the_confirmation
from tests.support.hosted import NOW, Hosted
from tests.support.http_server import Received, Response
from tests.support.rows import make_patient, make_staffed_clinic, stored, storing

ALL = ("custodian", "view", "upload", "note")
NEW, OTHER = "new@mail.example", "other@mail.example"
PUT = f"PUT /user/{CAROL.id}"


@pytest.fixture
def server(server: Hosted) -> Hosted:
    server.platform.users.update({CAROL.id: CAROL.email, DAVE.id: DAVE.email})
    return server


@pytest.fixture
def clinic_id(database: Database) -> str:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, mrn_unique=True)
        make_patient(unit, clinic, CAROL, *ALL)
        return clinic.id


def change(server: Hosted, clinic_id: str, email: str = NEW, **members: Any) -> Reply:
    body = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": email} | members
    return server.api.put(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB, json=body)


def meanwhile(server: Hosted, act: Callable[[], object]) -> None:
    """Let `act` happen while the platform changes the account, before it does."""

    def answer(received: Received) -> None:
        if received.method == "PUT":
            server.platform.on_bad_days = lambda _: None
            act()

    server.platform.on_bad_days = answer


def committed(server: Hosted, work: Callable[[UnitOfWork], object]) -> None:
    """Do `work`; it would wait for a transaction that is open."""
    with storing(server.database) as unit:
        work(unit)


def set_record(server: Hosted, clinic_id: str, **values: Any) -> None:
    """Somebody else changes the record."""

    def work(unit: UnitOfWork) -> None:
        unit.clinics.lock(clinic_id)
        patient = unit.patients.get(clinic_id, CAROL.id)
        for name, value in values.items():
            setattr(patient, name, value)

    committed(server, work)


def both(server: Hosted) -> tuple[str | None, str | None]:
    """The address of the account, and the one of the record."""
    [record] = [patient.email for patient in stored(server.database, Patient) if patient.user_id == CAROL.id]
    return server.platform.users[CAROL.id], record


def kinds(server: Hosted) -> list[str]:
    return [entry.kind for entry in stored(server.database, OutboxEntry)]


def test_the_platform_is_told_the_new_address(server: Hosted, clinic_id: str) -> None:
    assert change(server, clinic_id, "New@Mail.Example").status == 200
    assert server.platform.calls == [PUT]
    assert server.platform.server.received[-1].json == {"updates": {"username": NEW, "emails": [NEW]}}
    assert both(server) == (NEW, NEW)
    assert (kinds(server), stored(server.database, Reservation)) == (["patient_changed"], [])


def test_the_platform_is_told_that_there_is_none(server: Hosted, clinic_id: str) -> None:
    assert change(server, clinic_id, "").status == 200
    assert server.platform.server.received[-1].json == {"updates": {"emails": []}}
    assert both(server) == ("", None)


def test_the_platform_is_asked_for_nothing_else(server: Hosted, clinic_id: str) -> None:
    """Rule: only when the address changes, and only after everything has been checked here."""
    with storing(server.database) as unit:
        make_patient(unit, unit.clinics.get(clinic_id), ERIN, mrn="E-1", mrn_key="e-1", require_unique_mrn=True)
    assert change(server, clinic_id, CAROL.email.upper(), fullName="Other").status == 200
    assert_error(change(server, clinic_id, mrn="e-1"), 400)
    assert_error(change(server, clinic_id, sites=[{"id": "0" * 24, "name": "any"}]), 422)
    set_record(server, clinic_id, permissions=("view",))
    assert change(server, clinic_id).status == 200
    assert server.platform.calls == []


def test_nothing_is_locked_while_the_platform_is_asked(server: Hosted, clinic_id: str) -> None:
    """Rule: no call of another system inside an open transaction."""
    seen: list[int] = []

    def act() -> None:
        seen.append(open_transactions(server.database))
        set_record(server, clinic_id, diagnosis_type="lada")

    meanwhile(server, act)
    assert change(server, clinic_id).json["diagnosisType"] == "lada"
    assert seen == [0]


def test_a_taken_address_is_a_conflict(server: Hosted, clinic_id: str) -> None:
    assert_error(change(server, clinic_id, DAVE.email), 409)
    assert both(server) == (CAROL.email, CAROL.email)
    assert (kinds(server), stored(server.database, Reservation)) == ([], [])
    assert change(server, clinic_id).status == 200


@pytest.mark.parametrize("after", [False, True], ids=["not changed", "changed"])
@pytest.mark.parametrize(
    ("response", "status"),
    [
        pytest.param(Response(500), 502, id="failure"),
        pytest.param(Response(raw=b"garbage\r\n\r\n"), 502, id="no HTTP"),
        pytest.param(Response(raw=b""), 503, id="hung up"),
        pytest.param(Response(hang=True), 503, id="no answer"),
    ],
)
def test_after_a_failure_the_account_gets_the_address_of_the_record(
    server: Hosted,
    clinic_id: str,
    response: Response,
    status: int,
    after: bool,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nobody knows whether the platform has changed the account."""
    server.platform.fail("PUT", response, after=after)
    reply = change(server, clinic_id, fullName="Somebody Else")
    assert_error(reply, status)
    assert both(server) == (NEW if after else CAROL.email, CAROL.email)
    assert kinds(server) == ["address_diverged"]
    # The platform goes on failing for a while.
    assert server.deliver() == 0
    server.platform.on_bad_days = lambda _: None
    with clock.frozen(NOW + timedelta(seconds=10)):
        assert server.deliver() == 1
    assert both(server) == (CAROL.email, CAROL.email)
    assert stored(server.database, Reservation) == []
    written = capsys.readouterr()
    for value in (NEW, "Somebody Else"):
        assert value not in str(reply) + caplog.text + written.out + written.err


@pytest.mark.parametrize("error", [Defect(), given_up()], ids=["defect", "given up"])
def test_the_address_is_set_back_when_the_record_cannot_follow(
    server: Hosted, clinic_id: str, error: Exception
) -> None:
    with failing(server.database, "UPDATE patients", error):
        reply = change(server, clinic_id)
    if isinstance(error, Defect):
        assert_error(reply, 500)
        assert both(server) == (NEW, CAROL.email)
        assert server.deliver() == 1
        assert both(server) == (CAROL.email, CAROL.email)
        assert change(server, clinic_id).status == 200
    # Done again by itself, without asking the platform again.
    assert both(server) == (NEW, NEW)
    assert server.platform.calls.count(PUT) == (3 if isinstance(error, Defect) else 1)


def test_an_address_that_was_recorded_stays(server: Hosted, clinic_id: str) -> None:
    with losing_the_confirmation(server.database, "UPDATE patients"):
        assert_error(change(server, clinic_id), 500)
    with clock.frozen(NOW + 2 * LIFETIME):
        server.deliver()
    assert both(server) == (NEW, NEW)
    assert server.platform.calls == [PUT]


def test_a_number_that_is_taken_meanwhile_sets_the_address_back(server: Hosted, clinic_id: str) -> None:
    def take(unit: UnitOfWork) -> None:
        make_patient(unit, unit.clinics.get(clinic_id), ERIN, mrn="E-1", mrn_key="e-1", require_unique_mrn=True)

    meanwhile(server, lambda: committed(server, take))
    assert_error(change(server, clinic_id, mrn="E-1"), 400)
    assert both(server) == (NEW, CAROL.email)
    assert server.deliver() == 1
    assert both(server) == (CAROL.email, CAROL.email)


def test_whoever_comes_meanwhile_has_to_try_again(server: Hosted, clinic_id: str) -> None:
    """Two changes of one address at a time could leave the account with the other one than the record."""
    replies: list[Reply] = []
    meanwhile(server, lambda: replies.append(change(server, clinic_id, OTHER)))
    assert change(server, clinic_id).status == 200
    assert_error(replies[0], 503)
    assert replies[0].headers["Retry-After"]
    assert both(server) == (NEW, NEW)
    assert change(server, clinic_id, OTHER).status == 200
    assert both(server) == (OTHER, OTHER)


def test_a_record_that_changes_meanwhile_wins(server: Hosted, clinic_id: str) -> None:
    """As when the account's owner has changed the address."""
    meanwhile(server, lambda: set_record(server, clinic_id, email=OTHER))
    assert_error(change(server, clinic_id), 503)
    assert both(server) == (NEW, OTHER)
    assert server.deliver() == 1
    assert both(server) == (OTHER, OTHER)


def test_a_record_that_changes_before_the_last_transaction_is_compared_again(server: Hosted, clinic_id: str) -> None:
    """Without a new address the account was not asked, so the record may not get one either."""
    seen = update.Update({"full_name": CAROL.name, "birth_date": "1987-04-12", "email": CAROL.email})
    set_record(server, clinic_id, email=OTHER)
    with pytest.raises(Unavailable), storing(server.database) as unit:
        update.replace(unit, clinic_id, CAROL.id, seen, MailSender(BOB.id, Config()))
    assert both(server)[1] == OTHER


@pytest.mark.parametrize("happening", ["claimed", "gone"])
def test_an_account_that_is_not_the_clinics_any_more_is_left_alone(
    server: Hosted, clinic_id: str, happening: str
) -> None:
    with failing(server.database, "UPDATE patients"):
        assert_error(change(server, clinic_id), 500)
    if happening == "claimed":
        set_record(server, clinic_id, permissions=("view",))
    else:
        committed(server, lambda unit: unit.session.delete(unit.patients.get(clinic_id, CAROL.id)))
    assert server.deliver() == 1
    assert server.platform.calls == [PUT]
    [entry] = stored(server.database, OutboxEntry)
    assert entry.last_error == NOTHING_TO_COMPENSATE


def test_a_removed_account_needs_no_compensation(server: Hosted, clinic_id: str) -> None:
    with failing(server.database, "UPDATE patients"):
        change(server, clinic_id)
    del server.platform.users[CAROL.id]
    assert server.deliver() == 1
    [entry] = stored(server.database, OutboxEntry)
    assert entry.last_error == NOTHING_TO_COMPENSATE
    assert stored(server.database, Reservation) == []


def test_the_compensation_waits_for_a_change_that_is_under_way(server: Hosted, clinic_id: str) -> None:
    with failing(server.database, "UPDATE patients"):
        change(server, clinic_id)
    delivered: list[int] = []
    meanwhile(server, lambda: delivered.append(server.deliver()))
    assert change(server, clinic_id, OTHER).status == 200
    assert delivered == [0]
    assert both(server) == (OTHER, OTHER)
    with clock.frozen(NOW + timedelta(seconds=10)):
        server.deliver()
    assert both(server) == (OTHER, OTHER)
