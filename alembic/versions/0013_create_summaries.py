"""Create summaries and their statistics, and the keys that patients are listed by."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, JsonText, ObjectId, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FIGURES = [
    "average_glucose_mmol",
    "average_daily_records",
    "glucose_management_indicator",
    "time_cgm_use_percent",
    "time_cgm_use_minutes",
    "time_cgm_use_records",
    "time_in_very_low_percent",
    "time_in_low_percent",
    "time_in_any_low_percent",
    "time_in_target_percent",
    "time_in_high_percent",
    "time_in_very_high_percent",
    "time_in_extreme_high_percent",
    "time_in_any_high_percent",
    "time_in_very_low_records",
    "time_in_low_records",
    "time_in_any_low_records",
    "time_in_target_records",
    "time_in_high_records",
    "time_in_very_high_records",
    "time_in_extreme_high_records",
    "time_in_any_high_records",
    "time_in_very_low_minutes",
    "time_in_low_minutes",
    "time_in_any_low_minutes",
    "time_in_target_minutes",
    "time_in_high_minutes",
    "time_in_very_high_minutes",
    "time_in_extreme_high_minutes",
    "time_in_any_high_minutes",
    "total_records",
    "min",
    "max",
    "standard_deviation",
    "coefficient_of_variation",
    "days_with_data",
    "hours_with_data",
]
UNFLAGGED = {"min", "max", "standard_deviation", "coefficient_of_variation", "days_with_data", "hours_with_data"}
HOT = [
    "average_glucose_mmol",
    "glucose_management_indicator",
    "time_cgm_use_percent",
    "time_in_very_low_percent",
    "time_in_any_low_percent",
    "time_in_target_percent",
    "time_in_very_high_percent",
    "time_in_extreme_high_percent",
    "time_in_any_high_percent",
    "time_in_very_low_records",
    "time_in_very_high_records",
]


def upgrade() -> None:
    add_keys()
    create_summaries()
    create_statistics()


def add_keys() -> None:
    with op.batch_alter_table("patients") as batch:
        batch.add_column(sa.Column("name_key", sa.LargeBinary(), nullable=False, server_default=sa.text("''")))
        batch.add_column(sa.Column("search_text", sa.Text(), nullable=False, server_default=sa.text("''")))
        batch.add_column(sa.Column("has_standard_ranges", sa.Boolean(), nullable=False, server_default=sa.true()))
    for name in ("name_key", "birth_date", "review_1_time", "has_standard_ranges"):
        op.create_index(op.f(f"ix_patients_clinic_id_{name}_id"), "patients", ["clinic_id", name, "id"])


def create_summaries() -> None:
    op.create_table(
        "summaries",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("type", ExactText(3), nullable=False),
        sa.Column("summary_id", ExactText(24)),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last_updated_date", UtcDateTime()),
        sa.Column("has_first_data", sa.Boolean()),
        sa.Column("first_data", UtcDateTime()),
        sa.Column("has_last_data", sa.Boolean()),
        sa.Column("last_data", UtcDateTime()),
        sa.Column("has_last_upload_date", sa.Boolean()),
        sa.Column("last_upload_date", UtcDateTime()),
        sa.Column("has_outdated_since", sa.Boolean()),
        sa.Column("outdated_since", UtcDateTime()),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "type", name=op.f("pk_summaries")),
        of_patient("summaries"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_summaries_summary_id"), "summaries", ["summary_id"])
    key = ["clinic_id", "type", "has_last_data", "last_data", "patient_id"]
    op.create_index(op.f("ix_summaries_last_data"), "summaries", key)
    op.create_table(
        "summary_documents",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("type", ExactText(3), nullable=False),
        sa.Column("document", JsonText(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "type", name=op.f("pk_summary_documents")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id", "type"],
            ["summaries.clinic_id", "summaries.patient_id", "summaries.type"],
            ondelete="CASCADE",
            name=op.f("fk_summary_documents_clinic_id_patient_id_type"),
        ),
    )


def create_statistics() -> None:
    op.create_table(
        "statistics",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("scope", ExactText(6), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        *figures(),
        sa.PrimaryKeyConstraint("clinic_id", "scope", "patient_id", name=op.f("pk_statistics")),
        of_patient("statistics"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_statistics_clinic_id_patient_id"), "statistics", ["clinic_id", "patient_id"])
    for name in HOT:
        key = ["clinic_id", "scope", f"has_{name}", name, "patient_id"]
        op.create_index(op.f(f"ix_statistics_{name}"), "statistics", key)
    key = ["clinic_id", "scope", "time_in_target_percent_delta", "patient_id"]
    op.create_index(op.f("ix_statistics_time_in_target_percent_delta"), "statistics", key)


def figures() -> list[sa.Column[Any]]:
    columns: list[sa.Column[Any]] = []
    for name in FIGURES:
        columns += [sa.Column(name, sa.Double()), sa.Column(f"{name}_delta", sa.Double())]
        if name not in UNFLAGGED:
            columns.append(sa.Column(f"has_{name}", sa.Boolean()))
    return columns


def of_patient(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["clinic_id", "patient_id"],
        ["patients.clinic_id", "patients.id"],
        ondelete="CASCADE",
        name=op.f(f"fk_{table}_clinic_id_patient_id"),
    )


def downgrade() -> None:
    for table in ("statistics", "summary_documents", "summaries"):
        op.drop_table(table)
    for name in ("name_key", "birth_date", "review_1_time", "has_standard_ranges"):
        op.drop_index(op.f(f"ix_patients_clinic_id_{name}_id"), "patients")
    with op.batch_alter_table("patients") as batch:
        for name in ("name_key", "search_text", "has_standard_ranges"):
            batch.drop_column(name)
