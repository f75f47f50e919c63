"""A revision that has landed on the main branch never changes, because a database that is past it would not get the change.

`alembic/SHA256SUMS` has a line for each revision, as `sha256sum` writes it. The column types that revisions import are
listed here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from clinic_service.db.types import CreationTime, ExactText, Json, JsonText, ObjectId, UserId, UtcDateTime
from clinic_service.packaged import revisions_folder

SUMS = "SHA256SUMS"
CHANGED = (
    "{0} differs from its digest. A revision that has landed never changes: undo the change and write a new revision. "
    f"If it has not landed yet, replace its line in alembic/{SUMS} by what `cd alembic && sha256sum {{0}}` prints."
)
NEW = f"{{0}} has no digest. When it is complete, add one: `cd alembic && sha256sum {{0}} >> {SUMS}`."
MISSING = (
    f"{{0}} has a digest but no file. A revision that has landed stays: restore the file. "
    f"If it has not landed yet, remove its line from alembic/{SUMS}."
)
REPEATED = f"{{0}} has more than one digest. Keep the one in alembic/{SUMS} that it landed with."


def problems(folder: Path) -> list[str]:
    """A sentence for each revision in `folder` that is not what its digest says, and for each digest without a revision."""
    lines = [line.split() for line in (folder / SUMS).read_text(encoding="utf-8").splitlines()]
    names = [name for _, name in lines]
    recorded = {name: digest for digest, name in lines}
    found = {f"versions/{file.name}": digest_of(file) for file in revision_files(folder)}
    return [
        *(REPEATED.format(name) for name in sorted(recorded) if names.count(name) > 1),
        *(MISSING.format(name) for name in sorted(recorded.keys() - found.keys())),
        *(NEW.format(name) for name in sorted(found.keys() - recorded.keys())),
        *(CHANGED.format(name) for name in sorted(recorded.keys() & found.keys()) if recorded[name] != found[name]),
    ]


def digest_of(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def revision_files(folder: Path) -> list[Path]:
    return sorted((folder / "versions").glob("*.py"))


def test_each_revision_is_as_it_landed() -> None:
    found = problems(revisions_folder())
    assert not found, "\n".join(found)


CLINICS, PATIENTS = "versions/0001_create_clinics.py", "versions/0002_create_patients.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two landed revisions."""
    (tmp_path / "versions").mkdir()
    for name in (CLINICS, PATIENTS):
        (tmp_path / name).write_text(f'"""{name}"""\n', encoding="utf-8")
        add_digest(tmp_path, name)
    return tmp_path


def add_digest(folder: Path, name: str) -> None:
    with (folder / SUMS).open("a", encoding="utf-8") as sums:
        sums.write(f"{digest_of(folder / name)}  {name}\n")


def test_unchanged_revisions_are_no_problem(folder: Path) -> None:
    assert problems(folder) == []


def test_a_changed_revision_is_named(folder: Path) -> None:
    (folder / PATIENTS).write_text("# Changed.\n", encoding="utf-8")
    assert problems(folder) == [CHANGED.format(PATIENTS)]


def test_a_revision_without_a_digest_is_named(folder: Path) -> None:
    (folder / "versions" / "0003_add_sites.py").touch()
    assert problems(folder) == [NEW.format("versions/0003_add_sites.py")]


def test_a_digest_without_a_revision_is_named(folder: Path) -> None:
    (folder / CLINICS).unlink()
    assert problems(folder) == [MISSING.format(CLINICS)]


def test_a_second_digest_does_not_hide_a_change(folder: Path) -> None:
    (folder / CLINICS).write_text("# Changed.\n", encoding="utf-8")
    add_digest(folder, CLINICS)
    assert problems(folder) == [REPEATED.format(CLINICS)]


# What each column type is on SQLite and on PostgreSQL. Nothing here may change: landed revisions use the types.
COLUMN_TYPES: dict[str, tuple[TypeEngine[Any], str, str]] = {
    "CreationTime": (CreationTime(), "VARCHAR(24)", "TIMESTAMP WITH TIME ZONE"),
    "ExactText": (ExactText(10), "VARCHAR(10)", 'VARCHAR(10) COLLATE "C"'),
    "Json": (Json(), "JSON", "JSON"),
    "JsonText": (JsonText(), "JSON", "JSON"),
    "ObjectId": (ObjectId(), "VARCHAR(24)", 'VARCHAR(24) COLLATE "C"'),
    "UserId": (UserId(), "VARCHAR(36)", 'VARCHAR(36) COLLATE "C"'),
    "UtcDateTime": (UtcDateTime(), "VARCHAR(24)", "TIMESTAMP WITH TIME ZONE"),
}


@pytest.mark.parametrize("name", COLUMN_TYPES)
def test_a_column_type_stays_what_it_was_in_landed_revisions(name: str) -> None:
    column_type, on_sqlite, on_postgresql = COLUMN_TYPES[name]
    assert column_type.compile(sqlite.dialect()) == on_sqlite
    assert column_type.compile(postgresql.dialect()) == on_postgresql  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("file", revision_files(revisions_folder()), ids=lambda file: file.stem)
def test_a_revision_imports_nothing_of_the_application_but_column_types(file: Path) -> None:
    """Anything else could change later, and the revision with it."""
    allowed = {f"clinic_service.db.types.{name}" for name in COLUMN_TYPES}
    own = {name for name in imports(file) if name.split(".")[0] == "clinic_service"}
    assert own <= allowed


def imports(file: Path) -> Iterator[str]:
    """The full names of what a revision imports, at its top or within a function."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
