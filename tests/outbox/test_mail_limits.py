"""How many mails a clinic and a person may ask for in an hour, and how many invitations may wait for an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.app import create_app
from clinic_service.config import Config, ConfigError
from clinic_service.db.engine import Database
from clinic_service.models import Invite, MailRequest, OutboxEntry
from tests.conftest import SECRET
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, spec_apis
from tests.support.invites import NOW, at_once, make_pending
from tests.support.rows import (
    make_account,
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    share_code,
    stored,
    storing,
)

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
LIMITS: dict[str, Any] = {
    "max_pending_invites_per_clinic": 5,
    "max_pending_invites_per_person": 4,
    "max_mails_per_hour_per_clinic": 3,
    "max_mails_per_hour_per_person": 2,
}


@pytest.fixture(scope="session")
def strict_app(shared_database: Database, shared_config: Config) -> object:
    return create_app(replace(shared_config, **LIMITS), shared_database, apis=spec_apis())


@pytest.fixture
def api(database: Database, strict_app: object) -> Client:  # noqa: ARG001 - the database is emptied afterwards
    """A client of a server with small limits."""
    return Client(strict_app, SECRET)


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with Alice as its admin, Bob as a member, and the patients Carol and Dave."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        for person in (CAROL, DAVE):
            make_data_source(unit, make_patient(unit, clinic, person), "dexcom")
        return clinic.id


def invite(api: Client, clinic_id: str, name: str, as_: Somebody = ALICE) -> Reply:
    body = {"email": f"{name}@mail.example", "roles": ["CLINIC_MEMBER"]}
    return api.post(f"/v1/clinics/{clinic_id}/invites/clinicians", json=body, as_=as_)


def resend(api: Client, clinic_id: str, key: str, as_: Somebody = ALICE) -> Reply:
    return api.patch(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=as_)


def remind(api: Client, clinic_id: str, as_: Somebody = BOB, person: Somebody = CAROL) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patients/{person.id}/upload_reminder", as_=as_)


def connect(api: Client, clinic_id: str, as_: Somebody = BOB, person: Somebody = CAROL) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patients/{person.id}/connect/dexcom", as_=as_)


def offer(api: Client, clinic_id: str, person: Somebody) -> Reply:
    body = {"shareCode": share_code(clinic_id), "permissions": {"view": {}}}
    return api.post(f"/confirm/send/invite/{person.id}/clinic", json=body, as_=person)


def assert_limited(reply: Reply, seconds: int) -> None:
    assert_error(reply, 429)
    assert reply.headers["Retry-After"] == str(seconds)


class TestPerHour:
    def test_a_person_sends_so_many_invitations(self, api: Client, database: Database, clinic_id: str) -> None:
        with clock.frozen(NOW):
            assert [invite(api, clinic_id, name).status for name in "ab"] == [200, 200]
            assert_limited(invite(api, clinic_id, "c"), 3600)
        assert len(stored(database, Invite)) == len(stored(database, OutboxEntry)) == 2
        with clock.frozen(NOW + HOUR):
            assert invite(api, clinic_id, "c").status == 200

    def test_the_limit_of_a_person_spans_clinics(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_staffed_clinic(unit).id
        with clock.frozen(NOW):
            assert [invite(api, clinic, "a").status for clinic in (clinic_id, other)] == [200, 200]
            assert_limited(invite(api, other, "b"), 3600)
            assert invite(api, other, "b", SERVICE).status == 200

    def test_the_limit_of_a_clinic_counts_the_requests_of_all_callers(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        with storing(database) as unit:
            make_clinician(unit, unit.clinics.get(clinic_id), ERIN, "CLINIC_ADMIN")
            other = make_staffed_clinic(unit).id
        with clock.frozen(NOW):
            assert [invite(api, clinic_id, name).status for name in "ab"] == [200, 200]
            assert invite(api, clinic_id, "c", SERVICE).status == 200
            assert_limited(invite(api, clinic_id, "d", SERVICE), 3600)
            assert_limited(invite(api, clinic_id, "d", ERIN), 3600)
            assert invite(api, other, "d", SERVICE).status == 200

    def test_the_answer_tells_when_there_is_room_again(self, api: Client, clinic_id: str) -> None:
        for minutes in (0, 10):
            with clock.frozen(NOW + minutes * MINUTE):
                assert invite(api, clinic_id, f"a{minutes}").status == 200
        with clock.frozen(NOW + 20 * MINUTE + timedelta(seconds=0.5)):
            assert_limited(invite(api, clinic_id, "b"), 2400)
        with clock.frozen(NOW + HOUR):
            assert invite(api, clinic_id, "b").status == 200
            assert_limited(invite(api, clinic_id, "c"), 600)

    def test_sending_again_counts_and_withdrawing_gives_nothing_back(self, api: Client, clinic_id: str) -> None:
        with clock.frozen(NOW):
            key = invite(api, clinic_id, "a").json["inviteId"]
            assert resend(api, clinic_id, key).status == 200
            assert_limited(resend(api, clinic_id, key), 3600)
            assert api.delete(f"/v1/clinics/{clinic_id}/invites/clinicians/{key}", as_=ALICE).status == 200
            assert_limited(invite(api, clinic_id, "a"), 3600)

    def test_reminders_and_requests_to_connect_count_together(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        with clock.frozen(NOW):
            assert (remind(api, clinic_id).status, connect(api, clinic_id).status) == (200, 204)
            assert_limited(remind(api, clinic_id), 3600)
            assert_limited(connect(api, clinic_id, person=DAVE), 3600)
            assert remind(api, clinic_id, ALICE).status == 200
            assert_limited(connect(api, clinic_id, SERVICE), 3600)
            # What is refused is not counted, and each purpose is counted by itself.
            assert invite(api, clinic_id, "a").status == 200
        assert len(stored(database, OutboxEntry)) == 4

    def test_a_new_address_is_asked_again_within_the_limit(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        """Otherwise a change of the address would send mail to anybody, as often as one likes."""
        with storing(database) as unit:
            make_account(unit, PETE)
            make_patient(unit, unit.clinics.get(clinic_id), PETE, "custodian")
        path = f"/v1/clinics/{clinic_id}/patients/{PETE.id}"
        source = {"providerName": "dexcom", "state": "pending"}
        with clock.frozen(NOW):
            for number in range(4):
                body = {"fullName": "P", "birthDate": "1990-01-01", "email": f"{number}@mail.example"}
                assert api.put(path, json=body | {"dataSources": [source]}, as_=BOB).status == 200
                if number == 0:
                    assert connect(api, clinic_id, person=PETE).status == 204
        kinds = [entry.kind for entry in stored(database, OutboxEntry)]
        assert kinds.count("request_dexcom_connect_custodial") == 2
        assert api.get(path, as_=BOB).json["email"] == "3@mail.example"

    def test_a_clinic_gets_so_many_offers(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            quiet = make_staffed_clinic(unit, suppressed_notifications={"patientClinicInvitation": True}).id
            for person in (PETE, ERIN, MALLORY, CAROL):
                make_account(unit, person)
            unit.patients.remove([unit.patients.get(clinic_id, CAROL.id)], None)
        with clock.frozen(NOW):
            assert [offer(api, clinic_id, person).status for person in (PETE, ERIN, MALLORY)] == [200, 200, 200]
            assert_limited(offer(api, clinic_id, CAROL), 3600)
            # Nobody gets a mail here, so nothing is counted.
            assert [offer(api, quiet, person).status for person in (PETE, ERIN, MALLORY, CAROL)] == [200] * 4

    def test_what_is_older_than_an_hour_is_not_kept(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_staffed_clinic(unit).id
        with clock.frozen(NOW):
            assert [invite(api, clinic, "a").status for clinic in (clinic_id, other)] == [200, 200]
        with clock.frozen(NOW + HOUR):
            assert remind(api, clinic_id).status == 200
        kept = [(row.clinic_id, row.purpose) for row in stored(database, MailRequest)]
        assert sorted(kept) == sorted([(clinic_id, "reminder"), (other, "invitation")])

    def test_of_two_requests_for_the_last_place_one_gets_it(
        self, api: Client, database: Database, clinic_id: str
    ) -> None:
        assert [invite(api, clinic_id, name, SERVICE).status for name in "ab"] == [200, 200]
        calls = [lambda name=name: invite(api, clinic_id, name, SERVICE) for name in "cd"]
        assert at_once(database, clinic_id, *calls) == [200, 429]


class TestPending:
    def test_a_person_has_so_many_invitations_waiting(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            other = make_staffed_clinic(unit).id
        keys = []
        for hour, clinic in enumerate((clinic_id, other, clinic_id, other)):
            with clock.frozen(NOW + hour * HOUR):
                keys.append(invite(api, clinic, f"a{hour}").json["inviteId"])
        with clock.frozen(NOW + 5 * HOUR):
            assert_error(invite(api, clinic_id, "b"), 422)
            assert invite(api, clinic_id, "b", SERVICE).status == 200
            assert api.delete(f"/v1/clinics/{clinic_id}/invites/clinicians/{keys[0]}", as_=ALICE).status == 200
            assert invite(api, clinic_id, "c").status == 200

    def test_a_clinic_has_so_many_invitations_waiting(self, api: Client, database: Database, clinic_id: str) -> None:
        with storing(database) as unit:
            for number in range(5):
                make_pending(
                    unit, unit.clinics.get(clinic_id), ERIN, email=f"{number}@mail.example", creator_id="task-runner"
                )
            other = make_staffed_clinic(unit).id
        for caller in (ALICE, SERVICE):
            assert_error(invite(api, clinic_id, "a", caller), 422)
        assert invite(api, other, "a").status == 200
        assert len(stored(database, OutboxEntry)) == 1

    def test_a_patient_has_so_many_offers_waiting(self, api: Client, database: Database) -> None:
        with storing(database) as unit:
            make_account(unit, CAROL)
            clinics = [make_clinic(unit).id for _ in range(5)]
        for hour, clinic in enumerate(clinics[:4]):
            with clock.frozen(NOW + hour * HOUR):
                assert offer(api, clinic, CAROL).status == 200
        with clock.frozen(NOW + 5 * HOUR):
            assert_error(offer(api, clinics[4], CAROL), 422)
        # The first one has expired.
        with clock.frozen(NOW + timedelta(days=7)):
            assert offer(api, clinics[4], CAROL).status == 200


@pytest.mark.parametrize("name", list(LIMITS))
def test_a_limit_of_nothing_stops_the_start(name: str) -> None:
    nothing: dict[str, Any] = {name: 0}
    with pytest.raises(ConfigError, match=f"CLINIC_{name.upper()} must be at least 1"):
        replace(Config(), **nothing)
