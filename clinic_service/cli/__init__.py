"""The command `clinic-service`.

Each subcommand is a module that is imported when the subcommand is called, so that `--help` and `token` start fast.
Standard output carries the result and nothing else. The exit status is 0 for success, 1 for a failure or for findings,
and 2 for wrong use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from clinic_service import __version__
from clinic_service.texts import is_storable

# subcommand: (module, name of the click command in it, one line for --help)
_COMMANDS = {
    "serve": ("serve", "serve", "Serve the two APIs."),
    "mock": ("mock", "mock", "Answer an API from its spec, without a database."),
    "db": ("db", "db", "Upgrade, check, back up and repair the database."),
    "users": ("users", "users", "Manage the accounts of the embedded directory."),
    "token": ("token", "token", "Print a session token."),
    "demo": ("demo", "demo", "Fill the database with made-up data."),
    "outbox": ("outbox", "outbox", "Deliver, list or remove the events of the outbox."),
    "audit": ("audit", "audit", "List, verify and export the audit trail."),
    "patients": ("patients", "patients", "Export or erase the data about a patient, or list who has seen it."),
    "ehr": ("ehr", "ehr", "Look at the integration of health record systems."),
    "spec": ("spec.commands", "spec", "Check, bundle and list the spec."),
    "config": ("config", "config_command", "Print the effective settings."),
}


class _LazyGroup(click.Group):
    """Imports the module of a subcommand when the subcommand is called."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not all(map(is_storable, args)):
            raise click.ClickException("An argument is not valid UTF-8 text. Write all arguments in UTF-8.")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            raise readable_error(error) from None

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, name, _ = _COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"clinic_service.cli.{module}"), name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


def readable_error(error: Exception) -> Exception:
    """The exception to show for `error`: one line if the operator can solve the problem, else `error` itself."""
    from clinic_service.cli.common import WrongSettings
    from clinic_service.config import ConfigError
    from clinic_service.db.failures import explain
    from clinic_service.errors import ServiceError

    if isinstance(error, ConfigError):
        return WrongSettings(error.message)
    sentence = explain(error)
    if sentence is not None:
        return click.ClickException(sentence)
    if isinstance(error, ServiceError):
        return click.ClickException(error.message)
    # A broken pipe is not a failure: the program that read the output has ended.
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return click.ClickException(f"{error.filename or 'Operating system'}: {error.strerror or error}")
    return error


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="clinic-service")
def main() -> None:
    """A self-hostable server for Tidepool's Clinics API and Access API."""
