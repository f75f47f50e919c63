"""Sends messages to Redox: the results of orders, and the reports of patients as flowsheets and notes.

A message that Redox has accepted is not sent again when the order or the scheduled report is tried again. It is sent twice
only when the process ends before the acceptance is stored; the receiver recognises this by the document id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.errors import ConstraintViolation
from clinic_service.gateways.redox import RedoxApi
from clinic_service.gateways.reports import ReportRequest, Reports
from clinic_service.resources.ehr.redox.flowsheet import PERIOD, Style, flowsheet, glucose_management_indicator
from clinic_service.resources.ehr.redox.notes import FILE_NAME, NoteContent, note
from clinic_service.resources.ehr.redox.outcomes import NewOutcome, OrderOutcomes, StoredOrder
from clinic_service.resources.ehr.redox.outgoing import Envelope, Sender
from clinic_service.resources.ehr.redox.report_facts import ReportFacts
from clinic_service.resources.ehr.redox.results import ResultKind, results
from clinic_service.unit_of_work import run


class DestinationsMissing(ConstraintViolation):
    message = "The EHR settings of the clinic name no destinations."


class RecordIncomplete(ConstraintViolation):
    message = "The record of the patient has no name or no date of birth."


class ReportDocument(NamedTuple):
    """The document of a report: its id, the order that it answers, and the earlier document that it replaces, if any."""

    id: str
    order: Mapping[str, Any]
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class RedoxReports:
    """Sends the messages of this server through `redox`, with the reports that `reports` makes."""

    database: Database
    config: Config
    redox: RedoxApi
    reports: Reports

    def send_results(self, order: StoredOrder, outcome: NewOutcome, settings: Any) -> None:
        """Send the outcome of an order. Raises DestinationsMissing, and what Redox raises."""
        envelope = self._envelope(order.content, settings, "results")
        kind, explanation = ResultKind(outcome.result or ""), outcome.explanation or ""
        self._send_once(order.id, results(envelope, kind, succeeded=bool(outcome.succeeded), explanation=explanation))

    def send_report(self, document: ReportDocument, facts: ReportFacts) -> None:
        """Send the flowsheet of a patient, if there are statistics, and the report as a note.

        Both are made before the first one is sent. Raises DestinationsMissing and RecordIncomplete, and what Redox and the
        export service raise.
        """
        style = Style(facts.bg_units, bool(facts.settings.flowsheets.icode))
        statistics = flowsheet(self._envelope(document.order, facts.settings, "flowsheet"), facts.summaries, style)
        report = self._note(document, facts, style)
        if statistics:
            self._send_once(document.id, statistics)
        self._send_once(document.id, report)

    def _note(self, document: ReportDocument, facts: ReportFacts, style: Style) -> dict[str, Any]:
        shows_indicator = facts.settings.notes.include_gmi
        return note(
            self._envelope(document.order, facts.settings, "notes"),
            document.id,
            self._content(self.reports.generate(_request(facts))),
            replaces=document.replaces,
            management_indicator=glucose_management_indicator(facts.summaries, style) if shows_indicator else None,
        )

    def _content(self, pdf: bytes) -> NoteContent:
        if self.config.redox_upload_file_enabled:
            return NoteContent.uploaded(self.redox.upload(FILE_NAME, pdf))
        return NoteContent.inline(pdf)

    def _envelope(self, order: Mapping[str, Any], settings: Any, purpose: str) -> Envelope:
        if settings.destination_ids is None:
            raise DestinationsMissing
        config = self.config
        sender = Sender(config.redox_source_id or "", config.redox_source_name or "", config.redox_test_mode)
        return Envelope(order, sender, getattr(settings.destination_ids, purpose))

    def _send_once(self, document_id: str, message: Mapping[str, Any]) -> None:
        data_model = message["Meta"]["DataModel"]
        if run(self.database, lambda uow: OrderOutcomes(uow).is_sent(document_id, data_model), writes=False):
            return
        self.redox.send(message)
        run(self.database, lambda uow: OrderOutcomes(uow).add_sent(document_id, data_model), writes=True)


def _request(facts: ReportFacts) -> ReportRequest:
    """The request for a report of the last 14 days with data; without limits when the time of the data is not known."""
    if not (facts.full_name and facts.birth_date):
        raise RecordIncomplete
    return ReportRequest(
        facts.user_id,
        facts.full_name,
        facts.birth_date,
        mrn=facts.mrn,
        timezone=facts.timezone,
        bg_units=facts.bg_units,
        start=facts.last_data - PERIOD if facts.last_data else None,
        end=facts.last_data,
    )
