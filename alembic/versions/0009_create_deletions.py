"""Create the records of what was deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import Json, ObjectId, UserId, UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
