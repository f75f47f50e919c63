"""The relay: after the commit, at least once, in order for each clinic."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import Unavailable
from clinic_service.gateways.accounts import Account
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts, NewAccount
from clinic_service.gateways.mail import Mailer, MailNotSent, SmtpMailer
from clinic_service.gateways.messages import Mail
from clinic_service.outbox.events import (
    LOG_IN_PATH,
    SIGN_UP_PATH,
    AccessChanged,
    AccessOffered,
    ClinicCreated,
    ClinicDeleted,
    ClinicianAdded,
    ClinicianInvited,
    ClinicianPermissionsUpdated,
)
from clinic_service.outbox.outbox import Event
from clinic_service.outbox.queue import MAX_ATTEMPTS, ListedEntry, Queue
from clinic_service.outbox.relay import CLAIMED_FOR, LONGEST_PAUSE, NO_RECIPIENT, Relay, pause_after
from clinic_service.unit_of_work import reading, writing
from tests.support.cast import ALICE, BOB
from tests.support.relays import make_relay
from tests.support.smtp_server import smtp_server

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
HARBOUR = "65f1c0de0a1b2c3d4e5f6a7b"
HILLTOP = "65f1c0de0a1b2c3d4e5f6a7c"


class RecordingMailer:
    """Keeps mails instead of sending them; `fails` says which subjects cannot be sent."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self.fails: Callable[[Mail], bool] = lambda _: False
        self.before: Callable[[], object] = lambda: None

    def send(self, mail: Mail) -> None:
        self.before()
        if self.fails(mail):
            raise MailNotSent("SMTPServerDisconnected")
        self.sent.append(mail)

    @property
    def subjects(self) -> list[str]:
        return [mail.subject for mail in self.sent]


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


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
    return _relay(database, mailer, accounts)


def _relay(database: Database, mailer: Mailer | None, accounts: EmbeddedAccounts) -> Relay:
    return make_relay(database, Config(), mailer, accounts, poll_seconds=0.01)


def _after(seconds: float) -> Any:
    return clock.frozen(NOW + timedelta(seconds=seconds))


def _add(database: Database, *events: Event) -> None:
    with writing(database) as unit:
        unit.outbox.add(*events)


def _created(clinic_id: str, name: str) -> ClinicCreated:
    return ClinicCreated(clinic_id, ALICE.id, name)


def _rows(database: Database) -> list[ListedEntry]:
    with reading(database) as unit:
        return list(Queue(unit).list_rows(delivered_too=True))


def _delivered(database: Database) -> list[str]:
    return [row.kind for row in _rows(database) if row.delivered_time is not None]


def test_mail_reaches_the_users_address(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, ClinicianPermissionsUpdated(HARBOUR, BOB.id, "Harbour", "Alice Archer"))
    assert relay.deliver_due() == 1
    (mail,), (row,) = mailer.sent, _rows(database)
    assert (mail.to, mail.key, mail.subject) == (BOB.email, row.id, "Your role at Harbour has changed")
    assert "Alice Archer has changed your role" in mail.text
    assert (row.delivered_time, row.attempts, row.last_error) == (NOW, 0, None)


def test_invitation_reaches_the_invited_address_which_is_nobodys_yet(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    _add(database, ClinicianInvited(HARBOUR, "Harbour", "Alice Archer", "erin@hilltop.example", SIGN_UP_PATH))
    assert relay.deliver_due() == 1
    (mail,), (row,) = mailer.sent, _rows(database)
    assert (mail.to, mail.key, mail.subject) == ("erin@hilltop.example", row.id, "You are invited to join Harbour")
    assert (row.delivered_time, row.last_error) == (NOW, None)


def test_offer_reaches_each_administrator(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    people = (ALICE, BOB)
    _add(database, *(AccessOffered(HARBOUR, who.id, "Harbour", "Carol Cooper", LOG_IN_PATH) for who in people))
    assert relay.deliver_due() == 2
    assert [mail.to for mail in mailer.sent] == [ALICE.email, BOB.email]
    assert mailer.subjects == ["Carol Cooper would like to share data with Harbour"] * 2


def test_mail_goes_through_a_real_server(database: Database, accounts: EmbeddedAccounts) -> None:
    _add(database, _created(HARBOUR, "Harbour"))
    with smtp_server() as server:
        mailer = SmtpMailer(f"smtp://127.0.0.1:{server.port}", "Clinic <no-reply@clinic.example>")
        assert _relay(database, mailer, accounts).deliver_due() == 1
        assert [envelope.recipients for envelope in server.received] == [[ALICE.email]]


def test_nothing_is_delivered_twice(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, _created(HARBOUR, "Harbour"), ClinicDeleted(HARBOUR))
    assert [relay.deliver_due(), relay.deliver_due()] == [2, 0]
    assert mailer.subjects == ["Harbour is ready"]


def test_nothing_is_delivered_before_the_commit(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    def roll_back() -> None:
        with writing(database) as unit:
            unit.outbox.add(_created(HARBOUR, "Harbour"))
            raise KeyError

    with pytest.raises(KeyError):
        roll_back()
    assert relay.deliver_due() == 0
    assert mailer.sent == []


def test_notices_are_delivered_by_marking_them(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, ClinicianAdded(HARBOUR, BOB.id), AccessChanged("ca401c0003", BOB.id))
    assert relay.deliver_due() == 2
    assert mailer.sent == []
    assert [row.delivered_time for row in _rows(database)] == [NOW, NOW]


def test_limit_bounds_one_round(database: Database, relay: Relay) -> None:
    _add(database, *(ClinicianAdded(HARBOUR, f"{number:010x}") for number in range(7)))
    assert [relay.deliver_due(limit=3) for _ in range(4)] == [3, 3, 1, 0]


def test_mail_for_nobody_is_done(database: Database, relay: Relay, accounts: EmbeddedAccounts) -> None:
    nobody = accounts.add(NewAccount())
    _add(
        database,
        ClinicCreated(HARBOUR, "0000000000", "Harbour"),
        ClinicCreated(HARBOUR, nobody.user_id, "Harbour"),
    )
    assert relay.deliver_due() == 2
    assert [row.last_error for row in _rows(database)] == [NO_RECIPIENT, NO_RECIPIENT]


def test_failure_is_tried_again_after_growing_pauses(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, _created(HARBOUR, "Harbour"))
    mailer.fails = lambda _: True
    due = 0.0
    for attempt, pause in enumerate((10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600), start=1):
        with _after(due):
            assert relay.deliver_due() == 0
            (row,) = _rows(database)
            assert (row.attempts, row.last_error) == (attempt, "MailNotSent: SMTPServerDisconnected")
            assert row.next_attempt_time == clock.now() + timedelta(seconds=pause)
        with _after(due + pause - 0.001):
            assert relay.deliver_due() == 0
            assert _rows(database)[0].attempts == attempt
        due += pause
    mailer.fails = lambda _: False
    with _after(due):
        assert relay.deliver_due() == 1
    assert _rows(database)[0].last_error is None


def test_pause_has_an_end() -> None:
    assert pause_after(10**6) == LONGEST_PAUSE


def test_later_events_of_the_clinic_wait_and_other_clinics_do_not(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    _add(
        database,
        _created(HARBOUR, "Harbour"),
        _created(HILLTOP, "Hilltop"),
        ClinicianAdded(HARBOUR, BOB.id),
        AccessChanged("ca401c0003", BOB.id),
        ClinicDeleted(HILLTOP),
    )
    mailer.fails = lambda mail: "Harbour" in mail.subject
    assert relay.deliver_due() == 3
    assert relay.deliver_due() == 0
    assert _delivered(database) == ["clinic_created", "access_changed", "clinic_deleted"]
    mailer.fails = lambda _: False
    with _after(10):
        assert relay.deliver_due() == 2
    assert mailer.subjects == ["Hilltop is ready", "Harbour is ready"]


def test_order_is_that_of_creation(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    names = [f"Clinic {number}" for number in range(5)]
    for seconds, name in reversed(list(enumerate(names))):
        with _after(seconds):
            _add(database, _created(HARBOUR, name))
    with _after(10):
        relay.deliver_due()
    assert mailer.subjects == [f"{name} is ready" for name in names]


def test_notices_do_not_overtake_a_mail(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, ClinicianAdded(HARBOUR, BOB.id), _created(HARBOUR, "Harbour"), ClinicDeleted(HARBOUR))
    seen: list[list[str]] = []
    mailer.before = lambda: seen.append(_delivered(database))
    assert relay.deliver_due() == 3
    assert seen == [["clinician_added"]]


def test_dead_address_does_not_silence_the_clinic(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    _add(database, _created(HARBOUR, "Dead"), ClinicDeleted(HARBOUR))
    mailer.fails = lambda mail: "Dead" in mail.subject
    due = 0.0
    for attempt in range(MAX_ATTEMPTS):
        assert _delivered(database) == []
        with _after(due):
            relay.deliver_due()
        due += pause_after(attempt).total_seconds()
    assert _delivered(database) == ["clinic_deleted"]
    _add(database, ClinicianAdded(HARBOUR, BOB.id))
    with _after(due - 1):
        assert relay.deliver_due() == 1
    mailer.fails = lambda _: False
    with _after(due):
        assert relay.deliver_due() == 1


def test_event_committed_late_does_not_wait_for_later_ones(
    database: Database, relay: Relay, mailer: RecordingMailer
) -> None:
    mailer.fails = lambda mail: "Later" in mail.subject
    with _after(5):
        _add(database, _created(HARBOUR, "Later"))
        relay.deliver_due()
    _add(database, _created(HARBOUR, "Earlier"))
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
    _add(database, _created(HARBOUR, "Harbour"))
    broken: Any = BrokenDirectory(error)
    assert _relay(database, mailer, broken).deliver_due() == 0
    (row,) = _rows(database)
    assert (row.attempts, row.last_error, row.delivered_time) == (1, type(error).__name__, None)


def test_without_a_mail_server_mails_stay_and_hold_nothing_up(
    database: Database, accounts: EmbeddedAccounts, mailer: RecordingMailer
) -> None:
    _add(database, _created(HARBOUR, "Harbour"), ClinicianAdded(HARBOUR, ALICE.id))
    assert _relay(database, None, accounts).deliver_due() == 1
    waiting, notice = _rows(database)
    assert (waiting.attempts, waiting.delivered_time, waiting.next_attempt_time) == (0, None, NOW)
    assert notice.delivered_time == NOW
    assert _relay(database, mailer, accounts).deliver_due() == 1
    assert mailer.subjects == ["Harbour is ready"]


def test_two_relays_at_once_share_the_work(
    database: Database, accounts: EmbeddedAccounts, mailer: RecordingMailer
) -> None:
    clinics = [f"{number:024x}" for number in range(12)]
    _add(database, *(_created(clinic, f"{clinic} {part}") for clinic in clinics for part in ("one", "two")))
    relays = [_relay(database, mailer, accounts) for _ in range(2)]
    with ThreadPoolExecutor(len(relays)) as pool:
        list(pool.map(partial(_deliver_all, database), relays))
    assert len(_delivered(database)) == 24
    assert sorted(mailer.subjects) == sorted(
        f"{clinic} {part} is ready" for clinic in clinics for part in ("one", "two")
    )
    for clinic in clinics:
        own = [subject for subject in mailer.subjects if clinic in subject]
        assert own == [f"{clinic} one is ready", f"{clinic} two is ready"]


def _deliver_all(database: Database, relay: Relay) -> None:
    # A round may find nothing because the other relay is at it.
    while len(_delivered(database)) < len(_rows(database)):
        relay.deliver_due()


@pytest.mark.parametrize("ending", [None, SystemExit], ids=["delivered", "being delivered"])
def test_event_that_two_relays_have_found_is_taken_by_one(
    database: Database,
    accounts: EmbeddedAccounts,
    relay: Relay,
    mailer: RecordingMailer,
    ending: type[BaseException] | None,
) -> None:
    """Rule: an event is claimed as it was found. The other relay claims it after this one has looked, before it acts."""
    _add(database, _created(HARBOUR, "Harbour"))
    others = RecordingMailer()
    other = _relay(database, others, accounts)

    def stop() -> None:
        if ending is not None:
            raise ending

    def overtake(*_: Any) -> None:
        with pytest.raises(ending) if ending else nullcontext():
            assert other.deliver_due() == 1

    others.before = stop
    event.listen(database.read_engine, "after_cursor_execute", overtake, once=True)
    assert relay.deliver_due() == 0
    assert mailer.sent == []
    assert others.subjects == ([] if ending else ["Harbour is ready"])


def test_row_being_delivered_is_left_alone(
    database: Database, accounts: EmbeddedAccounts, relay: Relay, mailer: RecordingMailer
) -> None:
    _add(database, _created(HARBOUR, "Harbour"), ClinicDeleted(HARBOUR))
    other = _relay(database, RecordingMailer(), accounts)
    meanwhile: list[int] = []
    mailer.before = lambda: meanwhile.append(other.deliver_due())
    assert relay.deliver_due() == 2
    assert meanwhile == [0]


def test_row_of_a_relay_that_died_is_delivered_by_another(
    database: Database, accounts: EmbeddedAccounts, relay: Relay, mailer: RecordingMailer
) -> None:
    _add(database, _created(HARBOUR, "Harbour"))

    def die() -> None:
        raise SystemExit

    mailer.before = die
    with pytest.raises(SystemExit):
        relay.deliver_due()
    mailer.before = lambda: None
    assert relay.deliver_due() == 0
    with clock.frozen(NOW + CLAIMED_FOR):
        assert _relay(database, mailer, accounts).deliver_due() == 1
    assert mailer.subjects == ["Harbour is ready"]


def test_run_delivers_until_it_is_stopped(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    stop, arrived = threading.Event(), threading.Event()
    mailer.before = arrived.set
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    _add(database, _created(HARBOUR, "Harbour"))
    assert arrived.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert mailer.subjects == ["Harbour is ready"]


def test_run_outlives_an_unreachable_database(
    accounts: EmbeddedAccounts, mailer: RecordingMailer, tmp_path: Any
) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'missing' / 'no.db'}")
    stop, attempts = threading.Event(), threading.Semaphore(0)
    event.listen(nowhere.read_engine, "do_connect", lambda *_: attempts.release())
    thread = threading.Thread(target=_relay(nowhere, mailer, accounts).run, args=(stop,))
    thread.start()
    # Who tries again has outlived the failure before.
    assert all(attempts.acquire(timeout=60) for _ in range(2))
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    nowhere.dispose()
