"""Create what is kept for Xealth, and restricted tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UserId, UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_xealth_preorders()
    create_xealth_orders()
    create_xealth_report_views()
    create_restricted_tokens()


def downgrade() -> None:
    op.drop_table("restricted_tokens")
    op.drop_table("xealth_report_views")
    op.drop_table("xealth_orders")
    op.drop_table("xealth_preorders")


def create_xealth_preorders() -> None:
    op.create_table(
        "xealth_preorders",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("data_tracking_id", ExactText(), nullable=False),
        sa.Column("deployment", ExactText(), nullable=False),
        sa.Column("mrn", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("connect_abbott", sa.Boolean(), nullable=False),
        sa.Column("connect_dexcom", sa.Boolean(), nullable=False),
        sa.Column("guardian_first_name", sa.Text()),
        sa.Column("guardian_last_name", sa.Text()),
        sa.Column("tag_ids", Json(), nullable=False),
        sa.Column("used_time", UtcDateTime()),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "data_tracking_id", name=op.f("pk_xealth_preorders")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_xealth_preorders_clinic_id")
        ),
    )
    op.create_index(op.f("ix_xealth_preorders_updated_time"), "xealth_preorders", ["updated_time"])


def create_xealth_orders() -> None:
    op.create_table(
        "xealth_orders",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("deployment", ExactText(), nullable=False),
        sa.Column("order_id", ExactText(), nullable=False),
        sa.Column("program_id", sa.Text(), nullable=False),
        sa.Column("partner_id", sa.Text()),
        sa.Column("event_id", sa.Text()),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("event_context", sa.Text(), nullable=False),
        sa.Column("event_time", UtcDateTime(), nullable=False),
        sa.Column("event_text", sa.Text(), nullable=False),
        sa.Column("order_text", sa.Text(), nullable=False),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("applied_time", UtcDateTime()),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_xealth_orders")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_xealth_orders_clinic_id")
        ),
    )
    op.create_index(
        op.f("ix_xealth_orders_clinic_id_deployment_order_id_created_time"),
        "xealth_orders",
        ["clinic_id", "deployment", "order_id", "created_time"],
    )
    op.create_index(op.f("ix_xealth_orders_created_time"), "xealth_orders", ["created_time"])


def create_xealth_report_views() -> None:
    op.create_table(
        "xealth_report_views",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("ehr_user_id", ExactText(), nullable=False),
        sa.Column("system_login", sa.Text()),
        sa.Column("deployment", ExactText(), nullable=False),
        sa.Column("program_id", ExactText(), nullable=False),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_xealth_report_views")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_xealth_report_views_clinic_id_patient_id"),
        ),
    )
    op.create_index(
        "ix_xealth_report_views_latest",
        "xealth_report_views",
        ["clinic_id", "patient_id", "ehr_user_id", "created_time"],
    )


def create_restricted_tokens() -> None:
    op.create_table(
        "restricted_tokens",
        sa.Column("hash", ExactText(64), nullable=False),
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("paths", Json()),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("expiration_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_restricted_tokens")),
    )
    op.create_index(op.f("ix_restricted_tokens_expiration_time"), "restricted_tokens", ["expiration_time"])
