"""`clinic-service token`: makes session tokens for servers without an identity provider."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import click

from clinic_service.cli.common import DEMO_DATABASE_URL, load_config
from clinic_service.cli.common import user_id as _user_id
from clinic_service.cli.opening import opened_directory, plain_errors
from clinic_service.config import Config, mask_password
from clinic_service.db.files import database_file
from clinic_service.gateways.tokens import mint, session_secret

# A few seconds; a token counts whole ones.
_LEAST_HOURS = 0.001
_HOURS_IN_A_YEAR = 8760


@click.group
def token() -> None:
    """Print a session token, for the header X-Tidepool-Session-Token."""


def _hours(_context: click.Context, _parameter: click.Parameter, value: float) -> float:
    # FloatRange admits it, because no comparison with it is true.
    if math.isnan(value):
        raise click.BadParameter("write a number.")
    return value


def _hours_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--hours",
        type=click.FloatRange(_LEAST_HOURS, _HOURS_IN_A_YEAR),
        callback=_hours,
        default=24,
        show_default=True,
        help="How long the token is valid.",
    )(command)


@token.command
@click.argument("user_id", callback=_user_id)
@_hours_option
def user(user_id: str, hours: float) -> None:
    """Print a token of the person USER_ID."""
    config = load_config()
    click.echo(_token(config, user_id, service=False, hours=hours))
    if not config.accounts_url and not _is_known(config, user_id):
        demo = replace(config, database_url=DEMO_DATABASE_URL)
        advice = _for_demo("user", user_id) if _is_known(demo, user_id) else "Add one with `clinic-service users add`."
        where = mask_password(config.database_url)
        click.echo(f"Warning: there is no account {user_id} in {where}. {advice}", err=True)


@token.command
@click.argument("name")
@_hours_option
def service(name: str, hours: float) -> None:
    """Print a token of the backend service NAME."""
    if not name:
        raise click.BadParameter("write the name of a service.")
    config = load_config()
    click.echo(_token(config, name, service=True, hours=hours))
    if _is_missing(config.database_url) and not _is_missing(DEMO_DATABASE_URL):
        click.echo(
            f"Warning: there is no database at {config.database_url} yet. {_for_demo('service', name)}", err=True
        )


def _token(config: Config, subject: str, *, service: bool, hours: float) -> str:
    with plain_errors():
        secret = session_secret(config)
    return mint(
        secret,
        subject,
        service=service,
        lifetime=timedelta(hours=hours),
        issuer=config.session_issuer,
        audience=config.session_audience,
    )


def _for_demo(*arguments: str) -> str:
    """Advice for users of `serve --demo`, which has a database and a key of its own: the command with its database."""
    command = shlex.join(["clinic-service", "token", *arguments])
    return f"For `serve --demo`: CLINIC_DATABASE_URL={DEMO_DATABASE_URL} {command}"


def _is_missing(url: str) -> bool:
    file = database_file(url)
    return file is not None and not file.exists()


def _is_known(config: Config, user_id: str) -> bool:
    try:
        with opened_directory(config) as directory:
            return directory.find_account(user_id) is not None
    except click.ClickException:
        # The database cannot be used, so the user is not known.
        return False
