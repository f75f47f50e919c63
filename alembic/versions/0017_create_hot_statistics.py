"""Create the statistics that lists go by, and the numbers of patients."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId, UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

FLAGGED = [
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
UNFLAGGED = ["cgm_time_in_target_percent_delta"]
CARRIED = [
    "cgm_time_cgm_use_percent",
    "cgm_time_in_very_low_percent",
    "cgm_time_in_any_low_percent",
    "cgm_time_in_target_percent",
    "cgm_time_in_any_high_percent",
    "cgm_time_in_very_high_percent",
    "cgm_time_in_extreme_high_percent",
]


def upgrade() -> None:
    op.create_table(
        "hot_statistics",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("period", ExactText(3), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        *(column for name in FLAGGED for column in (sa.Column(flag_of(name), sa.Boolean()), value_of(name))),
        *map(value_of, UNFLAGGED),
        sa.PrimaryKeyConstraint("clinic_id", "period", "patient_id", name=op.f("pk_hot_statistics")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_hot_statistics_clinic_id_patient_id"),
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_hot_statistics_clinic_id_patient_id"), "hot_statistics", ["clinic_id", "patient_id"])
    for name in (*FLAGGED, *UNFLAGGED):
        flag = [flag_of(name)] if name in FLAGGED else []
        carried = [other for other in CARRIED if other != name]
        key = ["clinic_id", "period", *flag, name, "patient_id", *carried]
        op.create_index(op.f(f"ix_hot_statistics_{name}"), "hot_statistics", key)
    op.create_table(
        "patient_counts",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patients", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_patient_counts")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_patient_counts_clinic_id")
        ),
    )


def flag_of(name: str) -> str:
    kind, _, figure = name.partition("_")
    return f"{kind}_has_{figure}"


def value_of(name: str) -> sa.Column[Any]:
    return sa.Column(name, UtcDateTime() if name.endswith("last_data") else sa.Double())


def downgrade() -> None:
    op.drop_table("patient_counts")
    op.drop_table("hot_statistics")
