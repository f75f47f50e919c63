"""Direct grants of access from one user to another. Access through a clinic is a query, not a row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.types import Json, UserId


class Grant(Base):
    """What the sharer lets the grantee do: the names of the permissions, each with an object, nearly always empty."""

    __tablename__ = "grants"

    sharer_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    grantee_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    permissions: Mapped[dict[str, dict[str, Any]]] = mapped_column(Json)

    __table_args__ = (Index(None, "grantee_id"),)
