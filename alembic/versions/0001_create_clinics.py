"""Create clinics, their share codes, their restrictions on members, and the table that marks demo clinics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, ObjectId, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_clinics()
    create_share_codes()
    create_membership_restrictions()
    create_demo_clinics()


def create_clinics() -> None:
    op.create_table(
        "clinics",
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("city", sa.Text()),
        sa.Column("postal_code", sa.Text()),
        sa.Column("state", sa.Text()),
        sa.Column("country", sa.Text()),
        sa.Column("website", sa.Text()),
        sa.Column("phone_numbers", Json()),
        sa.Column("clinic_type", sa.String(32)),
        sa.Column("clinic_size", sa.String(32)),
        sa.Column("preferred_bg_units", sa.String(32)),
        sa.Column("timezone", sa.Text()),
        sa.Column("is_migrated", sa.Boolean(), nullable=False),
        sa.Column("tier", sa.String(32)),
        sa.Column("suppressed_notifications", Json()),
        sa.Column("patient_count_settings", Json()),
        sa.Column("mrn_required", sa.Boolean()),
        sa.Column("mrn_unique", sa.Boolean()),
        sa.Column("ehr_provider", sa.String(32)),
        sa.Column("ehr_source_id", sa.Text()),
        sa.Column("ehr_enabled", sa.Boolean(), nullable=False),
        sa.Column("ehr_on_upload", sa.Boolean(), nullable=False),
        sa.Column("ehr_settings", Json()),
        sa.Column("created_time", CreationTime(), nullable=False),
        sa.Column("updated_time", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clinics")),
        *checks_of_clinics(),
    )
    op.create_index(op.f("ix_clinics_created_time"), "clinics", ["created_time"])
    op.create_index(op.f("ix_clinics_ehr_provider_ehr_enabled"), "clinics", ["ehr_provider", "ehr_enabled"])
    op.create_index(op.f("ix_clinics_ehr_source_id"), "clinics", ["ehr_source_id"])


def checks_of_clinics() -> list[sa.CheckConstraint]:
    return [
        sa.CheckConstraint(
            "clinic_size IN ('0-249', '250-499', '500-999', '1000+')", name=op.f("ck_clinics_clinic_size")
        ),
        sa.CheckConstraint(
            "clinic_type IN ('provider_practice', 'healthcare_system', 'veterinary_clinic', 'other', 'researcher')",
            name=op.f("ck_clinics_clinic_type"),
        ),
        sa.CheckConstraint("ehr_provider IN ('xealth', 'redox')", name=op.f("ck_clinics_ehr_provider")),
        sa.CheckConstraint("preferred_bg_units IN ('mg/dL', 'mmol/L')", name=op.f("ck_clinics_preferred_bg_units")),
        sa.CheckConstraint("tier IN ('tier0100', 'tier0200', 'tier0300', 'tier0400')", name=op.f("ck_clinics_tier")),
    ]


def create_share_codes() -> None:
    op.create_table(
        "share_codes",
        sa.Column("code", ExactText(14), nullable=False),
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("canonical", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_share_codes")),
    )
    op.create_index(
        op.f("ix_share_codes_canonical"),
        "share_codes",
        ["clinic_id"],
        unique=True,
        sqlite_where=sa.text("canonical"),
        postgresql_where=sa.text("canonical"),
    )
    op.create_index(op.f("ix_share_codes_clinic_id"), "share_codes", ["clinic_id"])


def create_membership_restrictions() -> None:
    op.create_table(
        "membership_restrictions",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("email_domain", sa.Text(), nullable=False),
        sa.Column("required_idp", sa.Text()),
        sa.PrimaryKeyConstraint("clinic_id", "position", name=op.f("pk_membership_restrictions")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_membership_restrictions_clinic_id")
        ),
    )


def create_demo_clinics() -> None:
    op.create_table(
        "demo_clinics",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", name=op.f("pk_demo_clinics")),
        sa.ForeignKeyConstraint(
            ["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_demo_clinics_clinic_id")
        ),
    )


def downgrade() -> None:
    op.drop_table("demo_clinics")
    op.drop_table("membership_restrictions")
    op.drop_table("share_codes")
    op.drop_table("clinics")
