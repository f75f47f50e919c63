"""What merges of clinics did, kept for those who ask later. The rows outlive the clinics, so nothing ties them to one."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base, partial_index
from clinic_service.db.types import Json, ObjectId, string_enum


class MergeElementType(StrEnum):
    """What a part of a merge is about."""

    TAG = "tag"
    SITE = "site"
    PATIENT = "patient"
    CLINICIAN = "clinician"
    CLINIC = "clinic"


class MergePlanElement(Base):
    """One part of a merge that was carried out: a tag, site, patient or clinician of either clinic, or the clinics.

    `clinic_id` is the target and `source_id` the clinic that is gone. All parts of a merge have one `plan_id`.
    """

    __tablename__ = "merge_plan_elements"

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    plan_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    source_id: Mapped[str] = mapped_column(ObjectId)
    type: Mapped[MergeElementType] = mapped_column(string_enum(MergeElementType, "type"))
    element: Mapped[dict[str, Any]] = mapped_column(Json)

    # Tells which clinic took over one that is gone.
    __table_args__ = (partial_index("ix_merge_plan_elements_source_id", "source_id", where="type = 'clinic'"),)
