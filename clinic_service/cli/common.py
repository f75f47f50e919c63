"""What the subcommands share."""

from __future__ import annotations

from typing import Any

import click

from clinic_service.config import Config, ConfigError


def load_config(**flags: Any) -> Config:
    """The effective settings, `flags` first. Ends the command with status 2 when they cannot be used."""
    try:
        return Config.load(**flags)
    except ConfigError as error:
        raise click.UsageError(error.message) from None
