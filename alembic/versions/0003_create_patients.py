"""Create patients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patients",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("full_name", sa.Text()),
        sa.Column("birth_date", ExactText(10)),
        sa.Column("email", sa.Text()),
        sa.Column("mrn", sa.Text()),
        sa.Column("mrn_key", ExactText()),
        sa.Column("require_unique_mrn", sa.Boolean(), nullable=False),
        sa.Column("target_devices", Json()),
        sa.Column("has_permissions", sa.Boolean(), nullable=False),
        sa.Column("permission_custodian", sa.Boolean(), nullable=False),
        sa.Column("permission_view", sa.Boolean(), nullable=False),
        sa.Column("permission_upload", sa.Boolean(), nullable=False),
        sa.Column("permission_note", sa.Boolean(), nullable=False),
        sa.Column("is_migrated", sa.Boolean(), nullable=False),
        sa.Column("legacy_clinician_ids", Json()),
        sa.Column("invited_by", sa.Text()),
        sa.Column("last_upload_reminder_time", UtcDateTime()),
        sa.Column("review_1_clinician_id", sa.Text()),
        sa.Column("review_1_time", UtcDateTime()),
        sa.Column("review_2_clinician_id", sa.Text()),
        sa.Column("review_2_time", UtcDateTime()),
        sa.Column("last_requested_dexcom_connect_time", UtcDateTime()),
        sa.Column("glycemic_ranges", Json()),
        sa.Column("diagnosis_type", sa.String(32)),
        sa.Column("connection_requests", Json()),
        sa.Column("data_sources_set", sa.Boolean(), nullable=False),
        sa.Column("created_time", UtcDateTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_patients")),
        sa.UniqueConstraint("clinic_id", "user_id", name=op.f("uq_patients_clinic_id_user_id")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_patients_clinic_id")),
        sa.CheckConstraint(
            "diagnosis_type IN ('type1', 'type2', 'type3c', 'gestational', 'prediabetes', 'lada', "
            "'mody', 'other', 'notApplicable')",
            name=op.f("ck_patients_diagnosis_type"),
        ),
    )
    op.create_index(op.f("ix_patients_clinic_id_mrn_key"), "patients", ["clinic_id", "mrn_key"])
    op.create_index(
        op.f("ix_patients_unique_mrn"),
        "patients",
        ["clinic_id", "mrn_key"],
        unique=True,
        sqlite_where=sa.text("require_unique_mrn AND mrn_key IS NOT NULL"),
        postgresql_where=sa.text("require_unique_mrn AND mrn_key IS NOT NULL"),
    )
    op.create_index(op.f("ix_patients_user_id"), "patients", ["user_id"])


def downgrade() -> None:
    op.drop_table("patients")
