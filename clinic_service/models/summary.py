"""Summaries of the glucose data of patients. Another service computes the summaries, and they are stored as sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import COUNTED_IN_INDEXES, Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ExactText, JsonText, ObjectId
from clinic_service.models.patient import Patient


class Summary(Base):
    """The id and the dates of the summary of one type (`cgm` or `bgm`) of one patient.

    The flags tell whether the dates are meaningful; they are None for a summary without dates.
    """

    __tablename__ = "summaries"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    type: Mapped[str] = mapped_column(ExactText(3), primary_key=True)
    # The id that the sender uses. It is the same in all clinics of the user.
    summary_id: Mapped[str | None] = mapped_column(ExactText(24))
    # The digest of the document. It shows that an update changes nothing, without reading the document.
    digest: Mapped[bytes]
    last_updated_date: Mapped[datetime | None]
    has_first_data: Mapped[bool | None]
    first_data: Mapped[datetime | None]
    has_last_data: Mapped[bool | None]
    last_data: Mapped[datetime | None]
    has_last_upload_date: Mapped[bool | None]
    last_upload_date: Mapped[datetime | None]
    has_outdated_since: Mapped[bool | None]
    outdated_since: Mapped[datetime | None]

    patient: Mapped[Patient] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        Index(None, "summary_id"),
        # For counting the patients whose last data is within a span of time. The list index has the same dates, but
        # once for each period.
        Index(None, "clinic_id", "type", "last_data", "patient_id"),
        {"sqlite_with_rowid": False, "postgresql_with": COUNTED_IN_INDEXES},
    )


class SummaryDocument(Base):
    """The document of a summary, as it is sent.

    It has a table of its own, because it is a hundred times larger than the rest.
    """

    __tablename__ = "summary_documents"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    type: Mapped[str] = mapped_column(ExactText(3), primary_key=True)
    document: Mapped[str] = mapped_column(JsonText)

    summary: Mapped[Summary] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "patient_id", "type"],
            ["summaries.clinic_id", "summaries.patient_id", "summaries.type"],
            ondelete="CASCADE",
        ),
    )
