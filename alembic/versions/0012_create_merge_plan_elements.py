"""Create elements of merge plans."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import Json, ObjectId

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merge_plan_elements",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("plan_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("source_id", ObjectId(), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("element", Json(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "plan_id", "id", name=op.f("pk_merge_plan_elements")),
        sa.CheckConstraint(
            "type IN ('tag', 'site', 'patient', 'clinician', 'clinic')", name=op.f("ck_merge_plan_elements_type")
        ),
    )
    op.create_index(
        op.f("ix_merge_plan_elements_source_id"),
        "merge_plan_elements",
        ["source_id"],
        sqlite_where=sa.text("type = 'clinic'"),
        postgresql_where=sa.text("type = 'clinic'"),
    )


def downgrade() -> None:
    op.drop_table("merge_plan_elements")
