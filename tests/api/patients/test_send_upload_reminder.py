"""SendUploadReminder: POST /v1/clinics/{clinicId}/patients/{patientId}/upload_reminder"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.mail_messages import Mail
from clinic_service.models import OutboxEntry, Patient
from clinic_service.outbox.relay import NO_RECIPIENT
from tests.support.cast import ALICE, BOB, CAROL, DAVE, ERIN, MALLORY, PETE, SERVICE, Somebody
from tests.support.client import Client, Reply
from tests.support.errors import assert_error, assert_violations
from tests.support.relays import make_relay
from tests.support.rows import (
    LONG_AGO,
    make_account,
    make_clinic,
    make_clinician,
    make_data_source,
    make_patient,
    make_staffed_clinic,
    make_tag,
    stored,
    storing,
    tag_patient,
)
from tests.support.units import assert_all_or_nothing, everything, meanwhile, number_of_statements

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def clinic_id(database: Database) -> str:
    """A clinic with two patients, Carol and Dave; Carol is one elsewhere, too."""
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit)
        make_patient(unit, clinic, CAROL)
        make_patient(unit, clinic, DAVE)
        make_patient(unit, make_clinic(unit), CAROL)
        return clinic.id


def remind(api: Client, clinic_id: str, person: Somebody = CAROL, as_: Somebody | None = BOB) -> Reply:
    return api.post(f"/v1/clinics/{clinic_id}/patients/{person.id}/upload_reminder", as_=as_)


def times(database: Database) -> list[tuple[str, datetime | None, datetime]]:
    """Whose last reminder was when, and when the record changed; the clinic's own patients first."""
    return [(p.user_id, p.last_upload_reminder_time, p.updated_time) for p in stored(database, Patient)]


@pytest.mark.parametrize("caller", [ALICE, BOB])
def test_notes_the_time_and_answers_the_whole_patient(
    api: Client, database: Database, clinic_id: str, caller: Somebody
) -> None:
    with storing(database) as unit:
        patient = unit.patients.get(clinic_id, CAROL.id)
        tag_patient(unit, patient, make_tag(unit, unit.clinics.get(clinic_id), "Pump"))
        make_data_source(unit, patient, "dexcom")
    before = api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json
    reply = remind(api, clinic_id, as_=caller)
    assert reply.status == 200
    now = "2026-03-02T09:30:00.000Z"
    assert reply.json == before | {"lastUploadReminderTime": now, "updatedTime": now}
    assert api.get(f"/v1/clinics/{clinic_id}/patients/{CAROL.id}", as_=BOB).json == reply.json


def test_the_mail_goes_to_the_user(api: Client, database: Database, clinic_id: str) -> None:
    remind(api, clinic_id)
    [entry] = stored(database, OutboxEntry)
    assert (entry.kind, entry.clinic_id) == ("patient_upload_reminder", clinic_id)
    assert entry.payload == {
        "clinicId": clinic_id,
        "userId": CAROL.id,
        "ClinicName": "Harbour Diabetes Centre",
        "PatientName": CAROL.name,
    }


class _Mailer:
    """Keeps mails instead of sending them."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []

    def send(self, mail: Mail) -> None:
        self.sent.append(mail)


def delivered(database: Database) -> list[Mail]:
    """The mails that the relay sends now."""
    mailer = _Mailer()
    make_relay(database, Config(), mailer, EmbeddedAccounts(database)).deliver_due()
    return mailer.sent


def test_the_mail_reaches_the_address_of_the_account(api: Client, database: Database, clinic_id: str) -> None:
    """The account's, which may not be what the clinic has on record."""
    with storing(database) as unit:
        make_account(unit, CAROL._replace(email="carol@new.example"))
    remind(api, clinic_id)
    [mail] = delivered(database)
    assert mail.to == "carol@new.example"
    assert mail.subject == "A reminder from Harbour Diabetes Centre to upload data"
    assert "data of Carol Cooper" in mail.text


def test_without_an_address_the_answer_is_the_same_and_nothing_is_sent(
    api: Client, database: Database, clinic_id: str
) -> None:
    with storing(database) as unit:
        make_account(unit, CAROL._replace(email=""))
    assert remind(api, clinic_id).status == 200
    assert delivered(database) == []
    [entry] = stored(database, OutboxEntry)
    assert (entry.delivered_time, entry.last_error) == (NOW, NO_RECIPIENT)


def test_whoever_has_no_name_is_still_addressed(api: Client, database: Database) -> None:
    with storing(database) as unit:
        clinic = make_staffed_clinic(unit, name=None)
        make_patient(unit, clinic, CAROL, full_name=None)
    assert remind(api, clinic.id).json["fullName"] == ""
    [entry] = stored(database, OutboxEntry)
    assert (entry.payload["ClinicName"], entry.payload["PatientName"]) == ("your clinic", "the patient")


def test_changes_nobody_else(api: Client, database: Database, clinic_id: str) -> None:
    before = everything(database)
    remind(api, clinic_id)
    assert times(database) == [(CAROL.id, NOW, NOW), (DAVE.id, None, LONG_AGO), (CAROL.id, None, LONG_AGO)]
    after = everything(database)
    assert {table for table in after if after[table] != before[table]} == {"patients", "outbox", "mail_requests"}


def test_every_call_sends_one_more(api: Client, database: Database, clinic_id: str) -> None:
    remind(api, clinic_id)
    later = NOW + timedelta(minutes=1)
    with clock.frozen(later):
        assert remind(api, clinic_id).json["lastUploadReminderTime"] == "2026-03-02T09:31:00.000Z"
    assert len(stored(database, OutboxEntry)) == 2
    assert times(database)[0] == (CAROL.id, later, later)


def test_rule_the_time_of_the_record_always_grows(api: Client, database: Database, clinic_id: str) -> None:
    ahead = NOW + timedelta(hours=1)
    with storing(database) as unit:
        unit.patients.get(clinic_id, CAROL.id).updated_time = ahead
    remind(api, clinic_id)
    assert times(database)[0] == (CAROL.id, NOW, ahead + timedelta(milliseconds=1))


def test_two_at_once_both_count(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: unit.patients.touch(unit.patients.lock(clinic_id, CAROL.id)),
        lambda: remind(api, clinic_id),
    )
    assert reply.status == 200
    assert times(database)[0] == (CAROL.id, NOW, NOW + timedelta(milliseconds=1))


def test_a_patient_who_leaves_meanwhile_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    reply = meanwhile(
        database,
        lambda unit: unit.patients.remove([unit.patients.lock(clinic_id, CAROL.id)], ALICE.id),
        lambda: remind(api, clinic_id),
    )
    assert_error(reply, 404)
    assert [entry.kind for entry in stored(database, OutboxEntry)] == ["patient_removed"]


@pytest.mark.one_engine
def test_needs_a_token(api: Client, clinic_id: str) -> None:
    assert_error(remind(api, clinic_id, as_=None), 401)


@pytest.mark.one_engine
@pytest.mark.parametrize("caller", [CAROL, ERIN, MALLORY, PETE, SERVICE])
def test_is_for_members_and_admins(api: Client, database: Database, clinic_id: str, caller: Somebody) -> None:
    with storing(database) as unit:
        make_clinician(unit, make_clinic(unit), ERIN, "CLINIC_ADMIN")
        make_clinician(unit, unit.clinics.get(clinic_id), PETE, "PRESCRIBER")
    before = everything(database)
    assert_error(remind(api, clinic_id, as_=caller), 403)
    assert everything(database) == before


@pytest.mark.one_engine
def test_malformed_ids_are_refused(api: Client, clinic_id: str) -> None:
    assert_violations(remind(api, clinic_id, CAROL._replace(id="Carol")), ("/path/patientId", "pattern"))


def test_who_is_no_patient_of_the_clinic_is_not_found(api: Client, database: Database, clinic_id: str) -> None:
    with storing(database) as unit:
        make_patient(unit, make_clinic(unit), MALLORY)
    before = everything(database)
    for nobody in (MALLORY, ERIN):
        reply = remind(api, clinic_id, nobody)
        assert_error(reply, 404)
        assert nobody.id not in str(reply.json)
    assert everything(database) == before


def test_all_or_nothing(api: Client, database: Database, clinic_id: str) -> None:
    # Access, the clinic, the record, three for the limit of mails, the record's time, the mail, the answer in two.
    assert_all_or_nothing(database, lambda: remind(api, clinic_id), statements=10)


def test_the_number_of_statements_is_fixed(api: Client, database: Database, clinic_id: str) -> None:
    few = number_of_statements(database, lambda: remind(api, clinic_id))
    with storing(database) as unit:
        clinic = unit.clinics.get(clinic_id)
        for number in range(20):
            make_patient(unit, clinic, DAVE, user_id=f"{number:010x}")
            tag = make_tag(unit, clinic, f"Tag {number}")
            tag_patient(unit, unit.patients.get(clinic_id, CAROL.id), tag)
    assert number_of_statements(database, lambda: remind(api, clinic_id)) == few == 10
