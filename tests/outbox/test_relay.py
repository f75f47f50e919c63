"""The relay: after the commit, at least once, in order for each clinic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts import Account
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.gateways.mail import SmtpMailer
from clinic_service.outbox.events import (
    LOG_IN_PATH,
    SIGN_UP_PATH,
    AccessChanged,
    AccessOffered,
    ClinicCreated,
    ClinicianAdded,
    ClinicianInvited,
    ClinicianPermissionsUpdated,
    EhrReportScheduled,
)
from clinic_service.outbox.queue import MAX_ATTEMPTS
from clinic_service.outbox.relay import LONGEST_PAUSE, MAX_MAIL_ATTEMPTS, NO_RECEIVER, NO_RECIPIENT, Relay, pause_after
from clinic_service.unit_of_work import writing
from tests.outbox.relaying import (
    HARBOUR,
    NOW,
    RecordingMailer,
    add_events,
    clinic_created,
    delivered_names,
    mail_to_nobody,
    outbox_rows,
    relay_with,
)
from tests.support.cast import ALICE, BOB, CAROL
from tests.support.smtp_server import smtp_server

HILLTOP = "65f1c0de0a1b2c3d4e5f6a7c"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def _after(seconds: float) -> Any:
    return clock.frozen(NOW + timedelta(seconds=seconds))


def test_mail_reaches_the_users_address(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    add_events(database, ClinicianPermissionsUpdated(HARBOUR, BOB.id, "Harbour", "Alice Archer"))
    assert relay.deliver_due() == 1
    (mail,), (row,) = mailer.sent, outbox_rows(database)
    assert (mail.to, mail.key, mail.subject) == (BOB.email, row.id, "Your role at Harbour has changed")
    assert "Alice Archer has changed your role" in mail.text
    assert (row.delivered_time, row.attempts, row.last_error) == (NOW, 0, None)


def test_invitation_reaches_the_invited_address_which_is_nobodys_yet(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    add_events(database, ClinicianInvited(HARBOUR, "Harbour", "Alice Archer", "erin@hilltop.example", SIGN_UP_PATH))
    assert relay.deliver_due() == 1
    (mail,), (row,) = mailer.sent, outbox_rows(database)
    assert (mail.to, mail.key, mail.subject) == ("erin@hilltop.example", row.id, "You are invited to join Harbour")
    assert (row.delivered_time, row.last_error) == (NOW, None)


def test_offer_reaches_each_administrator(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    people = (ALICE, BOB)
    add_events(
        database, *(AccessOffered(HARBOUR, who.id, CAROL.id, "Harbour", "Carol Cooper", LOG_IN_PATH) for who in people)
    )
    assert relay.deliver_due() == 2
    assert [mail.to for mail in mailer.sent] == [ALICE.email, BOB.email]
    assert mailer.subjects == ["Carol Cooper would like to share data with Harbour"] * 2


def test_mail_that_cannot_be_sent_is_given_up_at_last(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    mailer.fails = lambda _: True
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    attempts, seconds = 0, 0.0
    while outbox_rows(database)[0].delivered_time is None:
        with _after(seconds):
            relay.deliver_due()
        attempts, seconds = attempts + 1, seconds + 3601
    assert attempts == MAX_MAIL_ATTEMPTS
    assert outbox_rows(database)[0].last_error == "MailNotSent: SMTPServerDisconnected"


def test_mail_goes_through_a_real_server(database: Database, accounts: EmbeddedAccounts) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    with smtp_server() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}", "Clinic <no-reply@clinic.example>")
        assert relay_with(database, mailer, accounts).deliver_due() == 1
        assert [envelope.recipients for envelope in server.received] == [[ALICE.email]]


def test_nothing_is_delivered_twice(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"), mail_to_nobody(HARBOUR))
    assert [relay.deliver_due(), relay.deliver_due()] == [2, 0]
    assert mailer.subjects == ["Harbour is ready"]


def test_nothing_is_delivered_before_the_commit(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    def roll_back() -> None:
        with writing(database) as unit:
            unit.outbox.add(clinic_created(HARBOUR, "Harbour"))
            raise KeyError

    with pytest.raises(KeyError):
        roll_back()
    assert relay.deliver_due() == 0
    assert mailer.sent == []


def test_notices_are_stored_as_delivered(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    add_events(database, ClinicianAdded(HARBOUR, BOB.id), AccessChanged("ca401c0003", BOB.id))
    assert [row.delivered_time for row in outbox_rows(database)] == [NOW, NOW]
    assert relay.deliver_due() == 0
    assert mailer.sent == []


def test_events_for_a_system_that_is_switched_off_are_done(database: Database, relay: Relay) -> None:
    add_events(database, EhrReportScheduled("ca401c0003", "order", HARBOUR))
    assert relay.deliver_due() == 1
    (row,) = outbox_rows(database)
    assert (row.delivered_time, row.last_error) == (NOW, NO_RECEIVER)


def test_limit_bounds_one_round(database: Database, relay: Relay) -> None:
    add_events(database, *(mail_to_nobody(HARBOUR) for _ in range(7)))
    assert [relay.deliver_due(limit=3) for _ in range(4)] == [3, 3, 1, 0]


def test_mail_for_nobody_is_done(database: Database, relay: Relay, accounts: EmbeddedAccounts) -> None:
    nobody = accounts.add(NewAccount())
    add_events(
        database,
        ClinicCreated(HARBOUR, "0000000000", "Harbour"),
        ClinicCreated(HARBOUR, nobody.user_id, "Harbour"),
    )
    assert relay.deliver_due() == 2
    assert [row.last_error for row in outbox_rows(database)] == [NO_RECIPIENT, NO_RECIPIENT]


def test_failure_is_tried_again_after_growing_pauses(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    mailer.fails = lambda _: True
    due = 0.0
    for attempt, pause in enumerate((10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600), start=1):
        with _after(due):
            assert relay.deliver_due() == 0
            (row,) = outbox_rows(database)
            assert (row.attempts, row.last_error) == (attempt, "MailNotSent: SMTPServerDisconnected")
            assert row.next_attempt_time == clock.now() + timedelta(seconds=pause)
        with _after(due + pause - 0.001):
            assert relay.deliver_due() == 0
            assert outbox_rows(database)[0].attempts == attempt
        due += pause
    mailer.fails = lambda _: False
    with _after(due):
        assert relay.deliver_due() == 1
    assert outbox_rows(database)[0].last_error is None


def test_pause_has_an_end() -> None:
    assert pause_after(10**6) == LONGEST_PAUSE


def test_later_events_of_the_clinic_wait_and_other_clinics_do_not(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    add_events(
        database,
        clinic_created(HARBOUR, "Harbour"),
        clinic_created(HILLTOP, "Hilltop"),
        mail_to_nobody(HARBOUR),
        EhrReportScheduled("ca401c0003", "order", HARBOUR),
        mail_to_nobody(HILLTOP),
    )
    mailer.fails = lambda mail: "Harbour" in mail.subject
    assert relay.deliver_due() == 3
    assert relay.deliver_due() == 0
    assert delivered_names(database) == ["clinic_created", "ehr_report_scheduled", "clinician_permissions_updated"]
    mailer.fails = lambda _: False
    with _after(10):
        assert relay.deliver_due() == 2
    assert mailer.subjects == ["Hilltop is ready", "Harbour is ready"]


def test_order_is_that_of_creation(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    names = [f"Clinic {number}" for number in range(5)]
    for seconds, name in reversed(list(enumerate(names))):
        with _after(seconds):
            add_events(database, clinic_created(HARBOUR, name))
    with _after(10):
        relay.deliver_due()
    assert mailer.subjects == [f"{name} is ready" for name in names]


def test_dead_address_does_not_silence_the_clinic(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    add_events(database, clinic_created(HARBOUR, "Dead"), mail_to_nobody(HARBOUR))
    mailer.fails = lambda mail: "Dead" in mail.subject
    due = 0.0
    for attempt in range(MAX_ATTEMPTS):
        assert delivered_names(database) == []
        with _after(due):
            relay.deliver_due()
        due += pause_after(attempt).total_seconds()
    assert delivered_names(database) == ["clinician_permissions_updated"]
    add_events(database, mail_to_nobody(HARBOUR))
    with _after(due - 1):
        assert relay.deliver_due() == 1
    mailer.fails = lambda _: False
    with _after(due):
        assert relay.deliver_due() == 1


def test_mail_that_can_never_be_sent_is_given_up_at_once_and_holds_nothing_up(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    add_events(database, clinic_created(HARBOUR, "Dead"), clinic_created(HARBOUR, "Harbour"), mail_to_nobody(HARBOUR))
    mailer.refuses = lambda mail: "Dead" in mail.subject
    while relay.deliver_due():
        pass
    relay.deliver_due()
    assert len(mailer.sent) == 1
    assert all(row.delivered_time for row in outbox_rows(database))
    assert outbox_rows(database)[0].last_error == "UnsendableMail: UnsafeMessage"


def test_event_committed_late_does_not_wait_for_later_ones(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    mailer.fails = lambda mail: "Later" in mail.subject
    with _after(5):
        add_events(database, clinic_created(HARBOUR, "Later"))
        relay.deliver_due()
    add_events(database, clinic_created(HARBOUR, "Earlier"))
    with _after(6):
        assert relay.deliver_due() == 1
    assert mailer.subjects == ["Earlier is ready"]


class BrokenDirectory:
    """A directory of accounts that cannot be reached, or fails in a way nobody thought of."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def find_account(self, _user_id: str) -> Account | None:
        raise self.error


@pytest.mark.parametrize("error", [Unavailable(), RuntimeError("alice@harbour.example")])
def test_directory_that_fails_puts_the_mail_off(database: Database, mailer: RecordingMailer, error: Exception) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    broken: Any = BrokenDirectory(error)
    assert relay_with(database, mailer, broken).deliver_due() == 0
    (row,) = outbox_rows(database)
    assert (row.attempts, row.last_error, row.delivered_time) == (1, type(error).__name__, None)


def test_without_a_mail_server_mails_stay_and_hold_nothing_up(
    database: Database, accounts: EmbeddedAccounts, mailer: RecordingMailer
) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"), EhrReportScheduled("ca401c0003", "order", HARBOUR))
    assert relay_with(database, None, accounts).deliver_due() == 1
    waiting, other = outbox_rows(database)
    assert (waiting.attempts, waiting.delivered_time, waiting.next_attempt_time) == (0, None, NOW)
    assert other.delivered_time == NOW
    assert relay_with(database, mailer, accounts).deliver_due() == 1
    assert mailer.subjects == ["Harbour is ready"]
