"""The rows of the audit trail: one for each write, in the transaction of the write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.sql import Select

from clinic_service.audit.record import NO_HASH, AuditRecord, Outcome
from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among
from clinic_service.db.prepared import insert_into
from clinic_service.db.repository import Repository
from clinic_service.models import NO_CLINIC, AuditChain, AuditEntry, Patient

_ALL = select(*AuditEntry.__table__.columns)
_CHAIN = select(AuditChain.sequence, AuditChain.hash, AuditChain.removed_sequence, AuditChain.removed_hash).where(
    AuditChain.id == 1
)


class Chain(NamedTuple):
    """Both ends of the chain of rows: the last entry that is sealed, and the last one that was removed by age."""

    sequence: int
    hash: str
    removed_sequence: int
    removed_hash: str


_EMPTY = Chain(0, NO_HASH, 0, NO_HASH)


class StoredEntry(NamedTuple):
    """A row: its key, its place in the chain (None until it is sealed), and its record."""

    clinic_id: str
    id: str
    sequence: int | None
    hash: str | None
    record: AuditRecord


class Choice(NamedTuple):
    """Conditions on records, all of which must hold; None is no condition. `until` is not included."""

    clinic: str | None = None
    subject: str | None = None
    caller: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def includes(self, record: AuditRecord) -> bool:
        """Whether the record is wanted."""
        return (
            self.clinic in (None, record.clinic)
            and self.subject in (None, record.subject)
            and self.caller in (None, record.caller)
            and (self.since is None or record.time >= self.since)
            and (self.until is None or record.time < self.until)
        )


class AuditRepository(Repository):
    """Stores and reads the rows."""

    changed: frozenset[str] | None = None
    """The members of the request's body that got another value; None: all that the body has, as far as is known."""

    _ADD = insert_into(
        AuditEntry,
        "clinic_id",
        "id",
        "time",
        "request_id",
        "operation",
        "status",
        "caller_id",
        "caller_kind",
        "caller_role",
        "subject_id",
        "patients",
        "changed",
    )

    def add(self, record: AuditRecord) -> None:
        """Store a row about a write."""
        self._uow.insert(
            self._ADD,
            {
                "clinic_id": record.clinic or NO_CLINIC,
                "id": self._uow.new_id(),
                "time": record.time,
                "request_id": record.request,
                "operation": record.operation,
                "status": record.status,
                "caller_id": record.caller,
                "caller_kind": record.kind,
                "caller_role": record.role,
                "subject_id": record.subject,
                "patients": record.patients,
                "changed": list(record.changed or ()),
            },
        )

    def chain(self) -> Chain:
        """Both ends of the chain."""
        rows = self._uow.rows(_CHAIN, {})
        return Chain(*rows[0]) if rows else _EMPTY

    _LOCK_CHAIN = _CHAIN.with_for_update()
    _BEGIN_CHAIN = insert_into(AuditChain, "id", "sequence", "hash", "removed_sequence", "removed_hash")

    def lock_chain(self) -> Chain:
        """Both ends of the chain, which nobody else changes until the end of the transaction."""
        found = self._uow.first(self._LOCK_CHAIN, {})
        if found is None:
            self._uow.insert(self._BEGIN_CHAIN, {"id": 1, **_EMPTY._asdict()})
            return _EMPTY
        return Chain(*found)

    _SET_CHAIN = (
        update(AuditChain)
        .where(AuditChain.id == 1)
        .values(
            sequence=bindparam("new_sequence"),
            hash=bindparam("new_hash"),
            removed_sequence=bindparam("new_removed_sequence"),
            removed_hash=bindparam("new_removed_hash"),
        )
    )

    def set_chain(self, chain: Chain) -> None:
        """Store both ends of the chain."""
        self._uow.change(self._SET_CHAIN, {f"new_{name}": value for name, value in chain._asdict().items()})

    # Without an order, because sorting all entries that wait for each batch of them would take quadratic time.
    _UNSEALED = _ALL.where(AuditEntry.sequence.is_(None)).limit(bindparam("limit"))

    def list_unsealed(self, limit: int) -> list[StoredEntry]:
        """At most `limit` rows that are not in the chain yet, those in the order of their times."""
        found = _entries(self._uow.rows(self._UNSEALED, {"limit": limit}))
        return sorted(found, key=lambda entry: (entry.record.time, entry.id))

    _COUNT_UNSEALED = select(func.count().label("number")).where(AuditEntry.sequence.is_(None))

    def count_unsealed(self) -> int:
        """The number of rows that are not in the chain yet."""
        ((number,),) = self._uow.rows(self._COUNT_UNSEALED, {})
        return number

    _SEALED = (
        _ALL.where(AuditEntry.sequence > bindparam("after"), AuditEntry.sequence <= bindparam("last"))
        .order_by(AuditEntry.sequence)
        .limit(bindparam("limit"))
    )

    def list_sealed(self, after: int, last: int, limit: int) -> list[StoredEntry]:
        """At most `limit` rows of the chain, from the one after `after` to `last`."""
        return _entries(self._uow.rows(self._SEALED, {"after": after, "last": last, "limit": limit}))

    _SEAL = (
        update(AuditEntry)
        .where(AuditEntry.clinic_id == bindparam("of_clinic"), AuditEntry.id == bindparam("entry"))
        .values(sequence=bindparam("sequence"), hash=bindparam("hash"))
    )

    def seal(self, entries: Sequence[StoredEntry]) -> None:
        """Store the places of the rows in the chain."""
        self._uow.change(self._SEAL, *({**_key(e), "sequence": e.sequence, "hash": e.hash} for e in entries))

    _REMOVE = delete(AuditEntry).where(
        AuditEntry.clinic_id == bindparam("of_clinic"), AuditEntry.id == bindparam("entry")
    )

    def remove(self, entries: Sequence[StoredEntry]) -> None:
        """Remove the rows."""
        self._uow.change(self._REMOVE, *map(_key, entries))

    _CLINICS_OF = select(Patient.clinic_id, Patient.created_time).where(
        among(Patient.clinic_id, "clinic_ids"), Patient.user_id == bindparam("user_id")
    )

    def clinics_of(self, user_id: str) -> list[tuple[str, datetime]]:
        """The ids of the clinics that have a record of the user, each with the time of that record."""
        these = {"user_id": user_id, "clinic_ids": ClinicsOfUsers(self._uow).of_patient(user_id)}
        return [(row.clinic_id, row.created_time) for row in self._uow.rows(self._CLINICS_OF, these)]

    def list_chosen(self, choice: Choice) -> Iterator[AuditRecord]:
        """The wanted records, in the order of their times."""
        for entry in _entries(self._uow.execute(_chosen(choice)).yield_per(1000)):
            yield entry.record


def _key(entry: StoredEntry) -> dict[str, str]:
    return {"of_clinic": entry.clinic_id, "entry": entry.id}


def _chosen(choice: Choice) -> Select[Any]:
    statement = _ALL.order_by(AuditEntry.time, AuditEntry.id)
    if choice.clinic is not None:
        statement = statement.where(AuditEntry.clinic_id == choice.clinic)
    if choice.subject is not None:
        statement = statement.where(AuditEntry.subject_id == choice.subject)
    if choice.caller is not None:
        statement = statement.where(AuditEntry.caller_id == choice.caller)
    if choice.since is not None:
        statement = statement.where(AuditEntry.time >= choice.since)
    if choice.until is not None:
        statement = statement.where(AuditEntry.time < choice.until)
    return statement


def _entries(rows: Any) -> list[StoredEntry]:
    return [
        StoredEntry(
            row.clinic_id,
            row.id,
            row.sequence,
            row.hash,
            AuditRecord(
                time=row.time,
                request=row.request_id,
                operation=row.operation,
                outcome=Outcome.of(row.status),
                status=row.status,
                caller=row.caller_id,
                kind=row.caller_kind,
                role=row.caller_role,
                clinic=row.clinic_id or None,
                subject=row.subject_id,
                patients=row.patients,
                changed=row.changed or None,
            ),
        )
        for row in rows
    ]
