"""Copy the statistics that lists go by, and count the patients, of those who were there before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

FLAGGED = {
    "cgm": [
        "average_glucose_mmol",
        "glucose_management_indicator",
        "time_cgm_use_percent",
        "time_in_very_low_percent",
        "time_in_any_low_percent",
        "time_in_target_percent",
        "time_in_very_high_percent",
        "time_in_extreme_high_percent",
        "time_in_any_high_percent",
    ],
    "bgm": ["average_glucose_mmol", "time_in_very_low_records", "time_in_very_high_records"],
}
DATES = ["has_last_data", "last_data"]
# A patient has up to two summaries, and each of them up to one row of statistics in a period.
FILL = """
INSERT INTO hot_statistics (clinic_id, period, patient_id, {columns})
SELECT someone.clinic_id, '{period}', someone.patient_id, {values}
FROM (SELECT DISTINCT clinic_id, patient_id FROM summaries) AS someone
LEFT JOIN summaries AS cgm_dates ON cgm_dates.clinic_id = someone.clinic_id
    AND cgm_dates.patient_id = someone.patient_id AND cgm_dates.type = 'cgm'
LEFT JOIN summaries AS bgm_dates ON bgm_dates.clinic_id = someone.clinic_id
    AND bgm_dates.patient_id = someone.patient_id AND bgm_dates.type = 'bgm'
LEFT JOIN statistics AS cgm ON cgm.clinic_id = someone.clinic_id
    AND cgm.patient_id = someone.patient_id AND cgm.scope = 'cgm{period}'
LEFT JOIN statistics AS bgm ON bgm.clinic_id = someone.clinic_id
    AND bgm.patient_id = someone.patient_id AND bgm.scope = 'bgm{period}'
WHERE true
ON CONFLICT DO NOTHING
"""
COUNT = """
INSERT INTO patient_counts (clinic_id, patients)
SELECT clinic_id, count(*) FROM patients WHERE true GROUP BY clinic_id
ON CONFLICT (clinic_id) DO UPDATE SET patients = excluded.patients
"""


def upgrade() -> None:
    columns = dict(copies())
    for period in ("1d", "7d", "14d", "30d"):
        fill = FILL.format(columns=", ".join(columns), values=", ".join(columns.values()), period=period)
        op.execute(sa.text(fill))
    op.execute(sa.text(COUNT))


def copies() -> list[tuple[str, str]]:
    """Each column of the new table, and where its value comes from."""
    found = []
    for kind, names in FLAGGED.items():
        found += [(f"{kind}_{name}", f"{kind}_dates.{name}") for name in DATES]
        figures = [*names, *(f"has_{name}" for name in names)]
        found += [(f"{kind}_{name}", f"{kind}.{name}") for name in figures]
    return [*found, ("cgm_time_in_target_percent_delta", "cgm.time_in_target_percent_delta")]


def downgrade() -> None:
    # What follows from other tables need not be taken back.
    pass
