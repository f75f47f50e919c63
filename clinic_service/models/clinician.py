"""A member of a clinic: a person, a service account, or an invitation that nobody has accepted yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, ForeignKeyConstraint, Index, and_, not_
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps, partial_index
from clinic_service.db.types import ExactText, Json, ObjectId, UserId
from clinic_service.models.clinic import Clinic


class Role(StrEnum):
    """What a clinician is in the clinic, in the order in which roles are listed."""

    ADMIN = "CLINIC_ADMIN"
    MEMBER = "CLINIC_MEMBER"
    PRESCRIBER = "PRESCRIBER"


class Clinician(Timestamps, Base):
    __tablename__ = "clinicians"

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    # Null while the row is only an invitation; then `invite_id` is set.
    user_id: Mapped[str | None] = mapped_column(UserId)
    invite_id: Mapped[str | None] = mapped_column(ExactText())
    email: Mapped[str | None]
    name: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(default=False)
    is_member: Mapped[bool] = mapped_column(default=False)
    is_prescriber: Mapped[bool] = mapped_column(default=False)
    is_service_account: Mapped[bool] = mapped_column(default=False)

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (
        CheckConstraint("is_admin OR is_member OR is_prescriber", name="has_role"),
        partial_index(
            "ix_clinicians_clinic_id_user_id", "clinic_id", "user_id", unique=True, where="user_id IS NOT NULL"
        ),
        partial_index(
            "ix_clinicians_clinic_id_invite_id", "clinic_id", "invite_id", unique=True, where="invite_id IS NOT NULL"
        ),
        partial_index("ix_clinicians_clinic_id_email", "clinic_id", "email", unique=True, where="email IS NOT NULL"),
        partial_index("ix_clinicians_invite_id", "invite_id", unique=True, where="invite_id IS NOT NULL"),
        Index(None, "user_id"),
        Index(None, "clinic_id", "created_time", "id"),
        Index(None, "created_time"),
    )

    @property
    def roles(self) -> list[Role]:
        """The roles held, always in the order admin, member, prescriber."""
        held = {Role.ADMIN: self.is_admin, Role.MEMBER: self.is_member, Role.PRESCRIBER: self.is_prescriber}
        return [role for role in Role if held[role]]

    @roles.setter
    def roles(self, roles: Iterable[str]) -> None:
        """Raises ValueError for a name that is no role."""
        given = {Role(role) for role in roles}
        self.is_admin = Role.ADMIN in given
        self.is_member = Role.MEMBER in given
        self.is_prescriber = Role.PRESCRIBER in given

    @hybrid_property
    def counts_as_admin(self) -> bool:
        """Whether this is one of the clinic's administrators: a person, no invitation and no service account.

        Also a condition of queries.
        """
        return self.is_admin and self.user_id is not None and not self.is_service_account

    @counts_as_admin.inplace.expression
    @classmethod
    def _counts_as_admin(cls) -> ColumnElement[bool]:
        return and_(cls.is_admin, cls.user_id.is_not(None), not_(cls.is_service_account))

    @property
    def is_pending(self) -> bool:
        """Whether nobody has accepted the invitation yet; such a row gives no access."""
        return self.user_id is None


class ClinicianRoleUpdate(Base):
    """One change of a clinician's roles: what they became, who changed them and when."""

    __tablename__ = "clinician_role_updates"

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    clinician_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    roles: Mapped[list[str]] = mapped_column(Json)
    updated_by: Mapped[str | None]
    time: Mapped[datetime]

    clinician: Mapped[Clinician] = relationship(lazy="raise")

    __table_args__ = (
        ForeignKeyConstraint(
            ["clinic_id", "clinician_id"], ["clinicians.clinic_id", "clinicians.id"], ondelete="CASCADE"
        ),
    )
