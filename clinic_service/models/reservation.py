"""What is kept free while another system is asked, because no transaction spans both."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.types import ObjectId, UserId


class Reservation(Base):
    """A clinic's place for a patient whose account is being made, or the change of a patient's account.

    It counts until `expires_time`, or until it is released, which comes first.
    """

    __tablename__ = "reservations"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    # The patient whose account is being changed; null for a patient who is still to be made.
    user_id: Mapped[str | None] = mapped_column(UserId)
    expires_time: Mapped[datetime]
