"""Orders of Xealth, the input of their forms, and the views of reports."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId
from clinic_service.models.clinic import Clinic
from clinic_service.models.patient import Patient


class XealthPreorder(Timestamps, Base):
    """The input of the form that was shown before an order. The order refers to it by `data_tracking_id`.

    An order may use it only if it has the deployment and the medical record number of the form.
    """

    __tablename__ = "xealth_preorders"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    data_tracking_id: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    deployment: Mapped[str] = mapped_column(ExactText())
    mrn: Mapped[str]
    # The address of the patient, or of the guardian if there is one.
    email: Mapped[str | None]
    connect_abbott: Mapped[bool]
    connect_dexcom: Mapped[bool]
    # Both are null in the input of the form for patients.
    guardian_first_name: Mapped[str | None]
    guardian_last_name: Mapped[str | None]
    # The ids as they were sent; some may not be tags of the clinic.
    tag_ids: Mapped[list[str]] = mapped_column(Json)
    # When an order created a patient from it; it is not changed afterwards.
    used_time: Mapped[datetime | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (Index(None, "updated_time"),)


class XealthOrder(Base):
    """An event of an order, with the order as Xealth returned it then. The texts are stored unchanged."""

    __tablename__ = "xealth_orders"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    deployment: Mapped[str] = mapped_column(ExactText())
    order_id: Mapped[str] = mapped_column(ExactText())
    program_id: Mapped[str]
    partner_id: Mapped[str | None]
    event_id: Mapped[str | None]
    event_type: Mapped[str]
    event_context: Mapped[str]
    # The time of the event as Xealth gives it. Events can arrive in another order.
    event_time: Mapped[datetime]
    event_text: Mapped[str] = mapped_column(Text)
    order_text: Mapped[str] = mapped_column(Text)
    created_time: Mapped[datetime] = mapped_column(CreationTime)
    # Null when the event had no effect, because it was too old or the order was not active.
    applied_time: Mapped[datetime | None]

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (
        Index(None, "clinic_id", "deployment", "order_id", "created_time"),
        Index(None, "created_time"),
    )


class XealthReportView(Base):
    """A user of a health record system got a link to the report of a patient."""

    __tablename__ = "xealth_report_views"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId)
    ehr_user_id: Mapped[str] = mapped_column(ExactText())
    system_login: Mapped[str | None]
    deployment: Mapped[str] = mapped_column(ExactText())
    program_id: Mapped[str] = mapped_column(ExactText())
    created_time: Mapped[datetime] = mapped_column(CreationTime)

    patient: Mapped[Patient] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        # Without deployment and program: they hardly differ for one user, and would make the key too wide.
        Index("ix_xealth_report_views_latest", "clinic_id", "patient_id", "ehr_user_id", "created_time"),
        Index(None, "created_time"),
    )
