"""Opening the database for a command, with messages an operator can act upon."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from clinic_service.cli.common import WrongSettings
from clinic_service.config import Config, ConfigError
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.files import database_file
from clinic_service.errors import ServiceError
from clinic_service.gateways.accounts.embedded import EmbeddedAccounts


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let a failure of the block end the command with its message: status 2 for wrong settings, else 1."""
    try:
        yield
    except ConfigError as error:
        raise WrongSettings(error.message) from None
    except (ServiceError, DatabaseUnusable) as error:
        raise click.ClickException(error.message) from None


@contextmanager
def opened_database(config: Config, *, make: bool = False) -> Iterator[Database]:
    """The database of `config`, at the schema this program needs.

    Raises click.ClickException when it cannot be had; that of SQLite is brought up, and with `make` also made.
    """
    with plain_errors():
        require_schema(config, make=make)
        database = Database(config.database_url, sqlite_synchronous=config.sqlite_synchronous, pool_size=1)
        try:
            with explained(database.url):
                yield database
        finally:
            database.dispose()


@contextmanager
def opened_directory(config: Config, *, make: bool = False) -> Iterator[EmbeddedAccounts]:
    """The embedded directory of accounts. Raises click.ClickException when another system keeps the accounts."""
    if config.accounts_url:
        raise click.ClickException(
            "The accounts service at CLINIC_ACCOUNTS_URL keeps the accounts; they can only be managed there."
        )
    with opened_database(config, make=make) as database:
        yield EmbeddedAccounts(database)


def require_schema(config: Config, *, make: bool = False, upgrade: Callable[[str], None] = schema.upgrade) -> None:
    """Make sure that the database has the schema this program needs.

    A SQLite database is upgraded by `upgrade`, which takes its URL. A PostgreSQL database is not: other processes may be
    using it, so the operator decides when. Raises click.ClickException when the schema is not there and, without `make`,
    for a SQLite database that does not exist.
    """
    file = database_file(config.database_url)
    if file is not None and not make and not file.exists():
        raise click.ClickException(f"There is no database at {file} yet. Run `clinic-service db upgrade` first.")
    if schema.suffices(schema.current(config.database_url)):
        return
    if file is None:
        raise click.ClickException("The database is not up to date. Run `clinic-service db upgrade` first.")
    upgrade(config.database_url)
