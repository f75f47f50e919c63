"""Fill the keys that patients are matched by, of the patients who were there before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from unicodedata import combining, normalize

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ObjectId

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    patients = sa.table(
        "patients",
        sa.column("clinic_id", ObjectId()),
        sa.column("id", ObjectId()),
        sa.column("full_name", sa.Text()),
        sa.column("mrn", sa.Text()),
        sa.column("mrn_match_key", sa.LargeBinary()),
        sa.column("name_match_key", sa.LargeBinary()),
    )
    change = (
        patients.update()
        .where(patients.c.clinic_id == sa.bindparam("of_clinic"), patients.c.id == sa.bindparam("of_patient"))
        .values(mrn_match_key=sa.bindparam("mrn_key"), name_match_key=sa.bindparam("name_key"))
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
    return {
        "of_clinic": row.clinic_id,
        "of_patient": row.id,
        "mrn_key": match_key(row.mrn),
        "name_key": match_key(row.full_name),
    }


def match_key(text: str | None) -> bytes | None:
    if not text:
        return None
    base = "".join(character for character in normalize("NFKD", text) if not combining(character))
    return blake2b(base.casefold().encode(), digest_size=16).digest()


def downgrade() -> None:
    # What follows from other columns need not be taken back.
    pass
