"""Functions that the subcommands share."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from clinic_service.config import Config, ConfigError
from clinic_service.gateways.accounts import documents
from clinic_service.gateways.user_ids import is_user_id

# No table has more rows. Databases refuse larger numbers at some size.
MOST_ROWS = 1_000_000_000
limit_option = click.option(
    "--limit",
    "-l",
    type=click.IntRange(1, MOST_ROWS),
    default=20,
    show_default=True,
    help="The maximum number of rows.",
)
offset_option = click.option(
    "--offset",
    "-o",
    type=click.IntRange(0, MOST_ROWS),
    default=0,
    show_default=True,
    help="The number of rows to skip.",
)
# The database of `serve --demo`, unless the operator names another one.
DEMO_DATABASE_URL = "sqlite:///clinic-service-demo.db"


class WrongSettings(click.ClickException):
    """The settings cannot be used. It is shown as one line, unlike click's own error for wrong use."""

    exit_code = 2


def load_config(**flags: Any) -> Config:
    """The effective settings; `flags` override the environment. Raises WrongSettings when they cannot be used."""
    try:
        return Config.load(**flags)
    except ConfigError as error:
        raise WrongSettings(error.message) from None


def text(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of an option whose value is stored and shown, such as a name."""
    if value is not None and documents.label(value) is None:
        raise click.BadParameter(f"write 1 to {documents.MAX_TEXT_LENGTH} characters.")
    return value


def user_id(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Callback of an argument or option that is a user id."""
    if value is not None and not is_user_id(value):
        raise click.BadParameter("write ten lower-case hex characters, or a UUID in lower case.")
    return value


def counted(number: int, noun: str) -> str:
    """`1 patient`, `2 patients`. `noun` is the singular of a noun whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def stop_signal() -> threading.Event:
    """An event that is set when the command gets SIGTERM or SIGINT (Ctrl-C)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
