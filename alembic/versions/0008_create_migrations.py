"""Create the moves of legacy patients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ObjectId, UserId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "migrations",
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attestation_time", UtcDateTime()),
        sa.Column("created_time", UtcDateTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_migrations")),
        sa.CheckConstraint("status IN ('PENDING', 'RUNNING', 'COMPLETED')", name=op.f("ck_migrations_status")),
    )
    op.create_index(op.f("ix_migrations_clinic_id_created_time"), "migrations", ["clinic_id", "created_time"])


def downgrade() -> None:
    op.drop_table("migrations")
