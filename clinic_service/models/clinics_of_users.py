"""In which clinics a user is a patient or a clinician, and which clinic an invitation belongs to.

A user is looked up in these tables first, and the clinics by their ids then. The tables repeat keys of patients and
clinicians. Code that stores or removes those changes them in the same transaction (`clinic_service/clinics_of_users.py`).
They have no foreign keys; `ShareCode` explains why.
"""

from __future__ import annotations

from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_USER, REFERENCE
from clinic_service.db.types import ExactText, ObjectId, UserId


class PatientRecord(Base):
    """The clinic has a record of the user as a patient."""

    __tablename__ = "patient_records"
    placement = BY_USER

    user_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)

    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads it as it stands


class Membership(Base):
    """The user is a clinician of the clinic."""

    __tablename__ = "memberships"
    placement = BY_USER

    user_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)

    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012 - SQLAlchemy reads it as it stands


class PendingClinician(Base):
    """The clinic has a pending clinician with this invitation. No other clinic has one with the same invitation."""

    __tablename__ = "pending_clinicians"
    placement = REFERENCE

    invite_id: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    clinic_id: Mapped[str] = mapped_column(ObjectId)
