"""What the tests of the relay share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.mail import Mailer, MailNotSent, UnsendableMail
from clinic_service.gateways.mail_messages import Mail
from clinic_service.outbox.events import ClinicCreated, ClinicianPermissionsUpdated
from clinic_service.outbox.outbox import Event
from clinic_service.outbox.queue import ListedEntry, Queue
from clinic_service.outbox.relay import Relay
from clinic_service.unit_of_work import reading, writing
from tests.support.cast import ALICE
from tests.support.relays import make_relay

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HARBOUR = "65f1c0de0a1b2c3d4e5f6a7b"


class RecordingMailer:
    """Keeps mails instead of sending them; `fails` says which cannot be sent now, and `refuses` which never."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self.fails: Callable[[Mail], bool] = lambda _: False
        self.refuses: Callable[[Mail], bool] = lambda _: False
        self.before: Callable[[], object] = lambda: None

    def send(self, mail: Mail) -> None:
        self.before()
        if self.refuses(mail):
            raise UnsendableMail("UnsafeMessage")
        if self.fails(mail):
            raise MailNotSent("SMTPServerDisconnected")
        self.sent.append(mail)

    @property
    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.sent]


def relay_with(database: Database, mailer: Mailer | None, accounts: EmbeddedAccounts) -> Relay:
    return make_relay(database, Config(), mailer, accounts, poll_seconds=0.01)


def add_events(database: Database, *events: Event) -> None:
    with writing(database) as unit:
        unit.outbox.add(*events)


def clinic_created(clinic_id: str, name: str) -> ClinicCreated:
    return ClinicCreated(clinic_id, ALICE.id, name)


def mail_to_nobody(clinic_id: str) -> ClinicianPermissionsUpdated:
    """An event of another kind, whose delivery sends no mail, because there is no such user."""
    return ClinicianPermissionsUpdated(clinic_id, "0000000000", "Harbour", "Alice Archer")


def outbox_rows(database: Database) -> list[ListedEntry]:
    with reading(database) as unit:
        return list(Queue(unit).list_rows(delivered_too=True))


def delivered_names(database: Database) -> list[str]:
    return [row.kind for row in outbox_rows(database) if row.delivered_time is not None]
