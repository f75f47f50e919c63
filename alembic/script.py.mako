"""${message}

- Short locks: no step may make a running server wait for more than a moment. An index on a table that may be large, and
  a constraint on its rows, go in a revision of their own.
- Compatible with the release before: it goes on running while this revision is carried out and afterwards. Add first,
  remove one release later; a new column is nullable or has a default.
- Not compatible with older programs, because they would leave something wrong, such as a projection that they do not write:
  it says `oldest_program = revision`, so that these programs are told.
- A working downgrade: it takes back exactly what `upgrade` did.
- Structure or data, never both in one revision.
- It imports nothing of the application but column types, because everything else may change later.
- It never changes once it has landed: its number is in `alembic/HEAD`, its digest in `alembic/SHA256SUMS`.
- The same on SQLite and PostgreSQL; changes of existing tables go through `op.batch_alter_table`.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from clinic_service.db.types import CreationTime, ExactText, Json, JsonText, ObjectId, UserId, UtcDateTime

revision = "${up_revision}"
down_revision = "${down_revision}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
