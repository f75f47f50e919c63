"""Direct grants of access from one user to another. Access through a clinic has no rows: it is derived by a query."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base
from clinic_service.db.placement import LOCAL
from clinic_service.db.types import Json, UserId


class Grant(Base):
    """The permissions that the sharer grants to the grantee, by name, each with an object that is nearly always empty."""

    __tablename__ = "grants"
    placement = LOCAL

    sharer_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    grantee_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    permissions: Mapped[dict[str, dict[str, Any]]] = mapped_column(Json)

    __table_args__ = (Index(None, "grantee_id"),)
