"""The rules that UpdatePatient keeps about medical record numbers and about the addresses of accounts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.models import AccountEmail, EhrSubscription, EmbeddedAccount, OutboxEntry, Patient, Reservation
from tests.support.cast import ALICE, BOB, CAROL, DAVE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error
from tests.support.rows import LONG_AGO, make_account, make_patient, make_staffed_clinic, stored, storing
from tests.support.units import everything

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ALL = ("custodian", "view", "upload", "note")
NEW = "new@mail.example"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with two patients whose accounts it manages. Alice invited Carol."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_account(unit, CAROL)
        make_account(unit, DAVE)
        make_patient(unit, clinic, CAROL, *ALL, mrn="C-1", mrn_key="c-1", invited_by=ALICE.id)
        make_patient(unit, clinic, DAVE, *ALL, mrn="D-1", mrn_key="d-1")
        return clinic.id


def set_up(database: Database, clinic_id: str, **values: Any) -> None:
    """Give the clinic these settings."""
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for name, value in values.items():
            setattr(clinic, name, value)


def change(api: Client, clinic_id: str, whom: Somebody = CAROL, as_: Somebody = BOB, **members: Any) -> Reply:
    """Send the record back with these members changed; ... leaves a member out."""
    path = f"/v1/clinics/{clinic_id}/patients/{whom.id}"
    body = api.get(path, as_=BOB).json | members
    return api.put(path, as_=as_, json={name: value for name, value in body.items() if value is not ...})


def carol(database: Database) -> Patient:
    return next(patient for patient in stored(database, Patient) if patient.user_id == CAROL.id)


def addresses(database: Database) -> dict[str, str]:
    """The addresses of accounts by user id, as people sign in with them."""
    emails = {row.user_id: row.email for row in stored(database, AccountEmail)}
    assert emails == {row.user_id: row.username for row in stored(database, EmbeddedAccount) if row.username}
    return emails


class TestSubscriptions:
    """A health record knows the patient by the number, so its subscriptions end when the number is another one."""

    @pytest.fixture
    def clinic_id(self, database: Database, clinic_id: str) -> str:
        with storing(database) as unit:
            for patient in unit.patients.all_of_user(CAROL.id), unit.patients.all_of_user(DAVE.id):
                unit.session.add(make_subscription(patient[0], "summaryAndReports", active=True))
                unit.session.add(make_subscription(patient[0], "xealthReports", active=False))
        return clinic_id

    def _states(self, database: Database, patient_id: str) -> dict[str, tuple[bool, datetime]]:
        rows = stored(database, EhrSubscription)
        return {row.name: (row.active, row.updated_time) for row in rows if row.patient_id == patient_id}

    @pytest.mark.parametrize("mrn", ["C-2", "c-1", ...])
    def test_end_with_any_other_text_and_with_none(
        self, api: Client, database: Database, clinic_id: str, mrn: Any
    ) -> None:
        others = {row.patient_id for row in stored(database, EhrSubscription)} - {carol(database).id}
        assert change(api, clinic_id, mrn=mrn).status == 200
        assert self._states(database, carol(database).id) == {
            "summaryAndReports": (False, NOW),
            "xealthReports": (False, LONG_AGO),
        }
        assert self._states(database, others.pop())["summaryAndReports"] == (True, LONG_AGO)

    def test_stay_when_the_number_does(self, api: Client, database: Database, clinic_id: str) -> None:
        assert change(api, clinic_id, fullName="Carol Archer").status == 200
        assert self._states(database, carol(database).id)["summaryAndReports"] == (True, LONG_AGO)


def make_subscription(patient: Patient, name: str, *, active: bool) -> EhrSubscription:
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id, "name": name}
    return EhrSubscription(**key, provider="redox", active=active, created_time=LONG_AGO, updated_time=LONG_AGO)


class TestNumbers:
    def test_required_ones_must_be_given(self, api: Client, database: Database, clinic_id: str) -> None:
        set_up(database, clinic_id, mrn_required=True)
        before = everything(database)
        assert_error(change(api, clinic_id, mrn=...), 400)
        assert everything(database) == before
        assert change(api, clinic_id, mrn="C-2").status == 200

    @pytest.mark.parametrize("mrn", ["C-1", "c-1", " C-1 "])
    def test_the_own_one_is_no_conflict(self, api: Client, database: Database, clinic_id: str, mrn: str) -> None:
        set_up(database, clinic_id, mrn_unique=True)
        reply = change(api, clinic_id, mrn=mrn)
        assert (reply.status, reply.json["mrn"]) == (200, mrn)

    @pytest.mark.parametrize("mrn", ["D-1", "d-1", " D-1"])
    def test_somebody_elses_is_refused(self, api: Client, database: Database, clinic_id: str, mrn: str) -> None:
        set_up(database, clinic_id, mrn_unique=True)
        before = everything(database)
        reply = change(api, clinic_id, mrn=mrn, fullName="Other")
        assert_error(reply, 400)
        assert mrn not in str(reply.json)
        assert everything(database) == before

    def test_they_repeat_where_the_clinic_does_not_mind(self, api: Client, clinic_id: str) -> None:
        assert change(api, clinic_id, mrn="D-1").status == 200

    def test_a_repeated_one_is_refused_at_the_next_change_of_the_record(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        change(api, clinic_id, mrn="D-1")
        set_up(database, clinic_id, mrn_unique=True)
        assert_error(change(api, clinic_id, fullName="Other"), 400)
        assert change(api, clinic_id, fullName="Other", mrn="C-1").status == 200

    def test_a_record_is_held_against_others_as_long_as_the_clinic_asks_for_it(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        set_up(database, clinic_id, mrn_unique=True)
        assert change(api, clinic_id, fullName="Other").status == 200
        assert carol(database).require_unique_mrn
        set_up(database, clinic_id, mrn_unique=False)
        time = carol(database).updated_time
        assert change(api, clinic_id).status == 200
        assert (carol(database).require_unique_mrn, carol(database).updated_time) == (False, time)

    def test_of_two_at_once_one_gets_it(self, api: Client, database: Database, clinic_id: str) -> None:
        set_up(database, clinic_id, mrn_unique=True)
        with ThreadPoolExecutor(2) as pool:
            replies = list(pool.map(lambda who: change(api, clinic_id, who, mrn="X-1"), (CAROL, DAVE)))
        assert sorted(reply.status for reply in replies) == [200, 400]
        assert sorted(patient.mrn or "" for patient in stored(database, Patient)) in (["C-1", "X-1"], ["D-1", "X-1"])


class TestAddresses:
    def test_the_account_follows_the_record(self, api: Client, database: Database, clinic_id: str) -> None:
        reply = change(api, clinic_id, email="New@Mail.Example")
        assert (reply.status, reply.json["email"]) == (200, NEW)
        assert reply.json["updatedTime"] == "2026-03-02T09:30:00.000Z"
        assert addresses(database) == {CAROL.id: NEW, DAVE.id: DAVE.email}
        [event] = stored(database, OutboxEntry)
        assert event.kind == "patient_changed"
        assert event.payload == {
            "clinicId": clinic_id,
            "userId": CAROL.id,
            "changed": ["email"],
            "custodial": True,
        }
        assert stored(database, Reservation) == []

    @pytest.mark.parametrize(("email", "mails"), [(NEW, ["request_dexcom_connect_custodial"]), ("", [])])
    def test_rule_the_new_one_gets_the_requests_that_it_never_got(
        self, api: Client, database: Database, clinic_id: str, email: str, mails: list[str]
    ) -> None:
        with storing(database) as unit:
            request = {"providerName": "dexcom", "createdTime": "2026-01-05T08:30:00.000Z"}
            unit.patients.get(clinic_id, CAROL.id).connection_requests = {"dexcom": [request]}
        change(api, clinic_id, fullName="Other")
        change(api, clinic_id, email=email)
        kinds = [entry.kind for entry in stored(database, OutboxEntry)]
        assert kinds == ["patient_changed", "patient_changed", *mails]

    @pytest.mark.parametrize("nothing", [..., ""])
    def test_it_is_taken_away_when_none_is_given(
        self, api: Client, database: Database, clinic_id: str, nothing: Any
    ) -> None:
        reply = change(api, clinic_id, email=nothing)
        assert reply.status == 200
        assert "email" not in reply.json
        assert addresses(database) == {DAVE.id: DAVE.email}
        assert (carol(database).email, carol(database).invited_by) == (None, None)

    def test_the_person_who_gives_it_is_who_invites(self, api: Client, database: Database, clinic_id: str) -> None:
        """WP-8."""
        change(api, clinic_id, email=NEW)
        assert carol(database).invited_by == BOB.id

    def test_a_service_invites_nobody(self, api: Client, database: Database, clinic_id: str) -> None:
        change(api, clinic_id, as_=SERVICE, email=NEW)
        assert (carol(database).email, carol(database).invited_by) == (NEW, ALICE.id)

    def test_other_changes_leave_the_inviter(self, api: Client, database: Database, clinic_id: str) -> None:
        change(api, clinic_id, fullName="Other", email=CAROL.email.upper())
        assert carol(database).invited_by == ALICE.id

    def test_of_a_claimed_account_it_is_not_the_clinics(self, api: Client, database: Database, clinic_id: str) -> None:
        """WP-9."""
        with storing(database) as unit:
            unit.patients.get(clinic_id, CAROL.id).permissions = ("view",)
        reply = change(api, clinic_id, email=DAVE.email, fullName="Other")
        assert (reply.status, reply.json["email"]) == (200, CAROL.email)
        assert addresses(database)[CAROL.id] == CAROL.email
        assert change(api, clinic_id, email=...).json["email"] == CAROL.email

    def test_one_that_is_taken_is_a_conflict(self, api: Client, database: Database, clinic_id: str) -> None:
        before = everything(database)
        reply = change(api, clinic_id, email=DAVE.email.upper(), fullName="Other")
        assert_error(reply, 409)
        assert DAVE.email not in str(reply).lower()
        assert everything(database) == before
        # Nothing is in the way of another attempt.
        assert change(api, clinic_id, email=NEW).status == 200

    def test_the_account_must_be_there(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            unit.session.delete(unit.session.get(EmbeddedAccount, CAROL.id))
        before = everything(database)
        assert_error(change(api, clinic_id, email=NEW), 404)
        assert everything(database) == before
        # Without another address nobody asks for it.
        assert change(api, clinic_id, fullName="Other").status == 200

    @pytest.mark.parametrize(
        ("members", "status"), [({"mrn": "D-1"}, 400), ({"sites": [{"id": "0" * 24, "name": "any"}]}, 422)]
    )
    def test_it_changes_only_when_everything_else_may(
        self, api: Client, database: Database, clinic_id: str, members: dict[str, Any], status: int
    ) -> None:
        set_up(database, clinic_id, mrn_unique=True)
        before = everything(database)
        assert_error(change(api, clinic_id, email=NEW, **members), status)
        assert_error(change(api, clinic_id, email=DAVE.email, **members), status)
        assert everything(database) == before

    def test_sending_it_again_changes_nothing(self, api: Client, database: Database, clinic_id: str) -> None:
        first = change(api, clinic_id, email=NEW).json
        before = everything(database)
        assert change(api, clinic_id, email=NEW.upper()).json == first
        assert everything(database) == before

    def test_two_at_once_leave_account_and_record_alike(self, api: Client, database: Database, clinic_id: str) -> None:
        with ThreadPoolExecutor(4) as pool:
            emails = [f"new{number}@mail.example" for number in range(8)]
            statuses = [reply.status for reply in pool.map(lambda email: change(api, clinic_id, email=email), emails)]
        # Whoever comes while another one is at it is asked to try again.
        assert set(statuses) <= {200, 503}
        assert 200 in statuses
        assert addresses(database)[CAROL.id] == carol(database).email
