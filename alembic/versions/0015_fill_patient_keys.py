"""Fill the keys of the patients who were there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, Json, ObjectId
from clinic_service.models.sort_keys import name_key, search_text

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    patients = sa.table(
        "patients",
        sa.column("clinic_id", ObjectId()),
        sa.column("id", ObjectId()),
        sa.column("full_name", sa.Text()),
        sa.column("email", sa.Text()),
        sa.column("mrn", sa.Text()),
        sa.column("birth_date", ExactText(10)),
        sa.column("glycemic_ranges", Json()),
        sa.column("name_key", sa.LargeBinary()),
        sa.column("search_text", sa.Text()),
        sa.column("has_standard_ranges", sa.Boolean()),
    )
    keys = ("name_key", "search_text", "has_standard_ranges")
    change = (
        patients.update()
        .where(patients.c.clinic_id == sa.bindparam("of_clinic"), patients.c.id == sa.bindparam("of_patient"))
        .values({name: sa.bindparam(name) for name in keys})
    )
    for batch in batches(patients):
        op.get_bind().execute(change, [keys_of(row) for row in batch])


def batches(patients: sa.TableClause) -> Iterator[Sequence[sa.Row[*tuple[object, ...]]]]:
    """All patients by clinic and id, some at a time: the next ones are asked for when the last ones are written."""
    key = sa.tuple_(patients.c.clinic_id, patients.c.id)
    last = ("", "")
    while True:
        after = sa.tuple_(sa.literal(last[0], ObjectId()), sa.literal(last[1], ObjectId()))
        batch = op.get_bind().execute(sa.select(patients).where(key > after).order_by(*key.clauses).limit(1000)).all()
        if not batch:
            return
        yield batch
        last = (batch[-1].clinic_id, batch[-1].id)


def keys_of(row: sa.Row[*tuple[object, ...]]) -> dict[str, object]:
    ranges = row.glycemic_ranges
    return {
        "of_clinic": row.clinic_id,
        "of_patient": row.id,
        "name_key": name_key(row.full_name),
        "search_text": search_text(row.full_name, row.email, row.mrn, row.birth_date),
        "has_standard_ranges": ranges is None or ranges.get("preset") == "adaStandard",
    }


def downgrade() -> None:
    # What follows from other columns need not be taken back.
    pass
