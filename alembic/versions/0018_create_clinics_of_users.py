"""Create the tables by which the clinics of a user, and the clinic of an invitation, are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId, UserId

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None
# Older programs do not write these tables.
oldest_program = revision


def upgrade() -> None:
    for name in ("patient_records", "memberships"):
        op.create_table(
            name,
            sa.Column("user_id", UserId(), nullable=False),
            sa.Column("clinic_id", ObjectId(), nullable=False),
            sa.PrimaryKeyConstraint("user_id", "clinic_id", name=op.f(f"pk_{name}")),
            sqlite_with_rowid=False,
        )
    op.create_table(
        "pending_clinicians",
        sa.Column("invite_id", ExactText(), nullable=False),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.PrimaryKeyConstraint("invite_id", name=op.f("pk_pending_clinicians")),
    )


def downgrade() -> None:
    for name in ("pending_clinicians", "memberships", "patient_records"):
        op.drop_table(name)
