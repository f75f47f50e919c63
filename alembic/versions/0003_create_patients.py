"""Create patients, their data sources and EHR subscriptions, and the number of patients of each clinic."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

DIAGNOSIS_TYPES = (
    "diagnosis_type IN ('type1', 'type2', 'type3c', 'gestational', 'prediabetes', 'lada', "
    "'mody', 'other', 'notApplicable')"
)


def upgrade() -> None:
    create_patients()
    create_indexes_of_patients()
    create_data_sources()
    create_ehr_subscriptions()
    create_patient_counts()


def create_patients() -> None:
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
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.Column("name_key", sa.LargeBinary(), nullable=False, server_default=sa.text("''")),
        sa.Column("search_text", sa.Text(), nullable=False, server_default=sa.text("''")),
        sa.Column("has_standard_ranges", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_patients")),
        sa.UniqueConstraint("clinic_id", "user_id", name=op.f("uq_patients_clinic_id_user_id")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_patients_clinic_id")),
        sa.CheckConstraint(DIAGNOSIS_TYPES, name=op.f("ck_patients_diagnosis_type")),
    )


def create_indexes_of_patients() -> None:
    op.create_index(op.f("ix_patients_user_id"), "patients", ["user_id"])
    op.create_index(op.f("ix_patients_clinic_id_mrn_key"), "patients", ["clinic_id", "mrn_key"])
    condition = sa.text("require_unique_mrn AND mrn_key IS NOT NULL")
    op.create_index(
        op.f("ix_patients_unique_mrn"),
        "patients",
        ["clinic_id", "mrn_key"],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )
    # Lists are sorted and filtered by these columns.
    for name in ("name_key", "birth_date", "review_1_time", "has_standard_ranges"):
        op.create_index(op.f(f"ix_patients_clinic_id_{name}_id"), "patients", ["clinic_id", name, "id"])


def create_data_sources() -> None:
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
        of_patient("data_sources"),
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


def create_ehr_subscriptions() -> None:
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
        of_patient("ehr_subscriptions"),
    )
    op.create_index(
        op.f("ix_ehr_subscriptions_active"),
        "ehr_subscriptions",
        ["clinic_id", "name"],
        sqlite_where=sa.text("active"),
        postgresql_where=sa.text("active"),
    )


def create_patient_counts() -> None:
    op.create_table(
        "patient_counts",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patients", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_patient_counts")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_patient_counts_clinic_id")
        ),
    )


def of_patient(table: str) -> sa.ForeignKeyConstraint:
    """The reference of each row to its patient."""
    return sa.ForeignKeyConstraint(
        ["clinic_id", "patient_id"],
        ["patients.clinic_id", "patients.id"],
        ondelete="CASCADE",
        name=op.f(f"fk_{table}_clinic_id_patient_id"),
    )


def downgrade() -> None:
    op.drop_table("patient_counts")
    op.drop_table("ehr_subscriptions")
    op.drop_table("data_sources")
    op.drop_table("patients")
