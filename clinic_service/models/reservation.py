"""Reservations, which are held while another system is called, because no transaction spans both systems."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ObjectId, UserId


class Reservation(Base):
    """Reserves a place in the plan of a clinic for a patient whose account is being created, or the change of an account.

    A reservation is valid until it is released, or until `expires_time`, whichever comes first.
    """

    __tablename__ = "reservations"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    # The patient whose account is being changed; null for a patient who does not exist yet.
    user_id: Mapped[str | None] = mapped_column(UserId)
    expires_time: Mapped[datetime]
