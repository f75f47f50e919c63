"""Create the entries of the audit trail and the ends of their chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId, UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("time", UtcDateTime(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("caller_id", ExactText(255)),
        sa.Column("caller_kind", sa.Text()),
        sa.Column("caller_role", sa.Text()),
        sa.Column("subject_id", ExactText(255)),
        sa.Column("patients", sa.Integer()),
        sa.Column("changed", Json(), nullable=False),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("hash", sa.Text()),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_time"), "audit_entries", ["time"])
    op.create_index(op.f("ix_audit_entries_sequence"), "audit_entries", ["sequence"])
    op.create_index(op.f("ix_audit_entries_caller_id"), "audit_entries", ["caller_id", "time"])
    create_partial("ix_audit_entries_unsealed", ["time", "id"], "sequence IS NULL")
    create_partial("ix_audit_entries_subject_id", ["subject_id", "time"], "subject_id IS NOT NULL")
    op.create_table(
        "audit_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("removed_sequence", sa.BigInteger(), nullable=False),
        sa.Column("removed_hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )


def create_partial(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(op.f(name), "audit_entries", columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_table("audit_chain")
    op.drop_table("audit_entries")
