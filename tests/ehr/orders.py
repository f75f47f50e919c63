"""An order as Redox sends it."""

from __future__ import annotations

from typing import Any

from clinic_service.resources.ehr.redox.outgoing import Sender

SENDER = Sender("0f4bd1d1-451d-4351-8cfd-b767d1b488d6", "Clinic Service")
SOURCE_ID = "7ce6f387-c33c-417d-8682-81e83628cbd9"


def order(code: str | None = "ENABLE", **parts: Any) -> dict[str, Any]:
    """A new order with this procedure code; `parts` replace members of the message, None leaves one out."""
    made: dict[str, Any] = {
        "Meta": {
            "DataModel": "Order",
            "EventType": "New",
            "EventDateTime": "2026-03-02T09:29:41.000Z",
            "Test": False,
            "Source": {"ID": SOURCE_ID, "Name": "Harbour EHR"},
            "Logs": [
                {"ID": "d9f5d293-7110-461e-a875-3beb089e79f3", "AttemptID": "925d1617-2fe0-468c-a14c-f8c04b572c54"}
            ],
            "FacilityCode": "HRBR",
        },
        "Patient": {
            "Identifiers": [{"ID": "E-1", "IDType": "EPI"}, {"ID": "MRN-20417", "IDType": "MRN"}],
            "Demographics": {
                "FirstName": "Carol",
                "LastName": "Cooper",
                "DOB": "1987-04-12",
                "EmailAddresses": ["Carol@Mail.example"],
            },
            "Notes": ["private"],
        },
        "Visit": {
            "VisitNumber": "V-77",
            "AccountNumber": "A-12",
            "Location": {"Facility": "Harbour", "Department": "Diabetes"},
            "Guarantor": {"FirstName": "Gail", "EmailAddresses": ["gail@mail.example"]},
        },
        "Order": {"ID": "157968300", "Procedure": {"Code": code}, "Provider": {"ID": "4356789876"}},
    }
    return {name: value for name, value in (made | parts).items() if value is not None}
