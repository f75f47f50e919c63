"""CreatePatientAccount where something fails on the way: neither an orphan account nor half a patient remains (WP-2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.models import EmbeddedAccount, OutboxEntry, Patient, Reservation
from clinic_service.preparation import Preparation, Services
from clinic_service.resources.patients.accounts import create as account_creation
from clinic_service.resources.patients.accounts.changes import LIFETIME
from clinic_service.resources.patients.errors import PatientLimitReached
from clinic_service.unit_of_work import reading
from tests.support.cast import BOB, CAROL, DAVE, ERIN, SERVICE
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.failing import failing, given_up, losing_the_confirmation
from tests.support.relays import make_relay
from tests.support.rows import make_account, make_patient, make_staffed_clinic, stored, storing

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
GIVEN = {"full_name": CAROL.name, "birth_date": "1987-04-12", "email": CAROL.email}
BODY: dict[str, Any] = {"fullName": CAROL.name, "birthDate": "1987-04-12", "email": CAROL.email}
LAST_TRANSACTION = "INSERT INTO account_emails"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic whose plan has one place."""
    with storing(database) as unit:
        return make_staffed_clinic(unit, patient_count_settings={"hardLimit": {"plan": 1}}).id


def create(api: Client, clinic_id: str) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=BODY)


def make_account_and_stop(database: Database, clinic_id: str) -> account_creation.CustodialAccount:
    """As far as a process comes that ends before it can store the record."""
    with reading(database) as unit:
        services = Services(Config(), EmbeddedAccounts(database))
        preparation = Preparation(Caller(BOB.id, CallerKind.PERSON), unit, services, database)
        return account_creation.make_account(preparation, clinic_id, GIVEN)


def enrol(database: Database, clinic_id: str, custodial: account_creation.CustodialAccount) -> None:
    with storing(database) as unit:
        account_creation.enrol(unit, clinic_id, custodial, BOB.id, None)


def deliver(database: Database) -> int:
    return make_relay(database, Config(), None, EmbeddedAccounts(database)).deliver_due()


def left_behind(database: Database) -> tuple[int, int, list[str]]:
    """How many accounts and records there are, and the kinds of the events."""
    kinds = [entry.kind for entry in stored(database, OutboxEntry)]
    return len(stored(database, EmbeddedAccount)), len(stored(database, Patient)), kinds


def after(time: timedelta) -> Any:
    return clock.frozen(NOW + time)


@pytest.mark.parametrize(
    "statement",
    ["SELECT", "DELETE FROM outbox", "DELETE FROM reservations", "INSERT INTO patients", "INSERT INTO outbox"],
)
def test_the_account_goes_when_the_record_cannot_be_stored(
    api: Client, database: Database, clinic_id: str, statement: str
) -> None:
    with failing(database, statement, after=LAST_TRANSACTION):
        assert_error(create(api, clinic_id), 500)
    assert left_behind(database) == (1, 0, ["account_orphaned"])
    assert stored(database, Reservation) == []
    assert deliver(database) == 1
    assert left_behind(database) == (0, 0, ["account_orphaned"])
    assert create(api, clinic_id).status == 200


def test_a_transaction_that_runs_again_makes_no_second_account(api: Client, database: Database, clinic_id: str) -> None:
    with failing(database, "INSERT INTO patients", given_up()):
        assert create(api, clinic_id).status == 200
    assert left_behind(database) == (1, 1, ["patient_added"])


def test_an_account_whose_record_was_stored_stays(api: Client, database: Database, clinic_id: str) -> None:
    """The confirmation of a commit can get lost, and with it the knowledge of how the transaction ended."""
    with losing_the_confirmation(database, "INSERT INTO patients"):
        assert_error(create(api, clinic_id), 500)
    with after(2 * LIFETIME):
        assert deliver(database) == 0
    assert left_behind(database) == (1, 1, ["patient_added"])


@pytest.mark.parametrize("statement", ["DELETE FROM reservations", "UPDATE outbox"])
def test_what_cannot_be_undone_at_once_is_undone_later(
    api: Client, database: Database, clinic_id: str, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(database, statement, after="INSERT INTO patients"), failing(database, "INSERT INTO patients"):
        assert_error(create(api, clinic_id), 500)
    assert "CreatePatientAccount: could not be compensated: Defect" in caplog.text
    assert CAROL.name not in caplog.text
    assert deliver(database) == 0
    with after(LIFETIME):
        assert deliver(database) == 1
        assert left_behind(database) == (0, 0, ["account_orphaned"])
        assert create(api, clinic_id).status == 200
    assert stored(database, Reservation) == []


class TestProcessThatEnds:
    def test_before_the_record_is_stored(self, api: Client, database: Database, clinic_id: str) -> None:
        make_account_and_stop(database, clinic_id)
        assert left_behind(database) == (1, 0, ["account_orphaned"])
        assert deliver(database) == 0
        with after(LIFETIME):
            assert deliver(database) == 1
            assert create(api, clinic_id).status == 200
        assert left_behind(database) == (1, 1, ["account_orphaned", "patient_added"])

    def test_before_the_account_is_made(self, database: Database, clinic_id: str) -> None:
        """Then there is nothing to remove, which is no error."""
        with failing(database, "INSERT INTO accounts", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):  # type: ignore[arg-type]
            make_account_and_stop(database, clinic_id)
        with after(LIFETIME):
            assert deliver(database) == 1

    def test_gives_its_place_back_after_a_minute(self, api: Client, database: Database, clinic_id: str) -> None:
        make_account_and_stop(database, clinic_id)
        just_before = LIFETIME - timedelta(milliseconds=1)
        with after(just_before):
            assert_error(create(api, clinic_id), 402)
        with after(LIFETIME):
            deliver(database)
            assert create(api, clinic_id).status == 200
        # The next one has removed what was left of it.
        assert stored(database, Reservation) == []


class TestSlowProcess:
    def test_does_not_store_a_record_whose_account_is_gone(self, database: Database, clinic_id: str) -> None:
        custodial = make_account_and_stop(database, clinic_id)
        with after(LIFETIME):
            assert deliver(database) == 1
            with pytest.raises(Unavailable):
                enrol(database, clinic_id, custodial)
        assert left_behind(database) == (0, 0, ["account_orphaned"])

    def test_stores_the_record_if_there_is_a_place_still(self, database: Database, clinic_id: str) -> None:
        custodial = make_account_and_stop(database, clinic_id)
        with after(LIFETIME):
            enrol(database, clinic_id, custodial)
            deliver(database)
        assert left_behind(database) == (1, 1, ["patient_added"])

    def test_is_refused_if_the_place_has_been_given_away(self, api: Client, database: Database, clinic_id: str) -> None:
        custodial = make_account_and_stop(database, clinic_id)
        with after(LIFETIME):
            other = BODY | {"email": DAVE.email}
            assert api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=other).status == 200
            with pytest.raises(PatientLimitReached):
                enrol(database, clinic_id, custodial)


class TestReservation:
    def test_holds_the_place_against_everybody(self, api: Client, database: Database, clinic_id: str) -> None:
        """Whoever already has an account takes up a place as well, if the clinic is to manage it."""
        with storing(database) as unit:
            make_account(unit, DAVE)
        make_account_and_stop(database, clinic_id)
        body: dict[str, Any] = {"permissions": {"custodian": {}}}
        assert_error(api.post(f"/v1/clinics/{clinic_id}/patients/{DAVE.id}", as_=SERVICE, json=body), 402)
        assert_error(create(api, clinic_id), 402)

    def test_is_good_for_the_patient_it_was_made_for(self, database: Database, clinic_id: str) -> None:
        """A claimed patient, who is never refused, may come in between."""
        custodial = make_account_and_stop(database, clinic_id)
        with storing(database) as unit:
            make_patient(unit, unit.clinics.get(clinic_id), ERIN)
        enrol(database, clinic_id, custodial)
        assert len(stored(database, Patient)) == 2
        assert stored(database, Reservation) == []

    def test_of_another_clinic_does_not_count(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_staffed_clinic(unit).id
        make_account_and_stop(database, other)
        assert api.post(f"/v1/clinics/{clinic_id}/patients", as_=BOB, json=BODY | {"email": ""}).status == 200
