"""Several relays at once, and the loop that runs until it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from clinic_service import clock
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts
from clinic_service.outbox.relay import CLAIMED_FOR, Relay
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
from tests.support.clocks import Pauses


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def test_two_relays_at_once_share_the_work(
    database: Database, accounts: EmbeddedAccounts, mailer: RecordingMailer
) -> None:
    clinics = [f"{number:024x}" for number in range(12)]
    add_events(database, *(clinic_created(clinic, f"{clinic} {part}") for clinic in clinics for part in ("one", "two")))
    relays = [relay_with(database, mailer, accounts) for _ in range(2)]
    with ThreadPoolExecutor(len(relays)) as pool:
        list(pool.map(partial(_deliver_all, database), relays))
    assert len(delivered_names(database)) == 24
    assert sorted(mailer.subjects) == sorted(
        f"{clinic} {part} is ready" for clinic in clinics for part in ("one", "two")
    )
    for clinic in clinics:
        own = [subject for subject in mailer.subjects if clinic in subject]
        assert own == [f"{clinic} one is ready", f"{clinic} two is ready"]


def _deliver_all(database: Database, relay: Relay) -> None:
    # A round may find nothing because the other relay is at it.
    while len(delivered_names(database)) < len(outbox_rows(database)):
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
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    others = RecordingMailer()
    other = relay_with(database, others, accounts)

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
    add_events(database, clinic_created(HARBOUR, "Harbour"), mail_to_nobody(HARBOUR))
    other = relay_with(database, RecordingMailer(), accounts)
    meanwhile: list[int] = []
    mailer.before = lambda: meanwhile.append(other.deliver_due())
    assert relay.deliver_due() == 2
    assert meanwhile == [0]


def test_row_of_a_relay_that_died_is_delivered_by_another(
    database: Database, accounts: EmbeddedAccounts, relay: Relay, mailer: RecordingMailer
) -> None:
    add_events(database, clinic_created(HARBOUR, "Harbour"))

    def die() -> None:
        raise SystemExit

    mailer.before = die
    with pytest.raises(SystemExit):
        relay.deliver_due()
    mailer.before = lambda: None
    assert relay.deliver_due() == 0
    with clock.frozen(NOW + CLAIMED_FOR):
        assert relay_with(database, mailer, accounts).deliver_due() == 1
    assert mailer.subjects == ["Harbour is ready"]


def test_run_delivers_until_it_is_stopped(database: Database, relay: Relay, mailer: RecordingMailer) -> None:
    stop, arrived = threading.Event(), threading.Event()
    mailer.before = arrived.set
    thread = threading.Thread(target=relay.run, args=(stop,))
    thread.start()
    add_events(database, clinic_created(HARBOUR, "Harbour"))
    assert arrived.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert mailer.subjects == ["Harbour is ready"]


def test_run_lets_events_gather_after_a_round_that_was_not_full(database: Database, relay: Relay) -> None:
    add_events(database, *(mail_to_nobody(HARBOUR) for _ in range(101)))
    pauses = Pauses(2)
    relay.run(pauses)
    # 100 events, 1 event, none.
    assert pauses.seconds == [0.1, 0.01]


def test_run_outlives_an_unreachable_database(
    accounts: EmbeddedAccounts, mailer: RecordingMailer, tmp_path: Any
) -> None:
    nowhere = Database(f"sqlite:///{tmp_path / 'missing' / 'no.db'}")
    stop, attempts = threading.Event(), threading.Semaphore(0)
    event.listen(nowhere.read_engine, "do_connect", lambda *_: attempts.release())
    thread = threading.Thread(target=relay_with(nowhere, mailer, accounts).run, args=(stop,))
    thread.start()
    # Who tries again has outlived the failure before.
    assert all(attempts.acquire(timeout=60) for _ in range(2))
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    nowhere.dispose()
