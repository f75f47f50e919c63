"""Create the data sources of patients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_sources",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("provider_name", ExactText(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("data_source_id", ObjectId()),
        sa.Column("modified_time", UtcDateTime()),
        sa.Column("expiration_time", UtcDateTime()),
        sa.Column("latest_data_time", UtcDateTime()),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "position", name=op.f("pk_data_sources")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_data_sources_clinic_id_patient_id"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'pendingReconnect', 'connected', 'disconnected', 'error')",
            name=op.f("ck_data_sources_state"),
        ),
    )
    op.create_index(
        op.f("ix_data_sources_clinic_id_provider_name_state_patient_id"),
        "data_sources",
        ["clinic_id", "provider_name", "state", "patient_id"],
    )


def downgrade() -> None:
    op.drop_table("data_sources")
