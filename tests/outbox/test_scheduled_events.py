"""Events that are delivered later, unless they are canceled before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.gateways.mail import Mailer
from clinic_service.models import EmbeddedAccount, OutboxEntry
from clinic_service.outbox.deliveries import ACCOUNT_CHANGES, MAILS
from clinic_service.outbox.events import (
    AccountOrphaned,
    AccountUnconfirmed,
    AddressDiverged,
    ClinicianPermissionsUpdated,
)
from clinic_service.outbox.outbox import ScheduledEvent
from clinic_service.outbox.queue import Queue
from clinic_service.unit_of_work import reading, writing
from tests.outbox.relaying import RecordingMailer
from tests.support.cast import ALICE, BOB, CAROL
from tests.support.relays import make_relay
from tests.support.rows import make_account, stored, storing

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DUE = NOW + timedelta(minutes=1)
CLINIC_ID = "65f1c0de0a1b2c3d4e5f6a7b"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


@pytest.fixture
def schedule(database: Database) -> ScheduledEvent:
    """Carol's account is to be removed in a minute."""
    with storing(database) as unit:
        make_account(unit, CAROL)
        return unit.outbox.schedule(AccountOrphaned(CLINIC_ID, CAROL.id), DUE)


def deliver(database: Database, mailer: Mailer | None = None) -> int:
    return make_relay(database, Config(), mailer, EmbeddedAccounts(database)).deliver_due()


def cancel(database: Database, schedule: ScheduledEvent) -> bool:
    with writing(database) as unit:
        return unit.outbox.cancel(schedule)


def deliver_now(database: Database, schedule: ScheduledEvent) -> None:
    with writing(database) as unit:
        unit.outbox.deliver_now(schedule)


def test_it_is_delivered_when_it_is_due(database: Database, schedule: ScheduledEvent) -> None:
    assert schedule.due == DUE
    with clock.frozen(DUE - timedelta(milliseconds=1)):
        assert deliver(database) == 0
    assert len(stored(database, EmbeddedAccount)) == 1
    with clock.frozen(DUE):
        assert deliver(database) == 1
        assert deliver(database) == 0
    assert stored(database, EmbeddedAccount) == []
    [entry] = stored(database, OutboxEntry)
    assert (entry.delivered_time, entry.attempts, entry.last_error) == (DUE, 0, None)


def test_it_can_be_canceled_once(database: Database, schedule: ScheduledEvent) -> None:
    assert cancel(database, schedule)
    assert not cancel(database, schedule)
    assert stored(database, OutboxEntry) == []


def test_it_can_be_delivered_now(database: Database, schedule: ScheduledEvent) -> None:
    deliver_now(database, schedule)
    assert deliver(database) == 1
    assert stored(database, EmbeddedAccount) == []


def test_cancelling_comes_too_late_once_it_is_delivered_now_under_way_or_done(
    database: Database, schedule: ScheduledEvent
) -> None:
    with writing(database) as unit, clock.frozen(DUE):
        queue = Queue(unit)
        [entry] = queue.list_due(9, ())
        assert queue.claim(entry, DUE + timedelta(minutes=5))
    assert not cancel(database, schedule)
    deliver_now(database, schedule)
    with clock.frozen(DUE + timedelta(minutes=4)):
        # Whoever claimed it is at it.
        assert deliver(database) == 0
    with clock.frozen(DUE + timedelta(minutes=5)):
        assert deliver(database) == 1
        assert not cancel(database, schedule)


def test_cancelling_comes_too_late_once_it_has_failed(database: Database, schedule: ScheduledEvent) -> None:
    with writing(database) as unit, clock.frozen(DUE):
        queue = Queue(unit)
        queue.retry_at(queue.list_due(9, ())[0], DUE, "BadGateway")
    assert not cancel(database, schedule)


def test_delivering_now_what_is_canceled_does_nothing(database: Database, schedule: ScheduledEvent) -> None:
    cancel(database, schedule)
    deliver_now(database, schedule)
    assert deliver(database) == 0
    assert len(stored(database, EmbeddedAccount)) == 1


def test_no_event_of_a_clinic_waits_for_it(database: Database, schedule: ScheduledEvent) -> None:
    with storing(database) as unit:
        unit.outbox.schedule(AddressDiverged(CLINIC_ID, CAROL.id), schedule.due)
        unit.outbox.add(ClinicianPermissionsUpdated(CLINIC_ID, BOB.id, "Harbour", "Alice Archer"))
    assert deliver(database, RecordingMailer()) == 1


def test_account_changes_are_neither_mails_nor_notices() -> None:
    assert not ACCOUNT_CHANGES & MAILS
    assert not any(event.is_notice for event in (AccountOrphaned, AccountUnconfirmed, AddressDiverged))


def test_without_a_mail_server_accounts_are_put_right_all_the_same(
    database: Database, schedule: ScheduledEvent
) -> None:
    deliver_now(database, schedule)
    assert deliver(database) == 1


def test_an_account_that_is_gone_is_no_failure(database: Database) -> None:
    with storing(database) as unit:
        unit.outbox.add(AccountOrphaned(CLINIC_ID, ALICE.id), AddressDiverged(CLINIC_ID, ALICE.id))
    assert deliver(database) == 2
    with reading(database) as unit:
        rows = list(Queue(unit).list_rows(delivered_too=True))
    assert [row.attempts for row in rows] == [0, 0]
