"""Opening the database for a command, with messages an operator can act upon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from clinic_service.cli.common import WrongSettings
from clinic_service.config import Config, ConfigError
from clinic_service.db.engine import Database
from clinic_service.db.failures import DatabaseUnusable, explained
from clinic_service.db.files import database_file
from clinic_service.db.schema import current, suffices
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
def opened_database(config: Config) -> Iterator[Database]:
    """The database of `config`, at the schema this program needs. Raises click.ClickException when it is not there."""
    with plain_errors():
        _require_file(config.database_url)
        _require_current_schema(config.database_url)
        database = Database(config.database_url, sqlite_synchronous=config.sqlite_synchronous, pool_size=1)
        try:
            with explained(database.url):
                yield database
        finally:
            database.dispose()


@contextmanager
def opened_directory(config: Config) -> Iterator[EmbeddedAccounts]:
    """The embedded directory of accounts. Raises click.ClickException when another system keeps the accounts."""
    if config.accounts_url:
        raise click.ClickException(
            "The accounts service at CLINIC_ACCOUNTS_URL keeps the accounts; they can only be managed there."
        )
    with opened_database(config) as database:
        yield EmbeddedAccounts(database)


def _require_file(url: str) -> None:
    file = database_file(url)
    # Connecting would make an empty one.
    if file is not None and not file.exists():
        raise click.ClickException(f"There is no database at {file} yet. Run `clinic-service db upgrade` first.")


def _require_current_schema(url: str) -> None:
    if not suffices(current(url)):
        raise click.ClickException("The database is not up to date. Run `clinic-service db upgrade` first.")
