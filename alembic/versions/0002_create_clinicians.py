"""Create clinicians, with the history of their roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
        sa.Column("created_time", UtcDateTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_clinicians")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_clinicians_clinic_id")
        ),
        sa.CheckConstraint("is_admin OR is_member OR is_prescriber", name=op.f("ck_clinicians_has_role")),
    )
    op.create_index(op.f("ix_clinicians_clinic_id_created_time_id"), "clinicians", ["clinic_id", "created_time", "id"])
    op.create_index(
        op.f("ix_clinicians_clinic_id_email"),
        "clinicians",
        ["clinic_id", "email"],
        unique=True,
        sqlite_where=sa.text("email IS NOT NULL"),
        postgresql_where=sa.text("email IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_clinicians_clinic_id_invite_id"),
        "clinicians",
        ["clinic_id", "invite_id"],
        unique=True,
        sqlite_where=sa.text("invite_id IS NOT NULL"),
        postgresql_where=sa.text("invite_id IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_clinicians_clinic_id_user_id"),
        "clinicians",
        ["clinic_id", "user_id"],
        unique=True,
        sqlite_where=sa.text("user_id IS NOT NULL"),
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_clinicians_created_time"), "clinicians", ["created_time"])
    op.create_index(
        op.f("ix_clinicians_invite_id"),
        "clinicians",
        ["invite_id"],
        unique=True,
        sqlite_where=sa.text("invite_id IS NOT NULL"),
        postgresql_where=sa.text("invite_id IS NOT NULL"),
    )
    op.create_index(op.f("ix_clinicians_user_id"), "clinicians", ["user_id"])
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


def downgrade() -> None:
    op.drop_table("clinician_role_updates")
    op.drop_table("clinicians")
