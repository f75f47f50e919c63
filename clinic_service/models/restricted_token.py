"""Restricted tokens of the embedded store, which is used when no auth service is configured."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import LOCAL
from clinic_service.db.types import CreationTime, ExactText, Json, UserId


class RestrictedToken(Base):
    """A token that gives access to the data of one user until it expires. `hash` is its SHA-256 in hexadecimal."""

    __tablename__ = "restricted_tokens"
    placement = LOCAL

    hash: Mapped[str] = mapped_column(ExactText(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(UserId)
    # Prefixes of the paths that it gives access to; null for all.
    paths: Mapped[list[str] | None] = mapped_column(Json)
    created_time: Mapped[datetime] = mapped_column(CreationTime)
    expiration_time: Mapped[datetime]

    __table_args__ = (Index(None, "expiration_time"),)
