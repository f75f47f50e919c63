"""Create the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import Json, ObjectId, UtcDateTime

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("clinic_id", ObjectId()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("created_time", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_time", UtcDateTime(), nullable=False),
        sa.Column("delivered_time", UtcDateTime()),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        op.f("ix_outbox_clinic_id_id"),
        "outbox",
        ["clinic_id", "id"],
        sqlite_where=sa.text("delivered_time IS NULL"),
        postgresql_where=sa.text("delivered_time IS NULL"),
    )
    op.create_index(
        op.f("ix_outbox_next_attempt_time"),
        "outbox",
        ["next_attempt_time"],
        sqlite_where=sa.text("delivered_time IS NULL"),
        postgresql_where=sa.text("delivered_time IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("outbox")
