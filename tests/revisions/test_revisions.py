"""Revisions: there and back again, equal to the models, numbered in one line."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from clinic_service.db import schema
from clinic_service.db.engine import Database, revision_engine
from clinic_service.models import Base
from clinic_service.packaged import revisions_folder
from tests.support.schemas import shape

FILES = sorted((revisions_folder() / "versions").glob("*.py"))
VERBS = {"add", "create", "drop", "fill", "move", "remove", "rename", "replace", "split", "tighten", "widen"}


def script_directory(folder: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(alembic_config(folder))


def alembic_config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder))
    return config


def test_empty_to_head_to_empty_to_head(database_url: str) -> None:
    schema.upgrade(database_url)
    first = shape(database_url)
    assert schema.current(database_url) == schema.head()
    schema.downgrade(database_url, "base")
    assert shape(database_url) == {}
    assert schema.current(database_url) is None
    schema.upgrade(database_url)
    assert shape(database_url) == first


def test_each_downgrade_takes_back_its_upgrade(database_url: str) -> None:
    shapes: list[dict[str, Any]] = [{}]
    for file in FILES:
        schema.upgrade(database_url, file.name[:4])
        shapes.append(shape(database_url))
    for number in reversed(range(len(FILES))):
        schema.downgrade(database_url, "-1")
        assert shape(database_url) == shapes[number], FILES[number].name


def _is_of_models(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name not in schema.BOOKKEEPING


def test_no_difference_that_alembic_finds(database_url: str) -> None:
    schema.upgrade(database_url)
    engine = revision_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"target_metadata": Base.metadata, "include_name": _is_of_models}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_the_models_make_the_same_tables_as_the_revisions(database_url: str) -> None:
    """Alembic's comparison leaves out CHECK constraints, conditions of indexes, collations and names."""
    schema.upgrade(database_url)
    by_revisions = shape(database_url)
    schema.downgrade(database_url, "base")
    database = Database(database_url)
    Base.metadata.create_all(database.write_engine)
    database.dispose()
    by_models = shape(database_url)
    assert by_revisions.keys() == by_models.keys()
    for name, table in by_models.items():
        assert by_revisions[name] == table


def test_upgrading_what_is_up_to_date_changes_nothing(database_url: str) -> None:
    schema.upgrade(database_url)
    before = shape(database_url)
    schema.upgrade(database_url)
    assert shape(database_url) == before


def test_several_processes_upgrade_at_once(database_url: str) -> None:
    program = "import sys; from clinic_service.db.schema import upgrade; upgrade(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", program, database_url], stderr=subprocess.PIPE) for _ in range(3)
    ]
    ends = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], ends
    assert schema.current(database_url) == schema.head()


def test_a_reference_that_leads_nowhere_stops_an_upgrade(tmp_path: Path) -> None:
    """Only where foreign keys are off during an upgrade can this happen."""
    url = f"sqlite:///{tmp_path / 'a.db'}"
    schema.upgrade(url, "0004")
    engine = revision_engine(url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO tags VALUES ('no such clinic', 't', 'n', 'n')"))
    engine.dispose()
    with pytest.raises(RuntimeError, match="tags refers to a row of clinics"):
        schema.upgrade(url)
    assert schema.current(url) == "0004"


@pytest.mark.parametrize(
    ("revision", "expected"), [(None, False), ("before head", False), ("head", True), ("9999", True)]
)
def test_is_current(database_url: str, revision: str | None, expected: bool) -> None:
    if revision is not None:
        schema.upgrade(database_url)
    if revision == "before head":
        schema.downgrade(database_url, "-1")
    database = Database(database_url)
    if revision == "9999":
        pretend_revision(database.write_engine, revision)
    with database.read_engine.connect() as connection:
        assert schema.is_current(connection) is expected
    database.dispose()


def pretend_revision(engine: Engine, revision: str) -> None:
    """What a server finds whose successor has upgraded the database."""
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def test_there_is_one_head_and_the_file_names_it() -> None:
    assert script_directory(revisions_folder()).get_heads() == [schema.head()]
    assert (revisions_folder() / "HEAD").read_text(encoding="utf-8") == f"{schema.head()}\n"


def test_files_are_numbered_without_a_gap() -> None:
    assert [file.name[:4] for file in FILES] == [f"{number:04d}" for number in range(1, len(FILES) + 1)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_file_is_named_after_its_number_and_what_it_does(file: Path) -> None:
    assert re.fullmatch(r"\d{4}(_[a-z0-9]+){2,}\.py", file.name)
    assert file.stem.split("_")[1] in VERBS


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_revision_follows_the_one_before(file: Path) -> None:
    assigned = assignments(file)
    number = int(file.name[:4])
    assert assigned["revision"] == file.name[:4]
    assert assigned["down_revision"] == (f"{number - 1:04d}" if number > 1 else None)


def test_a_new_revision_made_from_the_template_is_complete(tmp_path: Path) -> None:
    folder = tmp_path / "alembic"
    shutil.copytree(revisions_folder(), folder)
    command.revision(alembic_config(folder), message="add sites to patients", rev_id="9999")
    made = folder / "versions" / "9999_add_sites_to_patients.py"
    assert assignments(made)["down_revision"] == schema.head()
    docstring = ast.get_docstring(ast.parse(made.read_text(encoding="utf-8"))) or ""
    assert docstring.startswith("add sites to patients")
    for rule in ("Short locks", "release before", "downgrade", "Structure or data", "column types", "SHA256SUMS"):
        assert rule in docstring
    assert script_directory(folder).get_heads() == ["9999"]


def assignments(file: Path) -> dict[str, Any]:
    """The constants that a revision sets at its top level."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        target.id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def test_the_revisions_folder_never_becomes_a_package() -> None:
    """As one it would stand in the way of the library of the same name."""
    assert not (revisions_folder() / "__init__.py").exists()
