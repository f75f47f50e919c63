"""Create reservations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ObjectId, UserId, UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reservations",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("user_id", UserId()),
        sa.Column("expires_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_reservations")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_reservations_clinic_id")
        ),
    )


def downgrade() -> None:
    op.drop_table("reservations")
