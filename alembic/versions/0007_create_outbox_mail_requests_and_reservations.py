"""Create the outbox, the requests that count towards mail limits, and the reservations for accounts being made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, Json, ObjectId, UserId, UtcDateTime

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_outbox()
    create_mail_requests()
    create_reservations()


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("clinic_id", ObjectId()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", Json(), nullable=False),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_time", UtcDateTime(), nullable=False),
        sa.Column("delivered_time", UtcDateTime()),
        sa.Column("last_error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    undelivered = sa.text("delivered_time IS NULL")
    for columns in (["clinic_id", "id"], ["next_attempt_time"]):
        name = op.f(f"ix_outbox_{'_'.join(columns)}")
        op.create_index(name, "outbox", columns, sqlite_where=undelivered, postgresql_where=undelivered)


def create_mail_requests() -> None:
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


def create_reservations() -> None:
    op.create_table(
        "reservations",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("user_id", UserId()),
        sa.Column("expires_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_reservations")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_reservations_clinic_id")
        ),
    )


def downgrade() -> None:
    op.drop_table("reservations")
    op.drop_table("mail_requests")
    op.drop_table("outbox")
