"""Queue: the queries of the relay and of operators about the outbox."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, and_, bindparam, func, or_, select, update

from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.db.types import UtcDateTime
from clinic_service.models import NO_CLINIC, OutboxEntry

# After this many failed attempts, later rows of the clinic no longer wait for a row.
MAX_ATTEMPTS = 5

_NOW = bindparam("now", type_=UtcDateTime())
_UNROUTABLE: BindParameter[list[str]] = bindparam("unroutable", expanding=True)
# Later rows of a clinic wait for a row that waits for its next attempt. There are few such rows at any time, so they are
# collected once. A subquery for each row would take quadratic time.
_waiting = (
    select(OutboxEntry.clinic_id, func.min(OutboxEntry.created_time).label("since"))
    .where(
        OutboxEntry.delivered_time.is_(None),
        OutboxEntry.next_attempt_time > _NOW,
        OutboxEntry.attempts < MAX_ATTEMPTS,
        OutboxEntry.kind.not_in(_UNROUTABLE),
        OutboxEntry.clinic_id != NO_CLINIC,
    )
    .group_by(OutboxEntry.clinic_id)
    .cte("waiting")
)
_ALL_DUE = (
    select(
        OutboxEntry.id,
        OutboxEntry.clinic_id,
        OutboxEntry.kind,
        OutboxEntry.payload,
        OutboxEntry.attempts,
        OutboxEntry.next_attempt_time,
    )
    .where(OutboxEntry.delivered_time.is_(None), OutboxEntry.next_attempt_time <= _NOW)
    .order_by(OutboxEntry.created_time, OutboxEntry.id)
    .limit(bindparam("limit"))
)
_UNDELIVERED = and_(
    OutboxEntry.clinic_id == bindparam("of_clinic"),
    OutboxEntry.id == bindparam("entry"),
    OutboxEntry.delivered_time.is_(None),
)


class Entry(NamedTuple):
    """An event to be delivered. The id of its clinic is empty when it has none."""

    id: str
    clinic_id: str
    kind: str
    payload: dict[str, Any]
    attempts: int
    next_attempt_time: datetime


class ListedEntry(NamedTuple):
    """An event with all its columns. The id of its clinic is empty when it has none."""

    id: str
    clinic_id: str
    kind: str
    payload: dict[str, Any]
    created_time: datetime
    attempts: int
    next_attempt_time: datetime
    delivered_time: datetime | None
    last_error: str | None


_IN_ORDER = select(
    OutboxEntry.id,
    OutboxEntry.clinic_id,
    OutboxEntry.kind,
    OutboxEntry.payload,
    OutboxEntry.created_time,
    OutboxEntry.attempts,
    OutboxEntry.next_attempt_time,
    OutboxEntry.delivered_time,
    OutboxEntry.last_error,
).order_by(OutboxEntry.created_time, OutboxEntry.id)


class Queue(Repository):
    """The rows of the outbox in order of delivery."""

    _DUE = _ALL_DUE.join(_waiting, _waiting.c.clinic_id == OutboxEntry.clinic_id, isouter=True).where(
        OutboxEntry.kind.not_in(_UNROUTABLE),
        or_(_waiting.c.since.is_(None), OutboxEntry.created_time < _waiting.c.since),
    )

    def list_due(self, limit: int, unroutable: Collection[str]) -> list[Entry]:
        """At most `limit` rows that are due. Rows of the kinds `unroutable` are left out, and no row waits for them."""
        rows = self._uow.execute(self._DUE, {"now": self._uow.now, "limit": limit, "unroutable": sorted(unroutable)})
        return [Entry._make(row) for row in rows]

    _DUE_OF_KINDS = _ALL_DUE.where(OutboxEntry.kind.in_(bindparam("kinds", expanding=True)))

    def list_due_of(self, kinds: Collection[str], limit: int) -> list[Entry]:
        """At most `limit` due rows of these kinds. No other row waits for them, and they wait for no other row."""
        rows = self._uow.execute(self._DUE_OF_KINDS, {"now": self._uow.now, "limit": limit, "kinds": sorted(kinds)})
        return [Entry._make(row) for row in rows]

    _CLAIM = (
        update(OutboxEntry)
        .where(_UNDELIVERED, OutboxEntry.next_attempt_time == bindparam("seen", type_=UtcDateTime()))
        .values(next_attempt_time=bindparam("until"))
    )

    def claim(self, entry: Entry, until: datetime) -> bool:
        """Reserve `entry` for this relay until the time `until`. False when another relay was faster."""
        return self._uow.change(self._CLAIM, {**_key(entry), "seen": entry.next_attempt_time, "until": until}) == 1

    _RETRY_AT = (
        update(OutboxEntry)
        .where(_UNDELIVERED)
        .values(attempts=OutboxEntry.attempts + 1, last_error=bindparam("error"), next_attempt_time=bindparam("until"))
    )

    def retry_at(self, entry: Entry, until: datetime, error: str) -> None:
        """Record that `entry` failed with `error`, and is to be tried again at the time `until`."""
        self._uow.change(self._RETRY_AT, {**_key(entry), "until": until, "error": error})

    _DELIVERED = (
        update(OutboxEntry).where(_UNDELIVERED).values(delivered_time=bindparam("now"), last_error=bindparam("error"))
    )

    def mark_delivered(self, entry: Entry, remark: str | None = None) -> None:
        """Mark `entry` as delivered."""
        self._uow.change(self._DELIVERED, {**_key(entry), "now": self._uow.now, "error": remark})

    _ALL = Query(ListedEntry, _IN_ORDER)
    _NOT_DELIVERED = Query(ListedEntry, _IN_ORDER.where(OutboxEntry.delivered_time.is_(None)))

    def list_rows(self, *, delivered_too: bool) -> Sequence[ListedEntry]:
        """All rows, or only those that are not delivered yet, in order of delivery."""
        return self._uow.rows(self._ALL if delivered_too else self._NOT_DELIVERED, {})


def _key(entry: Entry) -> dict[str, str]:
    return {"of_clinic": entry.clinic_id, "entry": entry.id}
