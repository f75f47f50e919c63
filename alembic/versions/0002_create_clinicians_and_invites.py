"""Create clinicians, the history of their roles, and invitations: of clinicians, and by patients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_clinicians()
    create_clinician_role_updates()
    create_invites()


def create_clinicians() -> None:
    op.create_table(
        "clinicians",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("user_id", UserId()),
        sa.Column("invite_id", ExactText()),
        sa.Column("email", sa.Text()),
        sa.Column("name", sa.Text()),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("is_member", sa.Boolean(), nullable=False),
        sa.Column("is_prescriber", sa.Boolean(), nullable=False),
        sa.Column("is_service_account", sa.Boolean(), nullable=False),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_clinicians")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_clinicians_clinic_id")
        ),
        sa.CheckConstraint("is_admin OR is_member OR is_prescriber", name=op.f("ck_clinicians_has_role")),
    )
    op.create_index(op.f("ix_clinicians_clinic_id_created_time_id"), "clinicians", ["clinic_id", "created_time", "id"])
    op.create_index(op.f("ix_clinicians_created_time"), "clinicians", ["created_time"])
    op.create_index(op.f("ix_clinicians_user_id"), "clinicians", ["user_id"])
    for columns in (["clinic_id", "email"], ["clinic_id", "invite_id"], ["clinic_id", "user_id"], ["invite_id"]):
        name = op.f(f"ix_clinicians_{'_'.join(columns)}")
        create_unique_index(name, "clinicians", columns, where=f"{columns[-1]} IS NOT NULL")


def create_clinician_role_updates() -> None:
    op.create_table(
        "clinician_role_updates",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("clinician_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("roles", Json(), nullable=False),
        sa.Column("updated_by", sa.Text()),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "clinician_id", "id", name=op.f("pk_clinician_role_updates")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "clinician_id"],
            ["clinicians.clinic_id", "clinicians.id"],
            ondelete="CASCADE",
            name=op.f("fk_clinician_role_updates_clinic_id_clinician_id"),
        ),
    )


def create_invites() -> None:
    op.create_table(
        "invites",
        sa.Column("key", ExactText(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("user_id", UserId()),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("creator_id", sa.Text(), nullable=False),
        sa.Column("context", Json()),
        sa.Column("created", CreationTime(), nullable=False),
        sa.Column("modified", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_invites")),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'canceled', 'declined')", name=op.f("ck_invites_status")
        ),
        sa.CheckConstraint("type IN ('clinician_invitation', 'careteam_invitation')", name=op.f("ck_invites_type")),
    )
    for name in ("clinic_id", "creator_id", "email", "user_id"):
        op.create_index(op.f(f"ix_invites_{name}_type_status"), "invites", [name, "type", "status"])
    create_unique_index(
        op.f("ix_invites_open_offer"),
        "invites",
        ["clinic_id", "creator_id"],
        where="type = 'careteam_invitation' AND status = 'pending'",
    )


def create_unique_index(name: str, table: str, columns: list[str], *, where: str) -> None:
    """An index that keeps rows unique among those that fulfil the condition `where`."""
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    op.drop_table("invites")
    op.drop_table("clinician_role_updates")
    op.drop_table("clinicians")
