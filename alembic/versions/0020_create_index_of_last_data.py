"""Create the index that windows of last data are counted by."""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

NAME = "ix_summaries_clinic_id_type_last_data_patient_id"


def upgrade() -> None:
    op.create_index(op.f(NAME), "summaries", ["clinic_id", "type", "last_data", "patient_id"])
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE summaries SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE summaries RESET (autovacuum_vacuum_scale_factor)")
    op.drop_index(op.f(NAME), "summaries")
