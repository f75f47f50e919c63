"""Create the direct grants from user to user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import Json, UserId

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "grants",
        sa.Column("sharer_id", UserId(), nullable=False),
        sa.Column("grantee_id", UserId(), nullable=False),
        sa.Column("permissions", Json(), nullable=False),
        sa.PrimaryKeyConstraint("sharer_id", "grantee_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_grantee_id"), "grants", ["grantee_id"])


def downgrade() -> None:
    op.drop_table("grants")
