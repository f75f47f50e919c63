"""A newer program: it has one revision more than this one, and upgrades the database by it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from clinic_service.db import schema
from clinic_service.packaged import revisions_folder

NEWER = "9999"
# What a revision of a newer program must declare when this program would leave something wrong.
UNFIT = "oldest_program = revision"
_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
{declaration}


def upgrade() -> None:
    op.add_column("patients", sa.Column("new", sa.Text(), nullable=True))
    op.create_table("new_table", sa.Column("id", sa.Text(), primary_key=True))


def downgrade() -> None:
    op.drop_table("new_table")
    with op.batch_alter_table("patients") as table:
        table.drop_column("new")
"""


class NewerProgram:
    """Changes databases from a copy of the revisions in `folder`."""

    def __init__(self, folder: Path, declaration: str = "") -> None:
        """`declaration`: what its revision declares, such as UNFIT."""
        self._folder = folder
        shutil.copytree(revisions_folder(), folder)
        text = _REVISION.format(revision=NEWER, before=schema.head(), declaration=declaration)
        (folder / "versions" / f"{NEWER}_add_something.py").write_text(text, encoding="utf-8")

    def upgrade(self, url: str) -> None:
        self._run(url, "upgrade", NEWER)

    def downgrade(self, url: str, revision: str | None = None) -> None:
        """Undo its revision, or also those down to `revision`."""
        self._run(url, "downgrade", revision or schema.head())

    def _run(self, url: str, step: str, revision: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "revisions_folder", lambda: self._folder)
            schema._run(url, step, revision)
