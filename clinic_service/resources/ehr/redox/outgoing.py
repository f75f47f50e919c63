"""The common part of all messages to Redox: sender, destinations, patient, visit and order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service import clock
from clinic_service.resources.ehr.redox.members import member


@dataclass(frozen=True, slots=True)
class Sender:
    """This server as a source of Redox. `test_mode` marks every message as a test without a real patient."""

    id: str
    name: str
    test_mode: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of each message about an order: the order, the sender and the destination."""

    order: Mapping[str, Any]
    sender: Sender
    destination_id: str

    def message(self, data_model: str, event_type: str, **content: Any) -> dict[str, Any]:
        """The message in this envelope, with `content` as its other members.

        Patient and visit are copied from the order, so that the health record system files the message where the order
        came from. A test order gets test messages.
        """
        return {
            "Meta": {
                "DataModel": data_model,
                "EventType": event_type,
                "EventDateTime": clock.to_wire(clock.now()),
                "Test": self.sender.test_mode or member(self.order, "Meta", "Test") is True,
                "Source": {"ID": self.sender.id, "Name": self.sender.name},
                "Destinations": [{"ID": self.destination_id}],
            },
            **_taken_over(self.order),
            **content,
        }


def _taken_over(order: Mapping[str, Any]) -> dict[str, Any]:
    patient = _some(order, "Patient", ("Identifiers", "Demographics"))
    visit = _some(order, "Visit", ("VisitNumber", "AccountNumber", "Location"))
    return {name: part for name, part in (("Patient", patient), ("Visit", visit)) if part}


def _some(order: Mapping[str, Any], part: str, names: tuple[str, ...]) -> dict[str, Any]:
    """The members with these `names` that the part of the order has."""
    found = {name: member(order, part, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
