"""Create migrations of legacy clinicians, and the records of deleted clinics, clinicians and patients."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, Json, ObjectId, UserId, UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_migrations()
    create_clinic_deletions()
    create_clinician_deletions()
    create_patient_deletions()


def create_migrations() -> None:
    op.create_table(
        "migrations",
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attestation_time", UtcDateTime()),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_migrations")),
        sa.CheckConstraint("status IN ('PENDING', 'RUNNING', 'COMPLETED')", name=op.f("ck_migrations_status")),
    )
    op.create_index(op.f("ix_migrations_clinic_id_created_time"), "migrations", ["clinic_id", "created_time"])


def create_clinic_deletions() -> None:
    op.create_table(
        "clinic_deletions",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("deleted_time", UtcDateTime(), nullable=False),
        sa.Column("deleted_by_user_id", UserId()),
        sa.Column("record", Json(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_clinic_deletions")),
    )
    op.create_index(op.f("ix_clinic_deletions_deleted_time"), "clinic_deletions", ["deleted_time"])


def create_clinician_deletions() -> None:
    op.create_table(
        "clinician_deletions",
        sa.Column("user_id", UserId()),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("deleted_time", UtcDateTime(), nullable=False),
        sa.Column("deleted_by_user_id", UserId()),
        sa.Column("record", Json(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_clinician_deletions")),
    )
    op.create_index(op.f("ix_clinician_deletions_clinic_id_user_id"), "clinician_deletions", ["clinic_id", "user_id"])
    op.create_index(op.f("ix_clinician_deletions_deleted_time"), "clinician_deletions", ["deleted_time"])


def create_patient_deletions() -> None:
    op.create_table(
        "patient_deletions",
        sa.Column("user_id", UserId()),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("deleted_time", UtcDateTime(), nullable=False),
        sa.Column("deleted_by_user_id", UserId()),
        sa.Column("record", Json(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_patient_deletions")),
    )
    op.create_index(op.f("ix_patient_deletions_clinic_id_user_id"), "patient_deletions", ["clinic_id", "user_id"])
    op.create_index(op.f("ix_patient_deletions_deleted_time"), "patient_deletions", ["deleted_time"])


def downgrade() -> None:
    op.drop_table("patient_deletions")
    op.drop_table("clinician_deletions")
    op.drop_table("clinic_deletions")
    op.drop_table("migrations")
