"""Create matched messages, Redox messages and scheduled report orders, and the keys that patients are matched by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0040"
down_revision = "0008"
branch_labels = None
depends_on = None

MATCH_KEYS = ("mrn_match_key", "name_match_key")


def upgrade() -> None:
    create_matched_messages()
    create_redox_messages()
    create_scheduled_report_orders()
    for key in MATCH_KEYS:
        op.add_column("patients", sa.Column(key, sa.LargeBinary()))


def downgrade() -> None:
    with op.batch_alter_table("patients") as patients:
        for key in reversed(MATCH_KEYS):
            patients.drop_column(key)
    op.drop_table("scheduled_report_orders")
    op.drop_table("redox_messages")
    op.drop_table("matched_messages")


def create_matched_messages() -> None:
    op.create_table(
        "matched_messages",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("name", ExactText(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("document_id", ObjectId(), nullable=False),
        sa.Column("data_model", ExactText(), nullable=False),
        sa.Column("event_type", ExactText(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "name", "position", name=op.f("pk_matched_messages")),
        sa.UniqueConstraint(
            "clinic_id",
            "patient_id",
            "name",
            "document_id",
            name=op.f("uq_matched_messages_clinic_id_patient_id_name_document_id"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id", "name"],
            ["ehr_subscriptions.clinic_id", "ehr_subscriptions.patient_id", "ehr_subscriptions.name"],
            ondelete="CASCADE",
            name=op.f("fk_matched_messages_clinic_id_patient_id_name"),
        ),
    )
    op.create_index(op.f("ix_matched_messages_document_id"), "matched_messages", ["document_id"])


def create_redox_messages() -> None:
    op.create_table(
        "redox_messages",
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("data_model", ExactText(), nullable=False),
        sa.Column("event_type", ExactText(), nullable=False),
        sa.Column("source_id", ExactText()),
        sa.Column("source_name", sa.Text()),
        sa.Column("facility_code", ExactText()),
        sa.Column("event_time", UtcDateTime()),
        sa.Column("is_test", sa.Boolean()),
        sa.Column("log_id", ExactText()),
        sa.Column("log_attempt_id", sa.Text()),
        sa.Column("destination_ids", Json()),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_hash", sa.LargeBinary(), nullable=False),
        sa.Column("duplicate_of", ObjectId()),
        sa.Column("received_time", CreationTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redox_messages")),
    )
    op.create_index(op.f("ix_redox_messages_log_id"), "redox_messages", ["log_id"])
    op.create_index(op.f("ix_redox_messages_received_time_id"), "redox_messages", ["received_time", "id"])
    op.create_index(
        op.f("ix_redox_messages_first_delivery"),
        "redox_messages",
        ["source_id", "log_id", "payload_hash"],
        unique=True,
        sqlite_where=sa.text("duplicate_of IS NULL"),
        postgresql_where=sa.text("duplicate_of IS NULL"),
    )


def create_scheduled_report_orders() -> None:
    op.create_table(
        "scheduled_report_orders",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("message_id", ObjectId(), nullable=False),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("preceding_id", ObjectId()),
        sa.Column("preceding_created_time", CreationTime()),
        sa.Column("delivered_time", UtcDateTime()),
        sa.Column("state", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_scheduled_report_orders")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_scheduled_report_orders_clinic_id")
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'skipped', 'failed')", name=op.f("ck_scheduled_report_orders_state")
        ),
    )
    op.create_index(
        op.f("ix_scheduled_report_orders_preceding"),
        "scheduled_report_orders",
        ["clinic_id", "user_id", "message_id", "id"],
    )
    op.create_index(
        op.f("ix_scheduled_report_orders_pending"),
        "scheduled_report_orders",
        ["message_id"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(op.f("ix_scheduled_report_orders_created_time"), "scheduled_report_orders", ["created_time"])
