"""Fill the tables of the clinics of users, and give events without a clinic the empty id."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("INSERT INTO patient_records (user_id, clinic_id) SELECT user_id, clinic_id FROM patients")
    op.execute(
        "INSERT INTO memberships (user_id, clinic_id)"
        " SELECT user_id, clinic_id FROM clinicians WHERE user_id IS NOT NULL"
    )
    op.execute(
        "INSERT INTO pending_clinicians (invite_id, clinic_id)"
        " SELECT invite_id, clinic_id FROM clinicians WHERE invite_id IS NOT NULL"
    )
    op.execute("UPDATE outbox SET clinic_id = '' WHERE clinic_id IS NULL")


def downgrade() -> None:
    op.execute("UPDATE outbox SET clinic_id = NULL WHERE clinic_id = ''")
    for name in ("pending_clinicians", "memberships", "patient_records"):
        op.execute(f"DELETE FROM {name}")
