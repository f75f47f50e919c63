"""Drop the indexes of audit entries that other indexes replace, and those that save nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_audit_entries_unsealed", "audit_entries")
    op.drop_index("ix_audit_entries_subject_id", "audit_entries")
    op.drop_index("ix_audit_entries_caller_id", "audit_entries")


def downgrade() -> None:
    op.create_index("ix_audit_entries_caller_id", "audit_entries", ["caller_id", "time"])
    create_partial("ix_audit_entries_subject_id", ["subject_id", "time"], "subject_id IS NOT NULL")
    create_partial("ix_audit_entries_unsealed", ["time", "id"], "sequence IS NULL")


def create_partial(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "audit_entries", columns, sqlite_where=where, postgresql_where=where)
