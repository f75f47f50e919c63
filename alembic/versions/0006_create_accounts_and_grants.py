"""Create the embedded directory of accounts, and the direct grants of access from user to user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, Json, ObjectId, UserId, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_accounts()
    create_account_emails()
    create_account_deletions()
    create_grants()


def create_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("username", sa.Text()),
        sa.Column("full_name", sa.Text()),
        sa.Column("roles", Json(), nullable=False),
        sa.Column("patient_profile", Json()),
        sa.Column("custodial_clinic_id", ObjectId()),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("username", name=op.f("uq_accounts_username")),
    )


def create_account_emails() -> None:
    op.create_table(
        "account_emails",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("email", name=op.f("pk_account_emails")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["accounts.user_id"], ondelete="CASCADE", name=op.f("fk_account_emails_user_id")
        ),
    )
    op.create_index(op.f("ix_account_emails_user_id"), "account_emails", ["user_id"])


def create_account_deletions() -> None:
    op.create_table(
        "account_deletions",
        sa.Column("user_id", UserId(), nullable=False),
        sa.Column("deleted_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_account_deletions")),
    )


def create_grants() -> None:
    op.create_table(
        "grants",
        sa.Column("sharer_id", UserId(), nullable=False),
        sa.Column("grantee_id", UserId(), nullable=False),
        sa.Column("permissions", Json(), nullable=False),
        sa.PrimaryKeyConstraint("sharer_id", "grantee_id", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_grantee_id"), "grants", ["grantee_id"])


def downgrade() -> None:
    op.drop_table("grants")
    op.drop_table("account_deletions")
    op.drop_table("account_emails")
    op.drop_table("accounts")
