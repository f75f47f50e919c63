"""Events for other systems and for users, stored in the transaction of the change and delivered afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base, partial_index
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import CreationTime, Json, ObjectId
from clinic_service.models.audit import NO_CLINIC


class OutboxEntry(Base):
    """One event. Events of a clinic are delivered in the order of their creation.

    `clinic_id` is empty for an event of no clinic, because it is a part of the key.
    """

    __tablename__ = "outbox"
    placement = BY_CLINIC

    id: Mapped[str] = mapped_column(ObjectId)
    clinic_id: Mapped[str] = mapped_column(ObjectId, default=NO_CLINIC)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    created_time: Mapped[datetime] = mapped_column(CreationTime)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_time: Mapped[datetime]
    delivered_time: Mapped[datetime | None]
    last_error: Mapped[str | None]

    __table_args__ = (
        PrimaryKeyConstraint("clinic_id", "id"),
        partial_index("ix_outbox_next_attempt_time", "next_attempt_time", where="delivered_time IS NULL"),
        partial_index("ix_outbox_kind_next_attempt_time", "kind", "next_attempt_time", where="delivered_time IS NULL"),
        partial_index("ix_outbox_delivered_time", "delivered_time", where="delivered_time IS NOT NULL"),
    )
