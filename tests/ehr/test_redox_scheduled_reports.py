"""Scheduled reports from the schedule to the health record, on both engines and against real servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from clinic_service import clock
from clinic_service.models import EhrSubscription, MatchedMessage, RedoxMessage, ReportOrderState, ScheduledReportOrder
from clinic_service.outbox.queue import Entry
from clinic_service.outbox.relay import CLAIMED_FOR
from clinic_service.resources.ehr.redox.scheduled_reports import NOT_CONNECTED, NOT_SUBSCRIBED, NOTHING_NEW, ORDER_GONE
from tests.ehr.exchange import DESTINATIONS, NOW, Exchange, cgm
from tests.ehr.orders import order
from tests.support.cast import CAROL, DAVE
from tests.support.http_server import Response
from tests.support.killing import killed_at
from tests.support.redox import REFUSED, TAKEN, in_turn
from tests.support.rows import stored, storing
from tests.support.statements import counting
from tests.support.summaries import put_summaries

REPORT = ["Flowsheet/New", "Notes/New"]
DELIVERED = (ReportOrderState.DELIVERED, None)
UPLOAD = {"scheduledReports": {"cadence": "14d", "onUploadEnabled": True, "onUploadNoteEventType": "Replace"}}


def _upload(exchange: Exchange, after: timedelta = timedelta(0), average: float = 8.5) -> None:
    """Let Carol's data be uploaded, so long after NOW."""
    with storing(exchange.database) as unit:
        put_summaries(unit, CAROL, cgmStats=cgm(NOW + after, average))


def _rows(exchange: Exchange) -> list[ScheduledReportOrder]:
    return sorted(stored(exchange.database, ScheduledReportOrder), key=lambda row: (row.created_time, row.id))


def _notes(exchange: Exchange) -> list[dict[str, Any]]:
    return [message["Note"] for message in exchange.redox.messages if "Note" in message]


def test_report_is_sent_in_answer_to_the_order(exchange: Exchange) -> None:
    exchange.subscribe(exchange.patient())
    exchange.sync()
    assert exchange.deliver() == 1
    assert exchange.redox.kinds == REPORT
    assert exchange.scheduled == [DELIVERED]
    [row] = _rows(exchange)
    assert row.delivered_time == NOW
    flowsheet, note = exchange.redox.messages
    assert note["Note"]["DocumentID"] == row.id
    assert note["Patient"]["Identifiers"] == order()["Patient"]["Identifiers"]
    assert [m["Meta"]["Destinations"][0]["ID"] for m in (flowsheet, note)] == [
        DESTINATIONS["flowsheet"],
        DESTINATIONS["notes"],
    ]


def test_report_tells_the_data_of_the_day_it_is_sent(exchange: Exchange) -> None:
    exchange.subscribe(exchange.patient())
    exchange.sync()
    _upload(exchange, average=10.0)
    exchange.deliver()
    values = {one["Code"]: one["Value"] for one in exchange.redox.messages[0]["Observations"]}
    assert values["AVERAGE_CGM"] == "180.1559"


def test_each_subscribed_patient_gets_one(exchange: Exchange) -> None:
    for person in (CAROL, DAVE):
        exchange.subscribe(exchange.patient(person))
    exchange.sync()
    assert exchange.deliver() == 2
    assert sorted(user_id for user_id, _ in exchange.redox.reports) == sorted((CAROL.id, DAVE.id))


class TestSkipped:
    def _assert_skipped(self, exchange: Exchange, reason: str) -> None:
        assert exchange.deliver() == 1
        assert exchange.scheduled[-1] == (ReportOrderState.SKIPPED, reason)
        assert [event.last_error for event in exchange.events][-1] == reason
        assert exchange.redox.server.received == []

    def test_patient_is_gone(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        with storing(exchange.database) as unit:
            unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
        self._assert_skipped(exchange, NOT_CONNECTED)

    def test_clinic_is_gone(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        with storing(exchange.database) as unit:
            unit.patients.remove(unit.patients.all_of_user(CAROL.id), None)
            unit.clinics.remove(unit.clinics.lock(exchange.clinic_id), None)
        assert exchange.deliver() == 1
        assert exchange.redox.server.received == []

    @pytest.mark.parametrize("change", [{"ehr_enabled": False}, {"ehr_provider": "xealth"}, {"ehr_settings": None}])
    def test_clinic_is_not_connected_any_more(self, exchange: Exchange, change: dict[str, Any]) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        if "ehr_settings" in change:
            change |= {"ehr_enabled": False, "ehr_provider": None}
        with storing(exchange.database) as unit:
            for name, value in change.items():
                setattr(unit.clinics.get(exchange.clinic_id), name, value)
        self._assert_skipped(exchange, NOT_CONNECTED)

    def test_reports_are_switched_off(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        exchange.sync()
        with storing(exchange.database) as unit:
            unit.ehr.deactivate(exchange.clinic_id, patient.id)
        self._assert_skipped(exchange, NOT_SUBSCRIBED)

    def test_nothing_was_uploaded_since_the_order(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient(has_data=False))
        _upload(exchange, -timedelta(days=1))
        exchange.sync()
        self._assert_skipped(exchange, NOTHING_NEW)

    def test_nothing_was_ever_uploaded(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient(has_data=False))
        exchange.sync()
        self._assert_skipped(exchange, NOTHING_NEW)

    def test_nothing_was_uploaded_since_the_last_report(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.deliver()
        exchange.redox.server.received.clear()
        with exchange.later(timedelta(days=1)):
            exchange.sync()
            self._assert_skipped(exchange, NOTHING_NEW)
        assert exchange.scheduled == [DELIVERED, (ReportOrderState.SKIPPED, NOTHING_NEW)]

    def test_order_without_a_time_rules_nothing_out(self, exchange: Exchange) -> None:
        made = order()
        made["Meta"] |= {"EventDateTime": None, "Logs": []}
        exchange.subscribe(exchange.patient(has_data=False), made)
        exchange.sync()
        exchange.deliver()
        assert exchange.scheduled == [DELIVERED]

    def test_order_is_not_stored_any_more(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        with storing(exchange.database) as unit:
            unit.execute(delete(RedoxMessage))
        assert exchange.deliver() == 1
        assert exchange.scheduled == [(ReportOrderState.FAILED, ORDER_GONE)]


class TestCutoff:
    def test_upload_after_the_last_report_is_reported(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.deliver()
        _upload(exchange, timedelta(hours=1))
        with exchange.later(timedelta(days=1)):
            exchange.sync()
            exchange.deliver()
        assert exchange.scheduled == [DELIVERED, DELIVERED]
        assert exchange.redox.kinds == [*REPORT, *REPORT]

    def test_upload_while_the_report_waited_is_reported_again(self, exchange: Exchange) -> None:
        """It may have come after the report was made."""
        exchange.subscribe(exchange.patient())
        exchange.sync()
        _upload(exchange, timedelta(minutes=1))
        with exchange.later(timedelta(minutes=2)):
            exchange.deliver()
            exchange.sync()
            exchange.deliver()
        assert exchange.scheduled == [DELIVERED, DELIVERED]

    def test_report_that_failed_is_not_lost(self, exchange: Exchange) -> None:
        """Only a delivered report rules out what was uploaded before it."""
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.redox.endpoint = in_turn(REFUSED)
        exchange.deliver_three_times()
        exchange.redox.endpoint = in_turn(TAKEN)
        with exchange.later(timedelta(days=1)):
            exchange.sync()
            exchange.deliver()
        assert [state for state, _ in exchange.scheduled] == [ReportOrderState.FAILED, ReportOrderState.DELIVERED]
        assert exchange.redox.kinds[-2:] == REPORT

    def test_report_that_was_skipped_rules_nothing_out(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        exchange.sync()
        with storing(exchange.database) as unit:
            unit.ehr.deactivate(exchange.clinic_id, patient.id)
        exchange.deliver()
        with storing(exchange.database) as unit:
            row = unit.session.query(EhrSubscription).one()
            row.active = True
        with exchange.later(timedelta(days=1)):
            exchange.sync()
            exchange.deliver()
        assert [state for state, _ in exchange.scheduled] == [ReportOrderState.SKIPPED, ReportOrderState.DELIVERED]

    def test_report_to_another_order_rules_nothing_out(self, exchange: Exchange) -> None:
        patient = exchange.patient()
        exchange.subscribe(patient)
        exchange.sync()
        exchange.deliver()
        made = order()
        made["Meta"] |= {"EventDateTime": clock.to_wire(NOW - timedelta(hours=2)), "Logs": []}
        with storing(exchange.database) as unit:
            unit.execute(delete(MatchedMessage))
            unit.execute(delete(EhrSubscription))
        exchange.subscribe(patient, made)
        with exchange.later(timedelta(days=1)):
            exchange.sync()
            exchange.deliver()
        assert exchange.scheduled == [DELIVERED, DELIVERED]


class TestReplace:
    def _two_reports(self, exchange: Exchange, apart: timedelta) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.deliver()
        _upload(exchange, timedelta(seconds=1))
        with exchange.later(apart):
            exchange.sync()
            exchange.deliver()

    def test_note_takes_the_place_of_one_of_the_last_five_minutes(self, exchange: Exchange) -> None:
        exchange.settings(**UPLOAD)
        self._two_reports(exchange, timedelta(minutes=5))
        first, second = _rows(exchange)
        assert exchange.redox.kinds == [*REPORT, "Flowsheet/New", "Notes/Replace"]
        assert [(note["DocumentID"], note.get("OriginalDocumentID")) for note in _notes(exchange)] == [
            (first.id, None),
            (second.id, first.id),
        ]

    def test_older_note_stays(self, exchange: Exchange) -> None:
        exchange.settings(**UPLOAD)
        self._two_reports(exchange, timedelta(minutes=5, milliseconds=1))
        assert exchange.redox.kinds == [*REPORT, *REPORT]

    def test_clinic_that_wants_new_notes_gets_them(self, exchange: Exchange) -> None:
        self._two_reports(exchange, timedelta(minutes=1))
        assert exchange.redox.kinds == [*REPORT, *REPORT]

    def test_note_that_was_never_delivered_is_not_replaced(self, exchange: Exchange) -> None:
        exchange.settings(**UPLOAD)
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.redox.endpoint = in_turn(REFUSED)
        exchange.deliver_three_times()
        exchange.redox.endpoint = in_turn(TAKEN)
        with exchange.later(timedelta(minutes=1)):
            exchange.sync()
            exchange.deliver()
        assert exchange.redox.kinds[-2:] == REPORT

    def test_third_note_replaces_the_second_one(self, exchange: Exchange) -> None:
        exchange.settings(**UPLOAD)
        self._two_reports(exchange, timedelta(minutes=1))
        _upload(exchange, timedelta(minutes=2))
        with exchange.later(timedelta(minutes=3)):
            exchange.sync()
            exchange.deliver()
        _, second, third = _rows(exchange)
        assert (_notes(exchange)[-1]["DocumentID"], _notes(exchange)[-1]["OriginalDocumentID"]) == (third.id, second.id)


class TestFailures:
    def test_report_is_tried_three_times(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.redox.report = in_turn(Response(500))
        exchange.deliver_three_times()
        assert exchange.scheduled == [(ReportOrderState.FAILED, "Another service gave no usable answer.")]
        assert len(exchange.redox.reports) == 3
        with exchange.later(timedelta(hours=1)):
            assert exchange.deliver() == 0

    def test_second_attempt_sends_what_is_missing(self, exchange: Exchange) -> None:
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.redox.endpoint = in_turn(TAKEN, REFUSED, TAKEN)
        exchange.deliver()
        assert exchange.scheduled == [(ReportOrderState.PENDING, None)]
        with exchange.later(timedelta(seconds=15)):
            exchange.deliver()
        assert exchange.redox.kinds == ["Flowsheet/New", "Notes/New", "Notes/New"]
        assert exchange.scheduled == [DELIVERED]

    def test_without_destinations_it_fails_at_once(self, exchange: Exchange) -> None:
        exchange.settings(destinationIds=None)
        exchange.subscribe(exchange.patient())
        exchange.sync()
        exchange.deliver()
        assert exchange.scheduled == [(ReportOrderState.FAILED, "The EHR settings of the clinic name no destinations.")]
        assert [event.attempts for event in exchange.events] == [0]

    def test_order_without_a_visit_is_no_failure(self, exchange: Exchange) -> None:
        made = order(Visit=None)
        made["Meta"] |= {"EventDateTime": clock.to_wire(NOW - timedelta(days=1)), "Logs": []}
        exchange.subscribe(exchange.patient(), made)
        exchange.sync()
        exchange.deliver()
        assert exchange.scheduled == [DELIVERED]
        assert all("Visit" not in message for message in exchange.redox.messages)

    def test_killed_at_any_moment_it_is_delivered_once_the_next_relay_comes(self, exchange: Exchange) -> None:
        exchange.configure(redox_upload_file_enabled=True)
        exchange.subscribe(exchange.patient())
        step, reached = 0, True
        while reached:
            step += 1
            time = step * timedelta(hours=1)
            _upload(exchange, time - timedelta(minutes=1))
            exchange.redox.server.received.clear()
            with exchange.later(time):
                exchange.sync()
                with killed_at(exchange.database, step) as steps:
                    exchange.deliver()
                reached = steps.reached
            exchange.configure(redox_upload_file_enabled=True)
            with exchange.later(time + CLAIMED_FOR):
                exchange.deliver()
            assert exchange.scheduled == [DELIVERED] * step
            assert set(exchange.redox.kinds) == set(REPORT)
            assert {note["DocumentID"] for note in _notes(exchange)} == {_rows(exchange)[-1].id}
        assert step > 10


def test_report_is_delivered_once_however_often_its_event_comes(exchange: Exchange) -> None:
    exchange.subscribe(exchange.patient())
    exchange.sync()
    [event] = exchange.events
    entry = Entry(event.id, "", event.kind, event.payload, 0, event.next_attempt_time)
    exchange.relay.carry_out(entry)
    exchange.relay.carry_out(entry)
    assert exchange.redox.kinds == REPORT
    exchange.relay.fail(entry._replace(attempts=2), KeyError())
    assert exchange.scheduled == [DELIVERED]


def test_statements_for_one_report(exchange: Exchange) -> None:
    for number in range(3):
        exchange.subscribe(exchange.patient(CAROL._replace(id=f"{number:010x}"), mrn=f"number {number}"))
    exchange.sync()
    counts = []
    for _ in range(3):
        with counting(exchange.database) as sent:
            assert exchange.relay.deliver_due(limit=1) == 1
        counts.append(len(sent))
    assert len(set(counts)) == 1
