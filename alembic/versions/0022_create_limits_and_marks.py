"""Create account deletions, mail requests and demo clinics, and the index that a person's invitations are counted by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ObjectId, UserId, UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# The share code of the clinic that `serve --demo` made before its clinics were marked.
DEMO_SHARE_CODE = "HRBR-2Q7K-M9XD"
MARK_DEMO = sa.text("INSERT INTO demo_clinics (clinic_id) SELECT clinic_id FROM share_codes WHERE code = :code")


def upgrade() -> None:
    op.create_table(
        "account_deletions",
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("deleted_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_account_deletions")),
    )
    op.create_table(
        "mail_requests",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("person_id", UserId()),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_mail_requests")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_mail_requests_clinic_id")
        ),
        sa.CheckConstraint("purpose IN ('invitation', 'offer', 'reminder')", name=op.f("ck_mail_requests_purpose")),
    )
    op.create_index(op.f("ix_mail_requests_clinic_id_purpose_time"), "mail_requests", ["clinic_id", "purpose", "time"])
    op.create_index(op.f("ix_mail_requests_person_id_purpose_time"), "mail_requests", ["person_id", "purpose", "time"])
    op.create_table(
        "demo_clinics",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_demo_clinics")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_demo_clinics_clinic_id")
        ),
    )
    op.get_bind().execute(MARK_DEMO, {"code": DEMO_SHARE_CODE})
    op.create_index(op.f("ix_invites_creator_id_type_status"), "invites", ["creator_id", "type", "status"])


def downgrade() -> None:
    op.drop_index(op.f("ix_invites_creator_id_type_status"), "invites")
    op.drop_table("demo_clinics")
    op.drop_table("mail_requests")
    op.drop_table("account_deletions")
