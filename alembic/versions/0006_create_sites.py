"""Create sites, and the links from patients to them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
