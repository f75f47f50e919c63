"""Deliveries: handle the events of Redox. An order is carried out and answered; a scheduled report is sent.

Each delivery can be repeated after any failure. No other system is called while a transaction is open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from clinic_service.auth.caller import Caller, CallerKind
from clinic_service.db.engine import Database
from clinic_service.models import EhrProvider, OrderState, ReportOrderState
from clinic_service.preparation import Preparation, Services
from clinic_service.resources.ehr.matching import find_clinic
from clinic_service.resources.ehr.redox import orders as redox_orders
from clinic_service.resources.ehr.redox.outcomes import NewOutcome, OrderOutcomes, StoredOrder
from clinic_service.resources.ehr.redox.report_facts import find_facts
from clinic_service.resources.ehr.redox.scheduled_reports import (
    NOT_CONNECTED,
    ORDER_GONE,
    ScheduledReport,
    ScheduledReports,
)
from clinic_service.resources.ehr.redox.sending import RedoxReports, ReportDocument
from clinic_service.unit_of_work import UnitOfWork, run

T = TypeVar("T")

NO_ORDER = "NoOrder"
_REDOX = Caller("redox", CallerKind.PARTNER)


class Delivery(Protocol):
    """Handles events of one kind."""

    def deliver(self, payload: Mapping[str, Any]) -> str | None:
        """Handle the event. Returns the reason when there was nothing to do. Can be repeated after any failure."""

    def give_up(self, payload: Mapping[str, Any], failure: str) -> None:
        """Record that the event could not be handled because of `failure`."""


class OrderDelivery:
    """Carries out and answers the orders among the received messages."""

    def __init__(self, database: Database, services: Services, reports: RedoxReports) -> None:
        self._database, self._services, self._reports = database, services, reports

    def deliver(self, payload: Mapping[str, Any]) -> str | None:
        order, outcome = self._find(payload["messageId"])
        if order is None:
            return NO_ORDER
        if outcome is None:
            outcome = self._in_preparation(lambda ctx: redox_orders.carry_out(ctx, order))
        if outcome.state is OrderState.PENDING:
            self._answer(order, outcome)
        return None

    def give_up(self, payload: Mapping[str, Any], failure: str) -> None:
        order, outcome = self._find(payload["messageId"])
        if order is None:
            return
        if outcome is None:
            outcome = self._in_preparation(lambda ctx: redox_orders.give_up(ctx, order, failure))
            if outcome.state is OrderState.PENDING:
                # This was the last attempt, so the clinic is told of the failure now.
                with suppress(Exception):
                    self._send_results(order, outcome)
        self._end(order.id, failure)

    def _answer(self, order: StoredOrder, outcome: NewOutcome) -> None:
        if not self._send_results(order, outcome):
            self._end(order.id, NOT_CONNECTED)
            return
        if outcome.clinic_id and outcome.user_id:
            self._send_report(order, outcome.clinic_id, outcome.user_id)
        self._end(order.id)

    def _send_results(self, order: StoredOrder, outcome: NewOutcome) -> bool:
        """Send the results of the order. False when the clinic is not connected any more."""
        clinic = self._read(lambda uow: find_clinic(uow, EhrProvider.REDOX, order.source_id))
        if clinic is None or clinic.id != outcome.clinic_id:
            return False
        self._reports.send_results(order, outcome, clinic.settings)
        return True

    def _send_report(self, order: StoredOrder, clinic_id: str, user_id: str) -> None:
        facts = self._read(lambda uow: find_facts(uow, clinic_id, user_id))
        # A later order may have switched the reports off.
        if facts and facts.is_subscribed:
            self._reports.send_report(ReportDocument(order.id, order.content), facts)

    def _find(self, message_id: str) -> tuple[StoredOrder | None, NewOutcome | None]:
        def find(uow: UnitOfWork) -> tuple[StoredOrder | None, NewOutcome | None]:
            known = OrderOutcomes(uow)
            return known.find_order(message_id), known.find(message_id)

        return self._read(find)

    def _end(self, message_id: str, failure: str | None = None) -> None:
        run(self._database, lambda uow: OrderOutcomes(uow).end(message_id, failure), writes=True)

    def _read(self, work: Callable[[UnitOfWork], T]) -> T:
        return run(self._database, work, writes=False)

    def _in_preparation(self, work: Callable[[Preparation], T]) -> T:
        return self._read(lambda uow: work(Preparation(_REDOX, uow, self._services, self._database)))


class ScheduledReportDelivery:
    """Sends scheduled reports that are still needed."""

    def __init__(self, database: Database, reports: RedoxReports) -> None:
        self._database, self._reports = database, reports

    def deliver(self, payload: Mapping[str, Any]) -> str | None:
        found = run(self._database, lambda uow: find_pending(uow, payload), writes=False)
        if found is None:
            return None
        clinic_id, report = found
        facts = run(self._database, lambda uow: find_facts(uow, clinic_id, report.user_id), writes=False)
        obstacle = report.obstacle(facts)
        if facts is None or obstacle:
            self._end(clinic_id, payload, ReportOrderState.SKIPPED, obstacle)
            return obstacle
        document = report.document(facts)
        if document is None:
            self._end(clinic_id, payload, ReportOrderState.FAILED, ORDER_GONE)
            return ORDER_GONE
        self._reports.send_report(document, facts)
        self._end(clinic_id, payload, ReportOrderState.DELIVERED)
        return None

    def give_up(self, payload: Mapping[str, Any], failure: str) -> None:
        found = run(self._database, lambda uow: find_pending(uow, payload), writes=False)
        if found:
            self._end(found[0], payload, ReportOrderState.FAILED, failure)

    def _end(
        self, clinic_id: str, payload: Mapping[str, Any], state: ReportOrderState, reason: str | None = None
    ) -> None:
        report_id = payload["orderId"]
        run(self._database, lambda uow: ScheduledReports(uow).end(clinic_id, report_id, state, reason), writes=True)


def find_pending(uow: UnitOfWork, payload: Mapping[str, Any]) -> tuple[str, ScheduledReport] | None:
    """The pending report of the event and the id of its clinic; None when there is none.

    The clinic is the clinic in the event, or the clinic that it was merged into.
    """
    clinic_id: str | None = payload["clinicId"]
    while clinic_id is not None:
        report = ScheduledReports(uow).find_pending(clinic_id, payload["orderId"])
        if report:
            return clinic_id, report
        clinic_id = uow.merges.find_successor(clinic_id)
    return None
