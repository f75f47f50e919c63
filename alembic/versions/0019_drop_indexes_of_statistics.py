"""Drop the indexes that hot statistics replace."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FLAGGED = [
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
    for name in (*FLAGGED, "time_in_target_percent_delta"):
        op.drop_index(op.f(f"ix_statistics_{name}"), "statistics")
    op.drop_index(op.f("ix_summaries_last_data"), "summaries")


def downgrade() -> None:
    op.create_index(
        op.f("ix_summaries_last_data"), "summaries", ["clinic_id", "type", "has_last_data", "last_data", "patient_id"]
    )
    for name in FLAGGED:
        op.create_index(
            op.f(f"ix_statistics_{name}"), "statistics", ["clinic_id", "scope", f"has_{name}", name, "patient_id"]
        )
    op.create_index(
        op.f("ix_statistics_time_in_target_percent_delta"),
        "statistics",
        ["clinic_id", "scope", "time_in_target_percent_delta", "patient_id"],
    )
