"""The rows of the audit trail about writes, and the chain that they are sealed into."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC, LOCAL
from clinic_service.db.types import ExactText, Json, ObjectId

NO_CLINIC = ""


class AuditEntry(Base):
    """One write. There is no foreign key, because the entry stays when the clinic or the person is deleted.

    `clinic_id` is a part of the key, so it is the empty text, and not null, for a write of no clinic. `sequence` and `hash`
    are the entry's place in the chain; they are null until the entry is sealed.
    """

    __tablename__ = "audit_entries"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    time: Mapped[datetime]
    request_id: Mapped[str]
    operation: Mapped[str]
    status: Mapped[int]
    caller_id: Mapped[str | None] = mapped_column(ExactText(255))
    caller_kind: Mapped[str | None]
    caller_role: Mapped[str | None]
    subject_id: Mapped[str | None] = mapped_column(ExactText(255))
    patients: Mapped[int | None]
    changed: Mapped[list[Any]] = mapped_column(Json)
    sequence: Mapped[int | None] = mapped_column(BigInteger)
    hash: Mapped[str | None]

    __table_args__ = (
        # Every write pays for each of them. There is none by caller or subject, because a search for those also reads all
        # files of the audit log, which has many more records.
        Index("ix_audit_entries_time", "time"),
        # Also finds the entries that are not sealed.
        Index("ix_audit_entries_sequence", "sequence"),
    )


class AuditChain(Base):
    """The only row: the ends of the chain, which are the last sealed entry and the last entry that was removed by age."""

    __tablename__ = "audit_chain"
    placement = LOCAL

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str]
    removed_sequence: Mapped[int] = mapped_column(BigInteger)
    removed_hash: Mapped[str]
