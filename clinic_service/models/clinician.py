"""A member of a clinic: a person, a service account, or an invitation that nobody has accepted yet."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, ColumnElement, ForeignKey, ForeignKeyConstraint, Index, and_, not_
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base, Timestamps, partial_index
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ExactText, Json, ObjectId, UserId
from clinic_service.models.clinic import Clinic


class Role(StrEnum):
    """The roles of a clinician, in the order in which they are listed."""

    ADMIN = "CLINIC_ADMIN"
    MEMBER = "CLINIC_MEMBER"
    PRESCRIBER = "PRESCRIBER"


def role_columns(roles: Iterable[str]) -> dict[str, bool]:
    """The columns of a clinician with these roles. Raises ValueError for a name that is not a role."""
    given = {Role(role) for role in roles}
    return {
        "is_admin": Role.ADMIN in given,
        "is_member": Role.MEMBER in given,
        "is_prescriber": Role.PRESCRIBER in given,
    }


class Clinician(Timestamps, Base):
    """A member of a clinic, or an invitation to become one."""

    __tablename__ = "clinicians"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    # Null as long as the row is only an invitation; `invite_id` is set then.
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
        Index(None, "clinic_id", "created_time", "id"),
        Index(None, "created_time"),
    )

    @property
    def roles(self) -> list[Role]:
        """The roles of the clinician, always in the order admin, member, prescriber."""
        held = {Role.ADMIN: self.is_admin, Role.MEMBER: self.is_member, Role.PRESCRIBER: self.is_prescriber}
        return [role for role in Role if held[role]]

    @roles.setter
    def roles(self, roles: Iterable[str]) -> None:
        """Set the roles. Raises ValueError for a name that is not a role."""
        for column, held in role_columns(roles).items():
            setattr(self, column, held)

    @hybrid_property
    def counts_as_admin(self) -> bool:
        """Whether this is an admin of the clinic who is a person, so neither an invitation nor a service account.

        On the class it is a condition for queries.
        """
        return self.is_admin and self.user_id is not None and not self.is_service_account

    @counts_as_admin.inplace.expression
    @classmethod
    def _counts_as_admin(cls) -> ColumnElement[bool]:
        return and_(cls.is_admin, cls.user_id.is_not(None), not_(cls.is_service_account))

    @property
    def is_pending(self) -> bool:
        """Whether the invitation has not been accepted yet. Such a row gives no access."""
        return self.user_id is None


class ClinicianRoleUpdate(Base):
    """One change of the roles of a clinician: the new roles, who changed them, and when."""

    __tablename__ = "clinician_role_updates"
    placement = BY_CLINIC

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
        Index(None, "time"),
    )
