"""Create EHR subscriptions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId, UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ehr_subscriptions",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("name", ExactText(), nullable=False),
        sa.Column("provider", ExactText(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_time", UtcDateTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "name", name=op.f("pk_ehr_subscriptions")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_ehr_subscriptions_clinic_id_patient_id"),
        ),
    )
    op.create_index(
        op.f("ix_ehr_subscriptions_active"),
        "ehr_subscriptions",
        ["clinic_id", "name"],
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )


def downgrade() -> None:
    op.drop_table("ehr_subscriptions")
