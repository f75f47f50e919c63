"""Runs `clinic-service db backup`, `restore` and `copy`, and says what they must print."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, event, make_url, text

from clinic_service.cli import main
from clinic_service.config import has_password
from clinic_service.db import schema
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.transfer import copy, rows
from tests.support.rows import make_clinic, storing
from tests.support.units import everything

TABLES = [table.name for table in Base.metadata.sorted_tables]
PROGRESS = re.compile(r"(Copying|Checking|Comparing): \d+ %")
_PAGES_OF_AN_EMPTY_DATABASE = 400


def run(command: str, *arguments: object, on: str) -> Result:
    """Run `clinic-service db COMMAND ARGUMENTS` with the database at the URL `on`."""
    given, variables = list(map(str, arguments)), {"CLINIC_DATABASE_URL": on}
    if command == "copy" and has_password(given[0]):
        given[0], variables["PGPASSWORD"] = password_apart(given[0])
    return CliRunner().invoke(main, ["db", command, *given], env=variables)


def password_apart(url: str) -> tuple[str, str]:
    """`url` without its password, and the password."""
    parts = make_url(url)
    return parts._replace(password=None).render_as_string(), str(parts.password or "")


def rows_at(url: str) -> dict[str, list[Any]]:
    """All rows of all tables of the database at `url`."""
    database = Database(url)
    try:
        return everything(database)
    finally:
        database.dispose()


def succeeded(result: Result) -> Result:
    assert result.exit_code == 0, result.output
    return result


def refused(result: Result) -> str:
    """The one line that tells why; nothing else was printed."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    *progress, line = result.stderr.splitlines()
    assert all(map(PROGRESS.fullmatch, progress))
    return line.removeprefix("Error: ")


def listed(result: Result) -> dict[str, tuple[int, str]]:
    """The number of rows and the digest of each table, as the command prints them."""
    return listed_in(result.stdout)


def listed_in(output: str) -> dict[str, tuple[int, str]]:
    """As `listed`, in what the command prints on standard output."""
    rows = re.findall(r"^(\w+) +(\d+) +([0-9a-f]{64})$", output, re.M)
    return {name: (int(count), digest) for name, count, digest in rows}


def file_of(url: str) -> Path:
    """The file of an SQLite database."""
    return Path(url.removeprefix("sqlite:///"))


def damaged(file: Path) -> str:
    return f"{file} is damaged: it does not hold what the backup had. Use another backup."


def make_large(database: Database) -> None:
    """Store more than `full_disk` has room for."""
    with storing(database) as unit:
        make_clinic(unit, name="x" * 4096 * _PAGES_OF_AN_EMPTY_DATABASE)


def no_backup(file: Path) -> str:
    return (
        f"{file} was not made by `clinic-service db backup`. To copy a database file, set CLINIC_DATABASE_URL to its URL "
        "and run `clinic-service db copy`."
    )


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No SQLite database can have more pages than an empty one needs."""
    connect: Any = sqlite3.connect
    pragma = f"PRAGMA max_page_count = {_PAGES_OF_AN_EMPTY_DATABASE}"

    def connect_limited(*arguments: Any, **options: Any) -> Any:
        connection = connect(*arguments, **options)
        connection.execute(pragma)
        return connection

    def limit(connection: Any, _record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute(pragma)

    monkeypatch.setattr(sqlite3, "connect", connect_limited)
    event.listen(Engine, "connect", limit)
    try:
        yield
    finally:
        event.remove(Engine, "connect", limit)


def after_table(monkeypatch: pytest.MonkeyPatch, name: str, act: Any) -> None:
    """Call `act` with the connection when all rows of the table `name` are written."""

    def write(connection: Any, table: Any, batches: Any) -> None:
        rows.write(connection, table, batches)
        if table.name == name:
            act(connection)

    monkeypatch.setattr(copy, "write", write)


def interrupt(*_: object) -> None:
    """As Ctrl-C does."""
    raise KeyboardInterrupt


@contextmanager
def at_revision(database: Database, revision: str) -> Iterator[None]:
    """The database seems to be at `revision`."""
    statement = "UPDATE alembic_version SET version_num = :revision"
    with database.write_engine.begin() as connection:
        connection.execute(text(statement), {"revision": revision})
    try:
        yield
    finally:
        with database.write_engine.begin() as connection:
            connection.execute(text(statement), {"revision": schema.head()})
