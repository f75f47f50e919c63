"""`clinic-service serve`: starts the server, as one process or several."""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from clinic_service.cli.child import in_child
from clinic_service.cli.common import DEMO_DATABASE_URL, load_config
from clinic_service.cli.listening import bound_socket, metrics_socket, say
from clinic_service.config import FILE_SUFFIX, Config, flag, is_number, is_secret, variable
from clinic_service.log_lines import log_as_json
from clinic_service.specification.apis import Api, load_apis
from clinic_service.specification.source import SpecError

if TYPE_CHECKING:
    from clinic_service.server.parts import Parts


def _setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for every setting to `command`. Those of secrets are not shown: `load_config` refuses them."""
    for setting in reversed(fields(Config)):
        kind = int if is_number(setting) else str
        words = f"{setting.metadata['why']}  [{variable(setting.name)}]"
        command = click.option(flag(setting.name), setting.name, type=kind, help=words, hidden=is_secret(setting))(
            command
        )
    return command


@click.command()
@click.option("--demo", is_flag=True, help="Serve a made-up clinic from a database of its own.")
@click.option("--mix-with-real-data", "mix", is_flag=True, help="Let --demo write into a database with real clinics.")
@click.option("--reload", is_flag=True, help="Apply edits of the spec and of the code when they are saved.")
@_setting_flags
def serve(demo: bool, mix: bool, reload: bool, **flags: Any) -> None:
    """Serve the two APIs until SIGTERM or Ctrl-C. Running requests are finished first.

    Secrets have no flags, because every user of the machine could see them. The command `config` lists their variables.
    """
    # Objects made during the start stay in use. Collecting garbage among them would take a tenth of the start-up time.
    gc.disable()
    # During the start, SIGTERM ends the process at once; `sys.exit` lets it remove its temporary files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _errors_as_json():
        _serve(demo=demo, mix=mix, reload=reload, flags=flags)


def _serve(*, demo: bool, mix: bool, reload: bool, flags: dict[str, Any]) -> None:
    config = load_config(**flags)
    log_as_json(config.log_level)
    if demo and not _names_database(flags):
        config = load_config(**{**flags, "database_url": DEMO_DATABASE_URL})
    listener, config = bound_socket(config)
    with listener, metrics_socket(config) as metrics_listener, _metrics_folder(config):
        # A child process reads the YAML while this one imports the other modules, which takes about as long. With
        # `--reload` the application itself reads the spec of the checkout.
        apis = (lambda: None) if reload else in_child(load_apis)
        text = _require_database(config, demo=demo, mix=mix)
        parts = _parts(config, apis, metrics_listener, reload=reload)
        # Server processes share this memory until one of them writes to it, and the collector would write to all of it.
        gc.collect()
        gc.freeze()
        _run(parts, listener, started=lambda: say(text), renew=None if reload else partial(_renewed, flags))


@contextmanager
def _errors_as_json() -> Iterator[None]:
    """Write the error that ends the command as a line of the log, except on a terminal."""
    from clinic_service.cli import readable_error

    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not is_terminal:
        log_as_json("INFO")
    try:
        yield
    except Exception as error:
        shown = readable_error(error)
        if is_terminal or not isinstance(shown, click.ClickException):
            raise
        logging.getLogger(__name__).critical(shown.format_message())
        sys.exit(shown.exit_code)


def _require_database(config: Config, *, demo: bool, mix: bool) -> str:
    """Make sure that the database has the schema that is needed; returns the text to print once the server listens."""
    # Imported here, while a child process reads the spec.
    from clinic_service.cli.introduction import introduction
    from clinic_service.cli.opening import require_schema
    from clinic_service.db import schema

    # In this process, Alembic and the revisions would take 12 MB until the server stops. Only a first start needs them.
    require_schema(config, make=True, upgrade=lambda url: in_child(partial(schema.upgrade, url))())
    return introduction(config, demo=demo, mix=mix)


def _names_database(flags: dict[str, Any]) -> bool:
    """Whether the operator has named a database, by flag or variable."""
    name = variable("database_url")
    return bool(flags["database_url"] or os.environ.get(name) or os.environ.get(name + FILE_SUFFIX))


@contextmanager
def _metrics_folder(config: Config) -> Iterator[None]:
    """Let several processes share their metrics: in a temporary folder that only the owner can read."""
    if config.workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="clinic-service-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


def _parts(
    config: Config, apis: Callable[[], list[Api] | None], metrics_listener: socket.socket | None, *, reload: bool
) -> Parts:
    """Build the application before the server processes are forked, so that they share its memory.

    Raises click.ClickException when the spec cannot be served.
    """
    from clinic_service.api.parameters import PlanError
    from clinic_service.server.parts import build

    try:
        return build(config, apis(), reload=reload, metrics_listener=metrics_listener)
    except (SpecError, PlanError) as error:
        raise click.ClickException(f"The spec cannot be served: {error}") from None


def _renewed(flags: dict[str, Any], parts: Parts) -> Parts:
    """The parts for the settings as they are now: flags and variables stay, files may have changed. Raises ConfigError."""
    from clinic_service.server.parts import ServiceParts

    assert isinstance(parts, ServiceParts)
    return parts.renewed(Config.load(**flags))


def _run(
    parts: Parts, listener: socket.socket, started: Callable[[], None], renew: Callable[[Parts], Parts] | None
) -> None:
    if parts.config.workers == 1:
        from clinic_service.server.process import run_process

        run_process(parts, listener, started=started, renew=renew)
    else:
        from clinic_service.server.supervisor import run_processes

        run_processes(parts, listener, started=started, renew=renew)
