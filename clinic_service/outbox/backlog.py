"""Backlog: how many events wait for delivery, of each kind, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, bindparam, func, literal, select, tuple_, union_all

from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.db.types import UtcDateTime
from clinic_service.models import OutboxEntry
from clinic_service.outbox.events import KINDS, NOTICES

# More are not counted, so that the query does not grow with the backlog.
MAX_COUNTED = 1000

_NOW = bindparam("now", type_=UtcDateTime())


class BacklogOfKind(NamedTuple):
    """The events of one kind that are due: their number, at most `MAX_COUNTED`, and when the oldest became due."""

    kind: str
    number: int
    due_since: datetime | None


def _of_kind(kind: str) -> Select[str, int, datetime]:
    # A part of the index of undelivered events by kind and time.
    oldest = (
        select(OutboxEntry.next_attempt_time)
        .where(
            # A row comparison: with two separate conditions, PostgreSQL would read the events of all kinds in order of
            # their times to find a rare kind.
            OutboxEntry.kind >= kind,
            tuple_(OutboxEntry.kind, OutboxEntry.next_attempt_time) <= tuple_(kind, _NOW),
            OutboxEntry.delivered_time.is_(None),
        )
        .order_by(OutboxEntry.kind, OutboxEntry.next_attempt_time)
        .limit(MAX_COUNTED)
        .subquery()
    )
    time = oldest.c.next_attempt_time
    return select(literal(kind).label("kind"), func.count(time).label("number"), func.min(time).label("due_since"))


class Backlog(Repository):
    """The query about events that are due."""

    _BACKLOG = Query(BacklogOfKind, union_all(*(_of_kind(kind) for kind in sorted(KINDS - NOTICES))))

    def of_kinds(self) -> list[BacklogOfKind]:
        """The backlog of every kind of event that is delivered."""
        return self._uow.rows(self._BACKLOG, {"now": self._uow.now})
