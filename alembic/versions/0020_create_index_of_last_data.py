"""Create the index that windows of last data are counted by; let what is counted in indexes be cleaned up often."""

from __future__ import annotations

from alembic import op

from clinic_service.db.upkeep import clean_up

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NAME = "ix_summaries_clinic_id_type_last_data_patient_id"
TABLES = ("hot_statistics", "summaries")


def upgrade() -> None:
    op.create_index(op.f(NAME), "summaries", ["clinic_id", "type", "last_data", "patient_id"])
    for table in TABLES:
        clean_up(op.get_bind(), table, often=True)


def downgrade() -> None:
    for table in TABLES:
        clean_up(op.get_bind(), table, often=False)
    op.drop_index(op.f(NAME), "summaries")
