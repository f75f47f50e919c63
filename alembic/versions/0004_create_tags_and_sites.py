"""Create tags and sites, and which patients have them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_tags()
    create_patient_tags()
    create_sites()
    create_patient_sites()


def create_tags() -> None:
    op.create_table(
        "tags",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", ExactText(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_tags")),
        sa.UniqueConstraint("clinic_id", "name_key", name=op.f("uq_tags_clinic_id_name_key")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_tags_clinic_id")),
    )


def create_patient_tags() -> None:
    op.create_table(
        "patient_tags",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("tag_id", ObjectId(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "tag_id", name=op.f("pk_patient_tags")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_patient_tags_clinic_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "tag_id"],
            ["tags.clinic_id", "tags.id"],
            ondelete="CASCADE",
            name=op.f("fk_patient_tags_clinic_id_tag_id"),
        ),
    )
    op.create_index(
        op.f("ix_patient_tags_clinic_id_tag_id_patient_id"), "patient_tags", ["clinic_id", "tag_id", "patient_id"]
    )


def create_sites() -> None:
    op.create_table(
        "sites",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("id", ObjectId(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", ExactText(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "id", name=op.f("pk_sites")),
        sa.UniqueConstraint("clinic_id", "name_key", name=op.f("uq_sites_clinic_id_name_key")),
        sa.ForeignKeyConstraint(["clinic_id"], ["clinics.id"], ondelete="CASCADE", name=op.f("fk_sites_clinic_id")),
    )


def create_patient_sites() -> None:
    op.create_table(
        "patient_sites",
        sa.Column("clinic_id", ObjectId(), nullable=False),
        sa.Column("patient_id", ObjectId(), nullable=False),
        sa.Column("site_id", ObjectId(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("clinic_id", "patient_id", "site_id", name=op.f("pk_patient_sites")),
        sa.ForeignKeyConstraint(
            ["clinic_id", "patient_id"],
            ["patients.clinic_id", "patients.id"],
            ondelete="CASCADE",
            name=op.f("fk_patient_sites_clinic_id_patient_id"),
        ),
        sa.ForeignKeyConstraint(
            ["clinic_id", "site_id"],
            ["sites.clinic_id", "sites.id"],
            ondelete="CASCADE",
            name=op.f("fk_patient_sites_clinic_id_site_id"),
        ),
    )
    op.create_index(
        op.f("ix_patient_sites_clinic_id_site_id_patient_id"), "patient_sites", ["clinic_id", "site_id", "patient_id"]
    )


def downgrade() -> None:
    op.drop_table("patient_sites")
    op.drop_table("sites")
    op.drop_table("patient_tags")
    op.drop_table("tags")
