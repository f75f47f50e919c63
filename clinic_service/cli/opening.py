"""Opens the database for a command. Failures become messages that tell the operator what to do."""

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
    """Turn a failure of the block into a click.ClickException with its message: status 2 for wrong settings, else 1."""
    try:
        yield
    except ConfigError as error:
        raise WrongSettings(error.message) from None
    except (ServiceError, DatabaseUnusable) as error:
        raise click.ClickException(error.message) from None


@contextmanager
def opened_database(config: Config, *, make: bool = False) -> Iterator[Database]:
    """Open the database of `config` at the schema that this program needs, and close it after the block.

    A SQLite database is upgraded, and with `make` also created. Raises click.ClickException when the database cannot be
    used.
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
    """Open the embedded directory of accounts; `make` creates a SQLite database that does not exist.

    Raises click.ClickException when another system keeps the accounts, or the database cannot be used.
    """
    if config.accounts_url:
        raise click.ClickException(
            "CLINIC_ACCOUNTS_URL names an accounts service, which keeps the accounts. Manage them there."
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
    if schema.is_usable(config.database_url):
        return
    if file is None:
        raise click.ClickException("The database is not up to date. Run `clinic-service db upgrade` first.")
    upgrade(config.database_url)
