"""The move of a legacy clinician's patients into a clinic."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base, Timestamps
from clinic_service.db.placement import LOCAL
from clinic_service.db.types import ObjectId, UserId, string_enum


class MigrationStatus(StrEnum):
    """The states of a migration."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"


class Migration(Timestamps, Base):
    """A migration. Its primary key is the user, who can migrate once; `ShareCode` explains why there is no foreign key."""

    __tablename__ = "migrations"
    placement = LOCAL

    user_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId)
    status: Mapped[MigrationStatus] = mapped_column(string_enum(MigrationStatus, "status"))
    attestation_time: Mapped[datetime | None]

    __table_args__ = (Index(None, "clinic_id", "created_time"),)
