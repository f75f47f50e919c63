"""What the subcommands share."""

from __future__ import annotations

import signal
import threading
from typing import Any

import click

from clinic_service.config import Config, ConfigError

# Where `serve --demo` has its made-up clinic, unless another database is named.
DEMO_DATABASE_URL = "sqlite:///clinic-service-demo.db"


class WrongSettings(click.ClickException):
    """Settings that cannot be used. Unlike click's own error for wrong use it is one line."""

    exit_code = 2


def load_config(**flags: Any) -> Config:
    """The effective settings, `flags` first. Ends the command with status 2 when they cannot be used."""
    try:
        return Config.load(**flags)
    except ConfigError as error:
        raise WrongSettings(error.message) from None


def stop_signal() -> threading.Event:
    """Is set when the command is told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
