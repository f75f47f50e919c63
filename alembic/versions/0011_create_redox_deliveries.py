"""Create what is known of orders and of messages sent to Redox, the schedules of reports, and reasons of reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId, UserId, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_order_outcomes()
    op.create_table(
        "sent_redox_messages",
        sa.Column("document_id", ObjectId(), nullable=False),
        sa.Column("data_model", ExactText(), nullable=False),
        sa.Column("sent_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", "data_model", name=op.f("pk_sent_redox_messages")),
    )
    op.create_index(op.f("ix_sent_redox_messages_sent_time"), "sent_redox_messages", ["sent_time"])
    op.create_table(
        "report_schedules",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("cadence", ExactText(), nullable=False),
        sa.Column("last_time", UtcDateTime()),
        sa.Column("next_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_report_schedules")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_report_schedules_clinic_id")
        ),
    )
    op.add_column("scheduled_report_orders", sa.Column("reason", sa.Text()))


def downgrade() -> None:
    with op.batch_alter_table("scheduled_report_orders") as orders:
        orders.drop_column("reason")
    op.drop_table("report_schedules")
    op.drop_table("sent_redox_messages")
    op.drop_table("order_outcomes")


def create_order_outcomes() -> None:
    op.create_table(
        "order_outcomes",
        sa.Column("message_id", ObjectId(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("clinic_id", ObjectId()),
        sa.Column("user_id", UserId()),
        sa.Column("result", ExactText()),
        sa.Column("succeeded", sa.Boolean()),
        sa.Column("explanation", sa.Text()),
        sa.Column("failure", sa.Text()),
        sa.Column("decided_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_order_outcomes")),
        sa.ForeignKeyConstraint(
            ["message_id"], ["redox_messages.id"], ondelete="CASCADE", name=op.f("fk_order_outcomes_message_id")
        ),
        sa.CheckConstraint(
            "state IN ('ignored', 'pending', 'answered', 'failed')", name=op.f("ck_order_outcomes_state")
        ),
    )
