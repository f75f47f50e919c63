"""Add the clinic to the key of the outbox, and drop the indexes that other tables replace."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ObjectId

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("clinic_id", existing_type=ObjectId(), nullable=False)
        outbox.drop_constraint("pk_outbox", type_="primary")
        outbox.create_primary_key("pk_outbox", ["clinic_id", "id"])
    op.drop_index("ix_clinicians_invite_id", "clinicians")
    op.drop_index("ix_clinicians_user_id", "clinicians")
    op.drop_index("ix_patients_user_id", "patients")


def downgrade() -> None:
    invited = sa.text("invite_id IS NOT NULL")
    op.create_index("ix_patients_user_id", "patients", ["user_id"])
    op.create_index("ix_clinicians_user_id", "clinicians", ["user_id"])
    op.create_index(
        "ix_clinicians_invite_id",
        "clinicians",
        ["invite_id"],
        unique=True,
        sqlite_where=invited,
        postgresql_where=invited,
    )
    with op.batch_alter_table("outbox") as outbox:
        outbox.drop_constraint("pk_outbox", type_="primary")
        outbox.create_primary_key("pk_outbox", ["id"])
        outbox.alter_column("clinic_id", existing_type=ObjectId(), nullable=True)
