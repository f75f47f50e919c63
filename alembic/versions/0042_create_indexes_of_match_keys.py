"""Create the indexes of the keys that patients are matched by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

COLUMNS = {"ix_patients_match_mrn": ["mrn_match_key"], "ix_patients_match_name": ["birth_date", "name_match_key"]}


def upgrade() -> None:
    for name, columns in COLUMNS.items():
        has_key = sa.text(f"{columns[-1]} IS NOT NULL")
        op.create_index(op.f(name), "patients", ["clinic_id", *columns], sqlite_where=has_key, postgresql_where=has_key)


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_index(op.f(name), "patients")
