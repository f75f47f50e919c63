"""`clinic-service db backup`, `restore` and `copy`: move all rows into a file, out of it, and to another database."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from clinic_service import clock
from clinic_service.cli.common import WrongSettings, load_config
from clinic_service.cli.opening import plain_errors
from clinic_service.cli.progress import shown_progress
from clinic_service.cli.tables import table
from clinic_service.config import has_password
from clinic_service.db.files import file_url
from clinic_service.db.transfer.backup import make_backup, opened_backup
from clinic_service.db.transfer.copy import fill
from clinic_service.db.transfer.record import Contents, contents
from clinic_service.db.transfer.source import opened_source, require_different
from clinic_service.db.upkeep import after_loading
from clinic_service.models import Base

_TABLES = Base.metadata.sorted_tables

_url = click.option("--database-url", help="URL of the database. Default: CLINIC_DATABASE_URL.")
_replace = click.option("--replace", is_flag=True, help="Delete everything that is in the target database first.")


def _without_password(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    if has_password(url):
        raise WrongSettings(
            "URL has a password, but every user of the machine can see the arguments of a command. "
            "Leave the password out, and write it into the file ~/.pgpass, or into the file that PGPASSFILE names."
        )
    return url


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@_url
def backup(file: Path, database_url: str | None, *, force: bool) -> None:
    """Write a backup of the database to FILE while the service runs.

    FILE is an SQLite database, also for a PostgreSQL database, and only its owner can read it. `db restore` accepts FILE
    for both engines. FILE contains everything that was stored before the command began, and a digest of each table. It
    does not contain the session secret, which is in the file `….key` beside an SQLite database.
    """
    url = load_config(database_url=database_url).database_url
    if not file.parent.is_dir():
        raise click.ClickException(f"The folder {file.parent} does not exist.")
    with plain_errors(), shown_progress() as progress:
        require_different(str(file_url(file)), url)
        if file.exists() and not force:
            raise click.ClickException(f"{file} exists. Name another file, or add --force to replace it.")
        record = make_backup(url, file, _TABLES, progress=progress)
    _print(record.tables)
    click.echo(f"{file}: everything before {clock.to_wire(record.created_time)}, at revision {record.revision}.")


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
@_replace
@_url
def restore(file: Path, database_url: str | None, *, replace: bool) -> None:
    """Store the rows of the backup FILE in the database.

    Without --replace, a database with rows is refused. All rows are stored in one transaction, which is rolled back if
    anything fails or the command is stopped. The rows are read back, and compared with the backup by digests. A backup of
    an older revision is upgraded in a temporary copy, which needs space in the folder for temporary files. A service that
    uses the database meanwhile has to wait.
    """
    url = load_config(database_url=database_url).database_url
    with plain_errors(), shown_progress() as progress:
        require_different(str(file_url(file)), url)
        with opened_backup(file, progress=progress) as opened:
            found = fill(url, opened.rows, _TABLES, replace=replace, progress=progress)
        after_loading(url)
    _print(contents(found))
    click.echo(f"Restored everything before {clock.to_wire(opened.record.created_time)}. Both sides are equal.")


@click.command()
@click.argument("target", metavar="URL", callback=_without_password)
@_replace
@_url
def copy(target: str, database_url: str | None, *, replace: bool) -> None:
    """Copy all rows of the database to the database at URL, which may have the same or the other engine.

    A URL with a password is refused, because every user of the machine could see it: leave the password out, and write it
    into the file ~/.pgpass, or into the file that PGPASSFILE names.

    The service may use the database meanwhile; the copy contains everything that was stored before the command began.
    Without --replace, a target with rows is refused. All rows are stored in one transaction, which is rolled back if
    anything fails or the command is stopped. The rows are read back, and compared with the database by digests.
    """
    url = load_config(database_url=database_url).database_url
    with plain_errors(), shown_progress() as progress:
        require_different(url, target)
        with opened_source(url, _TABLES) as source:
            found = fill(target, source, _TABLES, replace=replace, progress=progress)
        after_loading(target)
    _print(contents(found))
    click.echo("Both sides are equal.")


def _print(tables: Mapping[str, Contents]) -> None:
    click.echo(
        table(("TABLE", "ROWS", "SHA-256"), ((name, str(rows), sha256) for name, (rows, sha256) in tables.items()))
    )
