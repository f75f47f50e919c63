"""A relay, and what it delivers with."""

from __future__ import annotations

import pytest

from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.outbox.relay import Relay
from tests.outbox.relaying import RecordingMailer, relay_with
from tests.support.cast import ALICE, BOB


@pytest.fixture
def accounts(database: Database) -> EmbeddedAccounts:
    directory = EmbeddedAccounts(database)
    for person in (ALICE, BOB):
        directory.add(NewAccount(person.id, (person.email,)))
    return directory


@pytest.fixture
def mailer() -> RecordingMailer:
    return RecordingMailer()


@pytest.fixture
def relay(database: Database, mailer: RecordingMailer, accounts: EmbeddedAccounts) -> Relay:
    return relay_with(database, mailer, accounts)
