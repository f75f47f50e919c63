"""Relay: delivers the events of the outbox, each at least once."""

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
from clinic_service.gateways.mail import Mailer, MailNotSent, UnsendableMail
from clinic_service.metrics.counters import count_delivery
from clinic_service.outbox.deliveries import ACCOUNT_CHANGES, MAILS, compose, is_mail
from clinic_service.outbox.queue import MAX_ATTEMPTS, Entry, Queue
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")
# Carries out the compensation for an event of this kind with this payload. Returns why there was nothing to do, or None.
Compensate = Callable[[str, Mapping[str, Any]], str | None]
_log = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=1)
# Under load a round finds the events of this time together, so each event costs less.
_GATHER_SECONDS = 0.1
_ROUND = 100
# Longer than a delivery can take. When a relay dies during a delivery, another one takes the row after this time.
CLAIMED_FOR = timedelta(minutes=5)
# The maximum number of attempts to send a mail. With the pauses between them, they take five days.
MAX_MAIL_ATTEMPTS = 128
NO_RECIPIENT = "NoRecipient"
# The remark on events for a partner's system when the partner is switched off.
NO_RECEIVER = "NoReceiver"


class RelayLoop(ABC):
    """Delivers events that are due. Several relays may run on one database.

    A subclass says which events it delivers, and how.
    """

    # The name of the thread that runs the relay.
    name: ClassVar[str]

    def __init__(self, database: Database, *, poll_seconds: float = 2.0) -> None:
        """`poll_seconds`: the pause of `run` when nothing is due."""
        self._database = database
        self._poll_seconds = poll_seconds

    @abstractmethod
    def list_due(self, queue: Queue, limit: int) -> list[Entry]:
        """At most `limit` events that are due."""

    @abstractmethod
    def carry_out(self, entry: Entry) -> str | None:
        """Deliver the event. Returns why there was nothing to do, or None."""

    def fail(self, entry: Entry, error: Exception) -> None:
        """Record that the event could not be delivered. It is tried again after a pause that grows with each failure."""
        self.retry_at(entry, clock.now() + pause_after(entry.attempts), failure_of(error))

    def run(self, stop: threading.Event) -> None:
        """Deliver until `stop` is set. Continues when the database cannot be used for a while."""
        while not stop.is_set():
            try:
                delivered = self.deliver_due()
            except Exception as error:
                _log.warning("outbox_unreachable", extra={"failure": type(error).__name__})
                delivered = 0
            if delivered < _ROUND:
                stop.wait(_GATHER_SECONDS if delivered else self._poll_seconds)

    def deliver_due(self, limit: int = _ROUND) -> int:
        """Deliver at most `limit` events that are due, in order for each clinic. Returns how many were delivered.

        Raises what the database raises. A delivery that fails raises nothing, and is tried again later.
        """
        entries = self._in_unit(lambda queue: self.list_due(queue, limit), writes=False)
        delivered, held = 0, set[str]()
        for entry in entries:
            if entry.clinic_id in held:
                continue
            if self._deliver(entry):
                delivered += 1
            elif entry.clinic_id and entry.attempts + 1 < MAX_ATTEMPTS:
                held.add(entry.clinic_id)
        return delivered

    def _deliver(self, entry: Entry) -> bool:
        if not self._in_unit(lambda queue: queue.claim(entry, clock.now() + CLAIMED_FOR), writes=True):
            return False
        try:
            remark = self.carry_out(entry)
        except Exception as error:
            count_delivery(entry.kind, "failed")
            self.fail(entry, error)
            return False
        count_delivery(entry.kind, "delivered")
        self.mark_delivered(entry, remark)
        return True

    def retry_at(self, entry: Entry, until: datetime, failure: str) -> None:
        """Try the event again at that time."""
        _log.warning("delivery_failed", extra={"event": entry.id, "kind": entry.kind, "failure": failure})
        self._in_unit(lambda queue: queue.retry_at(entry, until, failure), writes=True)

    def mark_delivered(self, entry: Entry, remark: str | None = None) -> None:
        """Record that the event is delivered."""
        self._in_unit(lambda queue: queue.mark_delivered(entry, remark), writes=True)

    def _in_unit(self, work: Callable[[Queue], T], *, writes: bool) -> T:
        def with_queue(unit: UnitOfWork) -> T:
            return work(Queue(unit))

        return run(self._database, with_queue, writes=writes)


class Relay(RelayLoop):
    """Sends mails, and compensates changes of accounts."""

    name = "outbox-relay"

    def __init__(
        self,
        database: Database,
        config: Config,
        mailer: Mailer | None,
        accounts: Accounts,
        compensate: Compensate,
        *,
        left_out: frozenset[str] = frozenset(),
        poll_seconds: float = 2.0,
    ) -> None:
        """`compensate` carries out compensations; `left_out`: the kinds of events that another relay delivers."""
        super().__init__(database, poll_seconds=poll_seconds)
        self._application_url = config.application_url
        self._mailer = mailer
        self._accounts = accounts
        self._compensate = compensate
        self._unroutable = left_out | (MAILS if mailer is None else frozenset[str]())

    def list_due(self, queue: Queue, limit: int) -> list[Entry]:
        return queue.list_due(limit, self._unroutable)

    def carry_out(self, entry: Entry) -> str | None:
        if is_mail(entry.kind):
            return self._send(entry)
        return self._compensate(entry.kind, entry.payload) if entry.kind in ACCOUNT_CHANGES else NO_RECEIVER

    def fail(self, entry: Entry, error: Exception) -> None:
        is_given_up = isinstance(error, UnsendableMail) or entry.attempts + 1 >= MAX_MAIL_ATTEMPTS
        if not (is_mail(entry.kind) and is_given_up):
            super().fail(entry, error)
            return
        failure = failure_of(error)
        _log.warning("delivery_given_up", extra={"event": entry.id, "kind": entry.kind, "failure": failure})
        self.mark_delivered(entry, failure)

    def _send(self, entry: Entry) -> str | None:
        """Send the mail. Returns why there was nothing to send, or None."""
        address = self._address(entry.payload)
        if self._mailer is None or not address:
            return NO_RECIPIENT
        self._mailer.send(
            compose(entry.kind, entry.payload, to=address, key=entry.id, application_url=self._application_url)
        )
        return None

    def _address(self, payload: Mapping[str, Any]) -> str | None:
        """The address for the mail: the user's present address for signing in, or the invited address."""
        if "userId" not in payload:
            return payload.get("Email")
        account = self._accounts.find_account(payload["userId"])
        return account.username if account else None


def pause_after(attempts: int) -> timedelta:
    """The pause after a failure, when there were `attempts` failures before it."""
    doublings: int = 2 ** min(attempts, 20)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def failure_of(error: Exception) -> str:
    """The kind of the failure, without its message, because a message can contain an address or a name."""
    kind = type(error).__name__
    return f"{kind}: {error.message}" if isinstance(error, MailNotSent) else kind
