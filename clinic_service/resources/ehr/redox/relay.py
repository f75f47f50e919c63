"""The relay of Redox: delivers its events, with at most three attempts, separately from all other events.

A report takes a long time to make, so mails must not wait for it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from clinic_service import clock, deadline
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import ServiceError, Unavailable
from clinic_service.gateways.accounts import Accounts
from clinic_service.gateways.redox import RedoxApi, chosen_redox
from clinic_service.gateways.reports import Reports, chosen_reports
from clinic_service.outbox.events import EhrMessageReceived, EhrReportScheduled
from clinic_service.outbox.queue import Entry, Queue
from clinic_service.outbox.relay import RelayLoop
from clinic_service.preparation import Services
from clinic_service.resources.ehr.redox.deliveries import Delivery, OrderDelivery, ScheduledReportDelivery
from clinic_service.resources.ehr.redox.outcomes import DuplicateTooEarly
from clinic_service.resources.ehr.redox.sending import RedoxReports

_log = logging.getLogger(__name__)

KINDS = frozenset({EhrMessageReceived.kind, EhrReportScheduled.kind})
MAX_ATTEMPTS = 3
PAUSE = timedelta(seconds=15)
# The time limit of one attempt; shorter than the time for which a relay claims an event.
SECONDS = 180.0


_REPORTS_AT_A_TIME = 5


class RedoxRelay(RelayLoop):
    """Delivers the events of Redox independently: no event waits for another one."""

    name = "redox-relay"

    def __init__(
        self,
        database: Database,
        config: Config,
        accounts: Accounts,
        redox: RedoxApi,
        reports: Reports,
        *,
        poll_seconds: float = 2.0,
    ) -> None:
        """`poll_seconds` as in `RelayLoop`."""
        super().__init__(database, poll_seconds=poll_seconds)
        sending = RedoxReports(database, config, redox, reports)
        self._deliveries: dict[str, Delivery] = {
            EhrMessageReceived.kind: OrderDelivery(database, Services(config, accounts), sending),
            EhrReportScheduled.kind: ScheduledReportDelivery(database, sending),
        }

    def list_due(self, queue: Queue, limit: int) -> list[Entry]:
        # Orders first, because a clinician waits for the answer; then few reports, so that new orders are seen soon.
        orders = queue.list_due_of({EhrMessageReceived.kind}, limit)
        return orders or queue.list_due_of({EhrReportScheduled.kind}, min(limit, _REPORTS_AT_A_TIME))

    def carry_out(self, entry: Entry) -> str | None:
        with deadline.limited(SECONDS):
            return self._deliveries[entry.kind].deliver(entry.payload)

    def fail(self, entry: Entry, error: Exception) -> None:
        """Retry later, unless this was the last attempt or another attempt would have the same result.

        A duplicate waits for its original however long that takes, which is not a failure.
        """
        reason = _reason(error)
        if isinstance(error, DuplicateTooEarly) or (entry.attempts + 1 < MAX_ATTEMPTS and not _is_refusal(error)):
            self.retry_at(entry, clock.now() + PAUSE, reason)
            return
        _log.warning("delivery_given_up", extra={"event": entry.id, "kind": entry.kind, "failure": reason})
        self._give_up(entry, reason)
        self.mark_delivered(entry, reason)

    def _give_up(self, entry: Entry, reason: str) -> None:
        try:
            self._deliveries[entry.kind].give_up(entry.payload, reason)
        except Unavailable:
            # The event stays claimed for a while; then this step is repeated.
            raise
        except Exception as error:
            _log.error("giving_up_failed", extra={"event": entry.id, "failure": type(error).__name__})


def chosen_redox_relay(config: Config, database: Database, accounts: Accounts) -> RedoxRelay | None:
    """The relay for `config`; None when Redox is switched off. Raises ConfigError."""
    redox = chosen_redox(config)
    return RedoxRelay(database, config, accounts, redox, chosen_reports(config)) if redox else None


def _is_refusal(error: Exception) -> bool:
    """Whether the error is a refusal by this server, which another attempt would repeat."""
    return isinstance(error, ServiceError) and error.status < 500


def _reason(error: Exception) -> str:
    """The reason of a failure: the message of a ServiceError, else only the type of the error.

    Messages of other errors can contain names or addresses.
    """
    return error.message if isinstance(error, ServiceError) else type(error).__name__
