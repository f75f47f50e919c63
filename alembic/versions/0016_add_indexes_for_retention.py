"""Add indexes by which rows that are kept for a limited time are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    delivered, closed = sa.text("delivered_time IS NOT NULL"), sa.text("status <> 'pending'")
    op.create_index(
        "ix_outbox_delivered_time", "outbox", ["delivered_time"], sqlite_where=delivered, postgresql_where=delivered
    )
    op.create_index("ix_invites_closed", "invites", ["modified"], sqlite_where=closed, postgresql_where=closed)
    op.create_index("ix_xealth_report_views_created_time", "xealth_report_views", ["created_time"])


def downgrade() -> None:
    op.drop_index("ix_xealth_report_views_created_time", "xealth_report_views")
    op.drop_index("ix_invites_closed", "invites")
    op.drop_index("ix_outbox_delivered_time", "outbox")
