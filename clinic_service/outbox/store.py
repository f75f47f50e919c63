"""Outbox: writes the events of a unit of work as rows of its own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from clinic_service.db.ids import new_id
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import OutboxEntry

_ADD = insert_into(OutboxEntry, "id", "clinic_id", "kind", "payload", "created_time", "attempts", "next_attempt_time")


class Event(Protocol):
    """Something that happened; see `events.py`."""

    kind: ClassVar[str]

    @property
    def clinic_id(self) -> str | None: ...
    def to_payload(self) -> Mapping[str, Any]: ...


class Outbox(Repository):
    """`uow.outbox.add(...)` is all that the domain knows of mails, notices and other services."""

    def add(self, *events: Event) -> None:
        """Store `events`; the relay delivers them after the commit, at least once, in order for each clinic."""
        now = self._uow.now
        rows = [
            {
                "id": new_id(),
                "clinic_id": event.clinic_id,
                "kind": event.kind,
                "payload": dict(event.to_payload()),
                "created_time": now,
                "attempts": 0,
                "next_attempt_time": now,
            }
            for event in events
        ]
        self._uow.insert(_ADD, *rows)
