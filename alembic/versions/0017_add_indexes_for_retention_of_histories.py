"""Add indexes by which old merges, changes of roles and deletions of accounts are found."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_merge_plan_elements_plan_id", "merge_plan_elements", ["plan_id"])
    op.create_index("ix_clinician_role_updates_time", "clinician_role_updates", ["time"])
    op.create_index("ix_account_deletions_deleted_time", "account_deletions", ["deleted_time"])


def downgrade() -> None:
    op.drop_index("ix_account_deletions_deleted_time", "account_deletions")
    op.drop_index("ix_clinician_role_updates_time", "clinician_role_updates")
    op.drop_index("ix_merge_plan_elements_plan_id", "merge_plan_elements")
