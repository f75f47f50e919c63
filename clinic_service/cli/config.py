"""`clinic-service config`: prints every setting with its value."""

from __future__ import annotations

import json

import click

from clinic_service.cli.common import load_config
from clinic_service.cli.tables import table


@click.command(name="config")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array instead of a table.")
def config_command(as_json: bool) -> None:
    """Print the effective settings. Secrets are masked."""
    rows = load_config().rows()
    if as_json:
        names = ("name", "flag", "value", "default", "why")
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
    else:
        click.echo(table(("SETTING", "FLAG OF serve", "VALUE", "DEFAULT", "MEANING"), rows))
