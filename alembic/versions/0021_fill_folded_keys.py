"""Fill the keys that texts are compared by once more, because they are folded in another way now.

Tags and sites whose names are one name from now on are kept, with all who carry or belong to them: the oldest keeps its
name, the others get a number behind theirs. White space of tags that is no longer allowed becomes a space. Numbers of
patients that are one number from now on stay, and are not held against each other until one of them is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, groupby
from operator import attrgetter
from typing import NamedTuple

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import ExactText, ObjectId
from clinic_service.models.sort_keys import folded, search_text

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

Row = sa.Row[*tuple[object, ...]]
ALLOWED_WHITE_SPACE = "\t\n\f\r "

PATIENTS = sa.table(
    "patients",
    sa.column("clinic_id", ObjectId()),
    sa.column("id", ObjectId()),
    sa.column("full_name", sa.Text()),
    sa.column("email", sa.Text()),
    sa.column("mrn", sa.Text()),
    sa.column("birth_date", ExactText(10)),
    sa.column("search_text", sa.Text()),
    sa.column("mrn_key", ExactText()),
    sa.column("require_unique_mrn", sa.Boolean()),
)


class Named(NamedTuple):
    """A table with the names of one kind of thing: which name may stay, its key, and how a number stands behind it."""

    table: str
    name_of: Callable[[str], str]
    key_of: Callable[[str], str]
    longest: int
    suffix: str


def upgrade() -> None:
    fill_patients()
    fill_names(Named("tags", tag_name, tag_key, longest=20, suffix=" {}"))
    fill_names(Named("sites", str, site_key, longest=200, suffix=" ({})"))


def fill_patients() -> None:
    of_patient = sa.and_(PATIENTS.c.clinic_id == sa.bindparam("of_clinic"), PATIENTS.c.id == sa.bindparam("of_patient"))
    keys = ("search_text", "mrn_key", "require_unique_mrn")
    set_keys = PATIENTS.update().where(of_patient).values({name: sa.bindparam(name) for name in keys})
    other = PATIENTS.alias()
    is_held_by_another = sa.exists().where(
        other.c.clinic_id == PATIENTS.c.clinic_id, other.c.mrn_key == PATIENTS.c.mrn_key, other.c.require_unique_mrn
    )
    hold_mrn = PATIENTS.update().where(of_patient, sa.not_(is_held_by_another)).values(require_unique_mrn=True)
    released = []
    for row in changed_patients():
        this = {"of_clinic": row.clinic_id, "of_patient": row.id}
        key = mrn_key(row.mrn)
        # A new key may be that of another patient, so it is not held against others until all have theirs.
        stays_held = row.require_unique_mrn and key == row.mrn_key
        op.get_bind().execute(set_keys, this | dict(zip(keys, (text_of(row), key, stays_held), strict=True)))
        if row.require_unique_mrn and not stays_held:
            released.append(this)
    for this in released:
        op.get_bind().execute(hold_mrn, this)


def changed_patients() -> Iterator[Row]:
    """The patients whose keys change; a thousand are read at a time, before the first of them is written."""
    key = sa.tuple_(PATIENTS.c.clinic_id, PATIENTS.c.id)
    last = ("", "")
    while True:
        after = sa.tuple_(sa.literal(last[0], ObjectId()), sa.literal(last[1], ObjectId()))
        batch = op.get_bind().execute(sa.select(PATIENTS).where(key > after).order_by(*key.clauses).limit(1000)).all()
        if not batch:
            return
        yield from (row for row in batch if (text_of(row), mrn_key(row.mrn)) != (row.search_text, row.mrn_key))
        last = (batch[-1].clinic_id, batch[-1].id)


def text_of(row: Row) -> str:
    return search_text(row.full_name, row.email, row.mrn, row.birth_date)


def mrn_key(mrn: str | None) -> str | None:
    return folded(mrn or "").strip() or None


def fill_names(kind: Named) -> None:
    """Give the rows of a table their new keys, and those of a clinic that would have one key names of their own."""
    table = sa.table(kind.table, *(sa.column(name, sa.Text()) for name in ("clinic_id", "id", "name", "name_key")))
    change = (
        table.update()
        .where(table.c.clinic_id == sa.bindparam("of_clinic"), table.c.id == sa.bindparam("of_row"))
        .values(name=sa.bindparam("new_name"), name_key=sa.bindparam("new_key"))
    )
    rows = op.get_bind().execute(sa.select(table).order_by(table.c.clinic_id, table.c.id)).all()
    clinics = groupby(rows, attrgetter("clinic_id"))
    changes = [each for _, of_clinic in clinics for each in changed_names(kind, list(of_clinic))]
    if changes:
        # No key begins with a line feed, so that no new key meets the old one of another row.
        op.get_bind().execute(change, [each | {"new_key": "\n" + each["of_row"]} for each in changes])
        op.get_bind().execute(change, changes)


def changed_names(kind: Named, rows: Sequence[Row]) -> Iterator[dict[str, str]]:
    """Those of the rows of one clinic whose name or key changes; `rows` are in order of creation."""
    wanted = {kind.key_of(kind.name_of(row.name)) for row in rows}
    taken: set[str] = set()
    for row in rows:
        name = kind.name_of(row.name)
        if kind.key_of(name) in taken:
            name = free_name(kind, name, taken | wanted)
        key = kind.key_of(name)
        taken.add(key)
        if (name, key) != (row.name, row.name_key):
            yield {"of_clinic": row.clinic_id, "of_row": row.id, "new_name": name, "new_key": key}


def free_name(kind: Named, name: str, taken: set[str]) -> str:
    """`name` with the first number behind it that makes a name of its own."""
    suffixes = (kind.suffix.format(number) for number in count(2))
    names = (name[: kind.longest - len(suffix)].rstrip() + suffix for suffix in suffixes)
    return next(each for each in names if kind.key_of(each) not in taken)


def tag_name(name: str) -> str:
    """The name with spaces in place of white space that is not allowed; U+FEFF was taken for white space, too."""
    allowed = (" " if (c.isspace() or c == "\ufeff") and c not in ALLOWED_WHITE_SPACE else c for c in name)
    return "".join(allowed).strip()


def tag_key(name: str) -> str:
    return folded(name.strip().replace(" ", ""))


def site_key(name: str) -> str:
    return folded(name.rstrip(" "))


def downgrade() -> None:
    # What follows from other columns need not be taken back, and nobody can tell which names were given before.
    pass
