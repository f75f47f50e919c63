"""Outbox: writes the events of a unit of work as rows of its transaction."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from sqlalchemy import and_, bindparam, delete, update

from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import NO_CLINIC, OutboxEntry

_ADD = insert_into(
    OutboxEntry,
    "id",
    "clinic_id",
    "kind",
    "payload",
    "created_time",
    "attempts",
    "next_attempt_time",
    "delivered_time",
)
# Whether the delivery has not begun. A relay that claims a row changes its time.
_UNTOUCHED = and_(
    OutboxEntry.clinic_id == bindparam("of_clinic"),
    OutboxEntry.id == bindparam("entry"),
    OutboxEntry.next_attempt_time == bindparam("due", type_=OutboxEntry.next_attempt_time.type),
    OutboxEntry.attempts == 0,
    OutboxEntry.delivered_time.is_(None),
)


class Event(Protocol):
    """An event; see `events.py`."""

    @property
    def kind(self) -> str:
        """The kind of the event, by which consumers select events."""

    @property
    def is_notice(self) -> bool:
        """Whether the event is only stored to be read, and never delivered."""

    @property
    def clinic_id(self) -> str | None:
        """The clinic that the event is about; None for an event without a clinic."""

    def to_payload(self) -> Mapping[str, Any]:
        """The members of the event, as they are stored and delivered."""


class ScheduledEvent(NamedTuple):
    """An event that is delivered at the time `due`, if it is not canceled before."""

    id: str
    due: datetime


class Outbox(Repository):
    """Stores events. The rules of the domain send mails and notices only through it."""

    def add(self, *events: Event) -> None:
        """Store `events`; the relay delivers them after the commit, at least once, in order for each clinic.

        Notices count as delivered from the beginning.
        """
        self._uow.insert(_ADD, *(self._row(event, self._uow.now) for event in events))

    def schedule(self, event: Event, due: datetime) -> ScheduledEvent:
        """Store `event` to be delivered at the time `due`.

        It must be an event without a clinic: events of its clinic would wait for it.
        """
        row = self._row(event, due)
        self._uow.insert(_ADD, row)
        return ScheduledEvent(row["id"], due)

    _CANCEL = delete(OutboxEntry).where(_UNTOUCHED)

    def cancel(self, schedule: ScheduledEvent) -> bool:
        """Cancel the scheduled event. False when it is too late because its delivery has begun."""
        return self._uow.change(self._CANCEL, _of(schedule)) == 1

    _DELIVER_NOW = update(OutboxEntry).where(_UNTOUCHED).values(next_attempt_time=bindparam("now"))

    def deliver_now(self, schedule: ScheduledEvent) -> None:
        """Let the scheduled event be delivered now.

        Has no effect on an event that was canceled or whose delivery has begun.
        """
        self._uow.change(self._DELIVER_NOW, {**_of(schedule), "now": self._uow.now})

    def _row(self, event: Event, due: datetime) -> dict[str, Any]:
        return {
            "id": self._uow.new_id(),
            "clinic_id": event.clinic_id or NO_CLINIC,
            "kind": event.kind,
            "payload": dict(event.to_payload()),
            "created_time": self._uow.creation_time,
            "attempts": 0,
            "next_attempt_time": due,
            "delivered_time": self._uow.now if event.is_notice else None,
        }


def _of(schedule: ScheduledEvent) -> dict[str, Any]:
    return {"of_clinic": NO_CLINIC, "entry": schedule.id, "due": schedule.due}
