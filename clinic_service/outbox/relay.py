"""Relay: takes the events of the outbox to where they belong, at least once each."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

from clinic_service import clock
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.mail import Mailer, MailNotSent
from clinic_service.outbox.compensation import Compensation
from clinic_service.outbox.deliveries import MAILS, compose, is_mail, is_notice
from clinic_service.outbox.queue import MAX_ATTEMPTS, Entry, Queue
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")
_log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
# Longer than a delivery can take. A relay that dies in the middle of one leaves the row to others after this time.
CLAIMED_FOR = timedelta(minutes=5)
NO_RECIPIENT = "NoRecipient"


class RelayLoop(ABC):
    """Delivers what is due. Several may run on one database. A subclass says which events, and what follows from them."""

    # Of its thread.
    name: ClassVar[str]

    def __init__(self, database: Database, *, poll_seconds: float = 2.0) -> None:
        """`poll_seconds`: how often `run` looks when there is nothing to do."""
        self._database = database
        self._poll_seconds = poll_seconds

    @abstractmethod
    def list_due(self, queue: Queue, limit: int) -> list[Entry]:
        """At most `limit` events whose turn it is."""

    @abstractmethod
    def carry_out(self, entry: Entry) -> str | None:
        """Do what follows from the event; tells why there was nothing to do, if so."""

    def is_notice(self, kind: str) -> bool:  # noqa: ARG002
        """Whether nothing follows from an event of this kind."""
        return False

    def fail(self, entry: Entry, error: Exception) -> None:
        """Note that the event could not be delivered. It is tried again after a pause that grows."""
        self.retry_at(entry, clock.now() + pause_after(entry.attempts), failure_of(error))

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
        entries = self._in_unit(lambda queue: self.list_due(queue, limit), writes=False)
        delivered, held, notices = 0, set[str](), list[str]()
        for entry in entries:
            if entry.clinic_id in held:
                continue
            if self.is_notice(entry.kind):
                notices.append(entry.id)
                continue
            # What stands before it comes before it.
            delivered += self.mark_delivered(notices)
            notices = []
            if self._deliver(entry):
                delivered += 1
            elif entry.clinic_id is not None and entry.attempts + 1 < MAX_ATTEMPTS:
                held.add(entry.clinic_id)
        return delivered + self.mark_delivered(notices)

    def _deliver(self, entry: Entry) -> bool:
        if not self._in_unit(lambda queue: queue.claim(entry, clock.now() + CLAIMED_FOR), writes=True):
            return False
        try:
            remark = self.carry_out(entry)
        except Exception as error:
            self.fail(entry, error)
            return False
        self.mark_delivered([entry.id], remark)
        return True

    def retry_at(self, entry: Entry, until: datetime, failure: str) -> None:
        """Have the event tried again at that time."""
        _log.warning("delivery_failed", extra={"event": entry.id, "kind": entry.kind, "failure": failure})
        self._in_unit(lambda queue: queue.retry_at(entry, until, failure), writes=True)

    def mark_delivered(self, ids: list[str], remark: str | None = None) -> int:
        """Note that the events are done; tells how many were not done before."""
        return self._in_unit(lambda queue: queue.mark_delivered(ids, remark), writes=True) if ids else 0

    def _in_unit(self, work: Callable[[Queue], T], *, writes: bool) -> T:
        def with_queue(unit: UnitOfWork) -> T:
            return work(Queue(unit))

        return run(self._database, with_queue, writes=writes)


class Relay(RelayLoop):
    """Sends mails, compensates changes of accounts, and marks notices."""

    name = "outbox-relay"

    def __init__(
        self,
        database: Database,
        config: Config,
        mailer: Mailer | None,
        accounts: Accounts,
        *,
        left_out: frozenset[str] = frozenset(),
        poll_seconds: float = 2.0,
    ) -> None:
        """`left_out`: the kinds that another relay delivers; `poll_seconds` as in `RelayLoop`."""
        super().__init__(database, poll_seconds=poll_seconds)
        self._application_url = config.application_url
        self._mailer = mailer
        self._accounts = accounts
        self._compensation = Compensation(database, accounts)
        self._unroutable = left_out | (MAILS if mailer is None else frozenset[str]())

    def list_due(self, queue: Queue, limit: int) -> list[Entry]:
        return queue.list_due(limit, self._unroutable)

    def is_notice(self, kind: str) -> bool:
        return is_notice(kind)

    def carry_out(self, entry: Entry) -> str | None:
        return self._send(entry) if is_mail(entry.kind) else self._compensation.compensate(entry.kind, entry.payload)

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


def pause_after(attempts: int) -> timedelta:
    """How long to wait after a failure that followed `attempts` earlier ones."""
    doublings: int = 2 ** min(attempts, 20)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def failure_of(error: Exception) -> str:
    """The kind of failure, without anything it says: that may hold an address or a name."""
    kind = type(error).__name__
    return f"{kind}: {error.message}" if isinstance(error, MailNotSent) else kind
