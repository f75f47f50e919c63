"""Invitations: from a clinic to a future clinician, or from a patient who offers a clinic access."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from secrets import token_urlsafe
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from clinic_service.db.base import Base, partial_index
from clinic_service.db.placement import REFERENCE
from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, string_enum

# These are 32 characters in base64.
_KEY_BYTES = 24


def new_invite_key() -> str:
    """The key of a new invitation, which cannot be guessed: 32 characters that are allowed in a URL."""
    return token_urlsafe(_KEY_BYTES)


class InviteType(StrEnum):
    """Who is invited: a clinician by a clinic, or a clinic by a patient."""

    CLINICIAN = "clinician_invitation"
    PATIENT = "careteam_invitation"


class InviteStatus(StrEnum):
    """The states of an invitation. Only a pending one can be answered."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELED = "canceled"
    DECLINED = "declined"


class Invite(Base):
    """An invitation. Its primary key is the key that the invitee gets; `ShareCode` explains why there is no foreign key."""

    __tablename__ = "invites"
    placement = REFERENCE

    key: Mapped[str] = mapped_column(ExactText(), primary_key=True)
    type: Mapped[InviteType] = mapped_column(string_enum(InviteType, "type"))
    status: Mapped[InviteStatus] = mapped_column(string_enum(InviteStatus, "status"))
    email: Mapped[str | None]
    # The invitee, when known.
    user_id: Mapped[str | None] = mapped_column(UserId)
    clinic_id: Mapped[str] = mapped_column(ObjectId)
    # The inviting admin, or the inviting patient.
    creator_id: Mapped[str]
    # The permissions that a patient offers, by name, each with an empty object.
    context: Mapped[dict[str, Any] | None] = mapped_column(Json)
    created: Mapped[datetime] = mapped_column(CreationTime)
    modified: Mapped[datetime]
    # Null for an invitation that does not expire.
    expires_at: Mapped[datetime | None]

    __table_args__ = (
        Index(None, "clinic_id", "type", "status"),
        Index(None, "user_id", "type", "status"),
        Index(None, "email", "type", "status"),
        Index(None, "creator_id", "type", "status"),
        partial_index("ix_invites_closed", "modified", where="status <> 'pending'"),
        # A patient has at most one open offer to a clinic. An index cannot compare with the present time, so an expired
        # offer is closed before the next one is made.
        partial_index(
            "ix_invites_open_offer",
            "clinic_id",
            "creator_id",
            unique=True,
            where="type = 'careteam_invitation' AND status = 'pending'",
        ),
    )

    def is_open(self, now: datetime) -> bool:
        """Whether the invitation can still be answered at `now`."""
        return self.status is InviteStatus.PENDING and (self.expires_at is None or now < self.expires_at)
