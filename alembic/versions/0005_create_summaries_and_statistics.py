"""Create summaries of glucose data with their documents, their statistics, and the list index."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, JsonText, ObjectId, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Figures of a period, each with its change since the period before, named `…_delta`.
FLAGGED_FIGURES = [
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
]
PLAIN_FIGURES = [
    "min",
    "max",
    "standard_deviation",
    "coefficient_of_variation",
    "days_with_data",
    "hours_with_data",
]
# What lists are filtered and sorted by, each with an index of its own. The flag of `cgm_last_data` is `cgm_has_last_data`.
FLAGGED_VALUES = [
    "cgm_last_data",
    "cgm_average_glucose_mmol",
    "cgm_glucose_management_indicator",
    "cgm_time_cgm_use_percent",
    "cgm_time_in_very_low_percent",
    "cgm_time_in_any_low_percent",
    "cgm_time_in_target_percent",
    "cgm_time_in_very_high_percent",
    "cgm_time_in_extreme_high_percent",
    "cgm_time_in_any_high_percent",
    "bgm_last_data",
    "bgm_average_glucose_mmol",
    "bgm_time_in_very_low_records",
    "bgm_time_in_very_high_records",
]
PLAIN_VALUES = ["cgm_time_in_target_percent_delta"]
# What lists are filtered by most often: in every index of the list index, so that no row has to be read for it.
COVERED = [
    "cgm_time_cgm_use_percent",
    "cgm_time_in_very_low_percent",
    "cgm_time_in_any_low_percent",
    "cgm_time_in_target_percent",
    "cgm_time_in_any_high_percent",
    "cgm_time_in_very_high_percent",
    "cgm_time_in_extreme_high_percent",
]
# Rows are counted in the indexes alone, which PostgreSQL can only do after a vacuum of the changed pages.
CLEAN_UP_OFTEN = {"autovacuum_vacuum_scale_factor": 0.02}


def upgrade() -> None:
    create_summaries()
    create_summary_documents()
    create_statistics()
    create_list_index()


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
        postgresql_with=CLEAN_UP_OFTEN,
    )
    op.create_index(op.f("ix_summaries_summary_id"), "summaries", ["summary_id"])
    op.create_index(
        op.f("ix_summaries_clinic_id_type_last_data_patient_id"),
        "summaries",
        ["clinic_id", "type", "last_data", "patient_id"],
    )


def create_summary_documents() -> None:
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
        *(column for name in FLAGGED_FIGURES for column in (*figure(name), sa.Column(f"has_{name}", sa.Boolean()))),
        *(column for name in PLAIN_FIGURES for column in figure(name)),
        sa.PrimaryKeyConstraint("clinic_id", "scope", "patient_id", name=op.f("pk_statistics")),
        of_patient("statistics"),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_statistics_clinic_id_patient_id"), "statistics", ["clinic_id", "patient_id"])


def figure(name: str) -> list[sa.Column[Any]]:
    """The columns of a figure and its change."""
    return [sa.Column(name, sa.Double()), sa.Column(f"{name}_delta", sa.Double())]


def create_list_index() -> None:
    op.create_table(
        "list_index",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("period", ExactText(3), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        *(column for name in FLAGGED_VALUES for column in (sa.Column(flag_of(name), sa.Boolean()), value_column(name))),
        *(value_column(name) for name in PLAIN_VALUES),
        sa.PrimaryKeyConstraint("clinic_id", "period", "patient_id", name=op.f("pk_list_index")),
        of_patient("list_index"),
        sqlite_with_rowid=False,
        postgresql_with=CLEAN_UP_OFTEN,
    )
    op.create_index(op.f("ix_list_index_clinic_id_patient_id"), "list_index", ["clinic_id", "patient_id"])
    for name in FLAGGED_VALUES:
        create_value_index(name, flag_of(name))
    for name in PLAIN_VALUES:
        create_value_index(name)


def value_column(name: str) -> sa.Column[Any]:
    return sa.Column(name, UtcDateTime() if name.endswith("last_data") else sa.Double())


def flag_of(name: str) -> str:
    """The column that tells whether the value of the column `name` is meaningful."""
    kind, _, value = name.partition("_")
    return f"{kind}_has_{value}"


def create_value_index(name: str, *flag: str) -> None:
    """The index for filters and sorts by the column `name`; the flag comes first, if there is one."""
    covered = [other for other in COVERED if other != name]
    columns = ["clinic_id", "period", *flag, name, "patient_id", *covered]
    op.create_index(op.f(f"ix_list_index_{name}"), "list_index", columns)


def of_patient(table: str) -> sa.ForeignKeyConstraint:
    """The reference of each row to its patient."""
    return sa.ForeignKeyConstraint(
        ["clinic_id", "patient_id"],
        ["patients.clinic_id", "patients.id"],
        ondelete="CASCADE",
        name=op.f(f"fk_{table}_clinic_id_patient_id"),
    )


def downgrade() -> None:
    op.drop_table("list_index")
    op.drop_table("statistics")
    op.drop_table("summary_documents")
    op.drop_table("summaries")
