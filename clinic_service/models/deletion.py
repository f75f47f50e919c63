"""Records of what was deleted, when and by whom. They outlive the clinic, so they have no foreign key to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import Json, ObjectId, UserId


class _Deletion:
    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    deleted_time: Mapped[datetime]
    # Null when a service deleted it.
    deleted_by_user_id: Mapped[str | None] = mapped_column(UserId)
    # The whole row before the deletion.
    record: Mapped[dict[str, Any]] = mapped_column(Json)


class ClinicDeletion(_Deletion, Base):
    """The deletion of a clinic."""

    __tablename__ = "clinic_deletions"
    placement = BY_CLINIC
    __table_args__ = (Index(None, "deleted_time"),)


class _DeletionOfUser(_Deletion):
    # The user of the deleted row; null for an invitation that was not accepted.
    user_id: Mapped[str | None] = mapped_column(UserId)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Index, ...]:
        return Index(None, "deleted_time"), Index(None, "clinic_id", "user_id")


class ClinicianDeletion(_DeletionOfUser, Base):
    """The deletion of a clinician, or of an invitation."""

    __tablename__ = "clinician_deletions"
    placement = BY_CLINIC


class PatientDeletion(_DeletionOfUser, Base):
    """The deletion of a patient."""

    __tablename__ = "patient_deletions"
    placement = BY_CLINIC
