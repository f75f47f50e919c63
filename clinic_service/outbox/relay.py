"""Relay: takes the events of the outbox to where they belong, at least once each."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.mail import Mailer, MailNotSent
from clinic_service.outbox.deliveries import MAILS, compose, is_mail, is_notice
from clinic_service.outbox.queue import MAX_ATTEMPTS, Entry, Queue
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")
# Undoes what the event of this kind and payload names; tells why there was nothing to do, if so.
Compensate = Callable[[str, Mapping[str, Any]], str | None]
_log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
# Longer than a delivery can take. A relay that dies in the middle of one leaves the row to others after this time.
CLAIMED_FOR = timedelta(minutes=5)
NO_RECIPIENT = "NoRecipient"


class Relay:
    """Delivers what is due. Several may run on one database."""

    def __init__(
        self,
        database: Database,
        config: Config,
        mailer: Mailer | None,
        accounts: Accounts,
        compensate: Compensate,
        *,
        poll_seconds: float = 2.0,
    ) -> None:
        """`compensate` carries out compensations; `poll_seconds`: how often `run` looks when there is nothing to do."""
        self._database = database
        self._application_url = config.application_url
        self._mailer = mailer
        self._accounts = accounts
        self._compensate = compensate
        self._poll_seconds = poll_seconds
        self._unroutable = MAILS if mailer is None else frozenset[str]()

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set, whatever happens to the database meanwhile."""
        while not stop.is_set():
            try:
                delivered = self.deliver_due()
            except Exception as error:
                _log.warning("outbox_unreachable", extra={"failure": type(error).__name__})
                delivered = 0
            if not delivered:
                stop.wait(self._poll_seconds)

    def deliver_due(self, limit: int = 100) -> int:
        """Deliver at most `limit` events whose turn it is, in order for each clinic; tells how many were delivered.

        Raises what the database raises. A delivery that fails is tried again later and raises nothing.
        """
        entries = self._in_unit(lambda queue: queue.list_due(limit, self._unroutable), writes=False)
        delivered, held, notices = 0, set[str](), list[str]()
        for entry in entries:
            if entry.clinic_id in held:
                continue
            if is_notice(entry.kind):
                notices.append(entry.id)
                continue
            # What stands before it comes before it.
            delivered += self._mark_delivered(notices)
            notices = []
            if self._deliver(entry):
                delivered += 1
            elif entry.clinic_id is not None and entry.attempts + 1 < MAX_ATTEMPTS:
                held.add(entry.clinic_id)
        return delivered + self._mark_delivered(notices)

    def _deliver(self, entry: Entry) -> bool:
        if not self._in_unit(lambda queue: queue.claim(entry, clock.now() + CLAIMED_FOR), writes=True):
            return False
        try:
            remark = self._carry_out(entry)
        except Exception as error:
            self._retry_at(entry, failure_of(error))
            return False
        self._mark_delivered([entry.id], remark)
        return True

    def _carry_out(self, entry: Entry) -> str | None:
        """Do what follows from the event; tells why there was nothing to do, if so."""
        return self._send(entry) if is_mail(entry.kind) else self._compensate(entry.kind, entry.payload)

    def _send(self, entry: Entry) -> str | None:
        """Send the mail; tells why there was none to send, if so."""
        address = self._address(entry.payload)
        if self._mailer is None or not address:
            return NO_RECIPIENT
        self._mailer.send(
            compose(entry.kind, entry.payload, to=address, key=entry.id, application_url=self._application_url)
        )
        return None

    def _address(self, payload: Mapping[str, Any]) -> str | None:
        """Where a mail goes: what the user signs in with now, or the address that was invited."""
        if "userId" not in payload:
            return payload.get("Email")
        account = self._accounts.find_account(payload["userId"])
        return account.username if account else None

    def _retry_at(self, entry: Entry, failure: str) -> None:
        _log.warning("delivery_failed", extra={"event": entry.id, "kind": entry.kind, "failure": failure})
        until = clock.now() + pause_after(entry.attempts)
        self._in_unit(lambda queue: queue.retry_at(entry, until, failure), writes=True)

    def _mark_delivered(self, ids: list[str], remark: str | None = None) -> int:
        return self._in_unit(lambda queue: queue.mark_delivered(ids, remark), writes=True) if ids else 0

    def _in_unit(self, work: Callable[[Queue], T], *, writes: bool) -> T:
        def with_queue(unit: UnitOfWork) -> T:
            return work(Queue(unit))

        return run(self._database, with_queue, writes=writes)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after a failure that followed `attempts` earlier ones."""
    doublings: int = 2 ** min(attempts, 20)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def failure_of(error: Exception) -> str:
    """The kind of failure, without anything it says: that may hold an address or a name."""
    kind = type(error).__name__
    return f"{kind}: {error.message}" if isinstance(error, MailNotSent) else kind
