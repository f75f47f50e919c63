"""Records of merges of clinics. The rows outlive the clinics, so they have no foreign keys to clinics."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base, partial_index
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import Json, ObjectId, string_enum


class MergeElementType(StrEnum):
    """The kind of a part of a merge."""

    TAG = "tag"
    SITE = "site"
    PATIENT = "patient"
    CLINICIAN = "clinician"
    CLINIC = "clinic"


class MergePlanElement(Base):
    """One part of a merge that was carried out: a tag, site, patient or clinician of either clinic, or the clinics.

    `clinic_id` is the target, and `source_id` the source, which was deleted. All parts of a merge have the same `plan_id`.
    """

    __tablename__ = "merge_plan_elements"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    plan_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    source_id: Mapped[str] = mapped_column(ObjectId)
    type: Mapped[MergeElementType] = mapped_column(string_enum(MergeElementType, "type"))
    element: Mapped[dict[str, Any]] = mapped_column(Json)

    __table_args__ = (
        # For finding the successor of a clinic that was deleted in a merge.
        partial_index("ix_merge_plan_elements_source_id", "source_id", where="type = 'clinic'"),
        # The id tells when the merge was carried out.
        Index(None, "plan_id"),
    )
