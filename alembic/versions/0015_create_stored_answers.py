"""Create the answers to requests with an Idempotency-Key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId, UtcDateTime

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stored_answers",
        sa.Column("caller", ExactText(), nullable=False),
        sa.Column("key", ExactText(255), nullable=False),
        sa.Column("fingerprint", ExactText(64), nullable=False),
        sa.Column("claim_id", ObjectId(), nullable=False),
        sa.Column("claimed_until", UtcDateTime(), nullable=False),
        sa.Column("expires_time", UtcDateTime(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("headers", Json()),
        sa.Column("body", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_stored_answers")),
    )
    op.create_index(op.f("ix_stored_answers_expires_time"), "stored_answers", ["expires_time"])


def downgrade() -> None:
    op.drop_table("stored_answers")
