"""Create invitations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
        sa.Column("created", UtcDateTime(), nullable=False),
        sa.Column("modified", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime()),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_invites")),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'canceled', 'declined')", name=op.f("ck_invites_status")
        ),
        sa.CheckConstraint("type IN ('clinician_invitation', 'careteam_invitation')", name=op.f("ck_invites_type")),
    )
    op.create_index(op.f("ix_invites_clinic_id_type_status"), "invites", ["clinic_id", "type", "status"])
    op.create_index(op.f("ix_invites_email_type_status"), "invites", ["email", "type", "status"])
    op.create_index(
        op.f("ix_invites_open_offer"),
        "invites",
        ["clinic_id", "creator_id"],
        unique=True,
        sqlite_where=sa.text("type = 'careteam_invitation' AND status = 'pending'"),
        postgresql_where=sa.text("type = 'careteam_invitation' AND status = 'pending'"),
    )
    op.create_index(op.f("ix_invites_user_id_type_status"), "invites", ["user_id", "type", "status"])


def downgrade() -> None:
    op.drop_table("invites")
