"""The embedded directory of accounts, used when no accounts service is configured. It holds no passwords."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps
from clinic_service.db.placement import LOCAL, REFERENCE
from clinic_service.db.types import Json, ObjectId, UserId


class EmbeddedAccount(Timestamps, Base):
    """An account of the embedded directory, with its profile."""

    __tablename__ = "accounts"
    placement = LOCAL

    user_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    # Lower-case; null for an account without an e-mail address.
    username: Mapped[str | None]
    full_name: Mapped[str | None]
    roles: Mapped[list[str]] = mapped_column(Json, default=list)
    patient_profile: Mapped[dict[str, Any] | None] = mapped_column(Json)
    # The clinic that made the account for a patient who has not claimed it.
    custodial_clinic_id: Mapped[str | None] = mapped_column(ObjectId)

    __table_args__ = (UniqueConstraint("username"),)


class AccountDeletion(Base):
    """An account that an operator removed. Until it is added again, its user's tokens are refused."""

    __tablename__ = "account_deletions"
    placement = REFERENCE

    user_id: Mapped[str] = mapped_column(UserId, primary_key=True)
    deleted_time: Mapped[datetime]

    __table_args__ = (Index(None, "deleted_time"),)


class AccountEmail(Base):
    """An e-mail address of an account, lower-case. Mail goes to the address with the lowest position."""

    __tablename__ = "account_emails"
    placement = LOCAL

    email: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("accounts.user_id", ondelete="CASCADE"))
    position: Mapped[int]

    account: Mapped[EmbeddedAccount] = relationship(lazy="raise")

    __table_args__ = (Index(None, "user_id"),)
