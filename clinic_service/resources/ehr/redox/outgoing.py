"""What all messages to Redox have in common: who sends them where, and whom and what they are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clinic_service import clock
from clinic_service.resources.ehr.redox.members import member


@dataclass(frozen=True, slots=True)
class Sender:
    """This server, as Redox knows it. `test_mode` marks every message as one that is about nobody."""

    id: str
    name: str
    test_mode: bool = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """What stands around each message that follows from an order: the order, who sends it, and to which destination."""

    order: Mapping[str, Any]
    sender: Sender
    destination_id: str

    def message(self, data_model: str, event_type: str, **content: Any) -> dict[str, Any]:
        """The message with `content`, its members that are none of these.

        What the order says about patient and visit is repeated, so that the health record system files the message
        where the order came from. A test order is answered by a test message.
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
    """Those members of a part of the order that it has."""
    found = {name: member(order, part, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
