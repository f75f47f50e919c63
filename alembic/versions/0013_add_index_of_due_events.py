"""Add an index of events that wait for delivery by kind, so that those of one kind are counted alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NAME = "ix_outbox_kind_next_attempt_time"


def upgrade() -> None:
    # Events that are delivered are not in it, so it is small, and is built at once.
    waiting = sa.text("delivered_time IS NULL")
    op.create_index(NAME, "outbox", ["kind", "next_attempt_time"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    op.drop_index(NAME, "outbox")
