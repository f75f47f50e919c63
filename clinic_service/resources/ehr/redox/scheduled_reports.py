"""Scheduled reports: whether one is still needed, the document that it replaces, and its final state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import and_, bindparam, or_, select, update

from clinic_service.db.repository import Repository
from clinic_service.models import RedoxMessage, ReportOrderState, ScheduledReportOrder
from clinic_service.resources.ehr.redox.notes import may_replace
from clinic_service.resources.ehr.redox.report_facts import ReportFacts
from clinic_service.resources.ehr.redox.sending import ReportDocument

NOT_CONNECTED = "The clinic or the patient is gone, or the clinic is not connected any more."
NOT_SUBSCRIBED = "The reports of the patient are switched off."
NOTHING_NEW = "There is no newer data."
ORDER_GONE = "The order behind the report is not stored any more."
_REPLACE = "Replace"

_THIS = and_(ScheduledReportOrder.clinic_id == bindparam("clinic_id"), ScheduledReportOrder.id == bindparam("id"))
_CREATED = bindparam("created_time", type_=ScheduledReportOrder.created_time.type)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A scheduled report that was delivered: its document, and the time at which it was scheduled."""

    id: str
    created_time: datetime


@dataclass(frozen=True, slots=True)
class ScheduledReport:
    """A pending report, the order that it answers, and the last report before it that was delivered."""

    id: str
    clinic_id: str
    user_id: str
    created_time: datetime
    order: dict[str, Any] | None
    order_time: datetime | None
    last: Delivered | None

    def document(self, facts: ReportFacts) -> ReportDocument | None:
        """The document of the report; None when the order is not stored any more."""
        if self.order is None:
            return None
        wants_replacement = facts.settings.scheduled_reports.on_upload_note_event_type == _REPLACE
        if wants_replacement and self.last and may_replace(self.last.created_time, self.created_time):
            return ReportDocument(self.id, self.order, self.last.id)
        return ReportDocument(self.id, self.order)

    def obstacle(self, facts: ReportFacts | None) -> str | None:
        """The reason why the report is not needed any more; None when it is needed.

        It is needed when data was uploaded after the last delivered report, or without one after the order.
        """
        if facts is None:
            return NOT_CONNECTED
        if not facts.is_subscribed:
            return NOT_SUBSCRIBED
        since = self.last.created_time if self.last else self.order_time
        if since is not None and (facts.last_upload is None or facts.last_upload <= since):
            return NOTHING_NEW
        return None


class ScheduledReports(Repository):
    """Scheduled reports, from pending to the end."""

    _FIND = (
        select(
            ScheduledReportOrder.clinic_id,
            ScheduledReportOrder.id,
            ScheduledReportOrder.user_id,
            ScheduledReportOrder.message_id,
            ScheduledReportOrder.created_time,
            ScheduledReportOrder.state,
            RedoxMessage.payload,
            RedoxMessage.event_time,
        )
        .outerjoin(RedoxMessage, RedoxMessage.id == ScheduledReportOrder.message_id)
        .where(_THIS)
    )
    _LAST_DELIVERED = (
        select(ScheduledReportOrder.id, ScheduledReportOrder.created_time)
        .where(
            ScheduledReportOrder.clinic_id == bindparam("clinic_id"),
            ScheduledReportOrder.user_id == bindparam("user_id"),
            ScheduledReportOrder.message_id == bindparam("message_id"),
            ScheduledReportOrder.state == ReportOrderState.DELIVERED,
            or_(
                ScheduledReportOrder.created_time < _CREATED,
                and_(ScheduledReportOrder.created_time == _CREATED, ScheduledReportOrder.id < bindparam("id")),
            ),
        )
        .order_by(ScheduledReportOrder.created_time.desc(), ScheduledReportOrder.id.desc())
        .limit(1)
    )

    def find_pending(self, clinic_id: str, report_id: str) -> ScheduledReport | None:
        """The pending report, read in two statements; None when it is gone or not pending any more."""
        row = self._uow.first(self._FIND, {"clinic_id": clinic_id, "id": report_id})
        if row is None or row.state != ReportOrderState.PENDING:
            return None
        key = {name: getattr(row, name) for name in ("clinic_id", "user_id", "message_id", "created_time", "id")}
        last = self._uow.first(self._LAST_DELIVERED, key)
        return ScheduledReport(
            id=row.id,
            clinic_id=row.clinic_id,
            user_id=row.user_id,
            created_time=row.created_time,
            order=None if row.payload is None else orjson.loads(row.payload),
            order_time=row.event_time,
            last=None if last is None else Delivered(last.id, last.created_time),
        )

    _END = (
        update(ScheduledReportOrder)
        .where(
            ScheduledReportOrder.clinic_id == bindparam("of_clinic"),
            ScheduledReportOrder.id == bindparam("of_id"),
            ScheduledReportOrder.state == ReportOrderState.PENDING,
        )
        .values(state=bindparam("to_state"), reason=bindparam("because"), delivered_time=bindparam("time"))
    )

    def end(self, clinic_id: str, report_id: str, state: ReportOrderState, reason: str | None = None) -> None:
        """Record that a pending report was delivered, was skipped or failed."""
        time = self._uow.now if state is ReportOrderState.DELIVERED else None
        key = {"of_clinic": clinic_id, "of_id": report_id}
        self._uow.change(self._END, {**key, "to_state": state, "because": reason, "time": time})
