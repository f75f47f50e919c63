"""What messages to Redox say, and what they repeat of the order."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from clinic_service import clock
from clinic_service.resources.ehr.redox.notes import NoteContent, may_replace, note
from clinic_service.resources.ehr.redox.outgoing import Envelope, Sender
from clinic_service.resources.ehr.redox.results import ResultKind, results
from tests.ehr.orders import SENDER, order

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DESTINATION = "51d1-destination"


@pytest.fixture(autouse=True)
def _present() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def _envelope(sender: Sender = SENDER, **parts: Any) -> Envelope:
    return Envelope(order(**parts), sender, DESTINATION)


def test_message_says_who_sends_it_where() -> None:
    assert _envelope().message("Results", "New")["Meta"] == {
        "DataModel": "Results",
        "EventType": "New",
        "EventDateTime": "2026-03-02T09:30:00.000Z",
        "Test": False,
        "Source": {"ID": SENDER.id, "Name": SENDER.name},
        "Destinations": [{"ID": DESTINATION}],
    }


def test_patient_and_visit_are_those_of_the_order() -> None:
    message = _envelope().message("Results", "New")
    sent = order()
    assert message["Patient"] == {
        "Identifiers": sent["Patient"]["Identifiers"],
        "Demographics": sent["Patient"]["Demographics"],
    }
    assert message["Visit"] == {
        "VisitNumber": "V-77",
        "AccountNumber": "A-12",
        "Location": {"Facility": "Harbour", "Department": "Diabetes"},
    }


@pytest.mark.parametrize("visit", [None, {}, {"Guarantor": {}}, "V-77"])
def test_order_without_a_visit_is_answered_without_one(visit: Any) -> None:
    assert "Visit" not in _envelope(Visit=visit).message("Results", "New")


@pytest.mark.parametrize(
    ("sender", "meta", "test"),
    [
        (SENDER, {"Test": False}, False),
        (SENDER, {}, False),
        (SENDER, {"Test": True}, True),
        (Sender("a", "b", test_mode=True), {"Test": False}, True),
    ],
)
def test_test_messages_are_marked(sender: Sender, meta: dict[str, Any], test: bool) -> None:
    assert _envelope(sender, Meta=meta).message("Results", "New")["Meta"]["Test"] is test


@pytest.mark.parametrize(
    ("kind", "succeeded", "expected"),
    [
        (ResultKind.MATCHING, True, [("MATCHING_RESULT", "SUCCESS"), ("MATCHING_RESULT_MESSAGE", "Why.")]),
        (
            ResultKind.ACCOUNT_CREATION,
            False,
            [("ACCOUNT_CREATION_RESULT", "FAILURE"), ("ACCOUNT_CREATION_RESULT_MESSAGE", "Why.")],
        ),
    ],
)
def test_results_of_an_order(kind: ResultKind, succeeded: bool, expected: list[tuple[str, str]]) -> None:
    message = results(_envelope(), kind, succeeded=succeeded, explanation="Why.")
    assert (message["Meta"]["DataModel"], message["Meta"]["EventType"]) == ("Results", "New")
    (answered,) = message["Orders"]
    assert (answered["ID"], answered["Status"], answered["ResultsStatus"]) == ("157968300", "Resulted", "Final")
    assert [(one["Code"], one["Value"]) for one in answered["Results"]] == expected
    assert {one["ValueType"] for one in answered["Results"]} == {"String"}


def test_note_holds_the_report() -> None:
    message = note(_envelope(), "65f1c0de0a1b2c3d4e5f6c01", NoteContent.inline(b"%PDF-1.7 report"))
    assert (message["Meta"]["DataModel"], message["Meta"]["EventType"]) == ("Notes", "New")
    assert message["Note"] == {
        "DocumentType": "Tidepool Report",
        "DocumentID": "65f1c0de0a1b2c3d4e5f6c01",
        "FileName": "report.pdf",
        "FileType": "PDF",
        "FileContents": base64.b64encode(b"%PDF-1.7 report").decode(),
        "ContentType": "Base64 Encoded",
        "Provider": {"ID": "4356789876"},
    }


def test_note_refers_to_an_uploaded_report() -> None:
    message = note(_envelope(), "1", NoteContent.uploaded("https://blob.example/42"))
    assert message["Note"]["FileContents"] == "https://blob.example/42"
    assert message["Note"]["ContentType"] == "Plain Text"


def test_note_of_an_order_without_a_provider() -> None:
    assert "Provider" not in note(_envelope(Order={"ID": "1"}), "1", NoteContent.uploaded("u"))["Note"]


def test_note_takes_the_place_of_another() -> None:
    message = note(_envelope(), "2", NoteContent.uploaded("u"), replaces="1")
    assert (message["Meta"]["DataModel"], message["Meta"]["EventType"]) == ("Notes", "Replace")
    assert (message["Note"]["DocumentID"], message["Note"]["OriginalDocumentID"]) == ("2", "1")


def test_new_note_names_no_original() -> None:
    assert "OriginalDocumentID" not in note(_envelope(), "2", NoteContent.uploaded("u"))["Note"]


def test_glucose_management_indicator_is_a_component() -> None:
    message = note(_envelope(), "2", NoteContent.uploaded("u"), management_indicator="7.0")
    assert message["Note"]["Components"] == [
        {
            "ID": "GLUCOSE_MANAGEMENT_INDICATOR",
            "Name": "Glucose management indicator",
            "Value": "7.0",
            "Units": "%",
        }
    ]
    assert "Components" not in note(_envelope(), "2", NoteContent.uploaded("u"))["Note"]


@pytest.mark.parametrize(("seconds", "expected"), [(0, True), (300, True), (301, False)])
def test_note_can_be_replaced_for_five_minutes(seconds: int, expected: bool) -> None:
    assert may_replace(NOW - timedelta(seconds=seconds), NOW) is expected
