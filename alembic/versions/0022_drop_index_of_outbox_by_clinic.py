"""Drop the index of undelivered events by clinic and id, because the key of the outbox has these columns since 0020."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_outbox_clinic_id_id", "outbox")


def downgrade() -> None:
    undelivered = sa.text("delivered_time IS NULL")
    op.create_index(
        "ix_outbox_clinic_id_id",
        "outbox",
        ["clinic_id", "id"],
        sqlite_where=undelivered,
        postgresql_where=undelivered,
    )
