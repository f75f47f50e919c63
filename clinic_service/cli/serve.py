"""`clinic-service serve`: the server, from the first start on a laptop to several processes on PostgreSQL."""

from __future__ import annotations

import gc
import os
import socket
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import fields
from datetime import timedelta
from typing import Any

import click

from clinic_service.cli.common import load_config
from clinic_service.config import RELOAD_VARIABLE, Config, flag, is_number, variable
from clinic_service.specification.apis import Api, load_apis
from clinic_service.specification.source import SpecError

_DEMO_DATABASE = "sqlite:///clinic-service-demo.db"


def _setting_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` a flag for every setting."""
    for setting in reversed(fields(Config)):
        kind = int if is_number(setting) else str
        words = f"{setting.metadata['why']}  [{variable(setting.name)}]"
        command = click.option(flag(setting.name), setting.name, type=kind, help=words)(command)
    return command


@click.command()
@click.option("--demo", is_flag=True, help="Serve a believable clinic, from a database of its own.")
@click.option("--reload", is_flag=True, help="Take edits of the spec's YAML on save.")
@_setting_flags
def serve(demo: bool, reload: bool, **flags: Any) -> None:
    """Serve the two APIs until SIGTERM or Ctrl-C; running requests are finished first."""
    # What is made from here to the fork stays for good: looking for garbage in it would cost a tenth of the start.
    gc.disable()
    config = load_config(**flags)
    if demo and flags["database_url"] is None and variable("database_url") not in os.environ:
        config = load_config(**{**flags, "database_url": _DEMO_DATABASE})
    _require_free(config.host, config.port)
    # Reading the YAML and importing the rest take about the same time, and there is more than one core.
    with ProcessPoolExecutor(max_workers=1) as reader:
        apis = reader.submit(load_apis)
        _require_schema(config)
        _introduce(config, demo=demo)
        _hand_over(config, reload=reload)
        _build(apis)
    # The server processes share it as long as nobody writes to it, and the collector would.
    gc.collect()
    gc.freeze()
    gc.enable()
    _run(config)


def _require_free(host: str, port: int) -> None:
    """The server's own processes share the port, so another server on it would go unnoticed and take half the requests."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        raise click.ClickException(f"Cannot listen on {host}:{port}: {error.strerror or error}") from None


def _require_schema(config: Config) -> None:
    """SQLite is brought up by itself. On PostgreSQL somebody decides when, since other processes may be running."""
    from clinic_service.db import schema

    if schema.suffices(schema.current(config.database_url)):
        return
    if config.database_url.startswith("sqlite"):
        schema.upgrade(config.database_url)
    else:
        raise click.ClickException(
            "The schema of the database is not at the newest revision. Bring it up first: clinic-service db upgrade"
        )


def _introduce(config: Config, *, demo: bool) -> None:
    address = f"http://{config.host}:{config.port}"
    click.echo(f"clinic-service on {address}   API reference: {address}/docs")
    if config.session_jwks:
        return
    from clinic_service.gateways.tokens import session_secret

    secret = session_secret(config)
    if demo:
        _introduce_demo(config, secret, address)
    else:
        click.echo(
            "A token of a service:  clinic-service token service NAME\n"
            "An account and a token of a person:  clinic-service users add --name 'Ada Lovelace' --email ada@example.org\n"
            "                                     clinic-service token user ID"
        )


def _introduce_demo(config: Config, secret: str, address: str) -> None:
    from clinic_service.db.engine import open_database
    from clinic_service.demo.clinic import ADMIN, MEMBER, PATIENT, fill
    from clinic_service.gateways.tokens import mint

    database = open_database(config)
    clinic_id = fill(database)
    database.dispose()
    day = timedelta(hours=24)
    tokens = {who.name: mint(secret, who.id, service=False, lifetime=day) for who in (ADMIN, MEMBER, PATIENT)}
    tokens["demo-service"] = mint(secret, "demo-service", service=True, lifetime=day)
    for name, token in tokens.items():
        click.echo(f"\nToken of {name}, good for a day:\n{token}")
    header = f"-H 'X-Tidepool-Session-Token: {tokens[ADMIN.name]}'"
    click.echo(
        f"\nThe demo clinic is {clinic_id}; {ADMIN.name} ({ADMIN.id}) is its admin, {MEMBER.name} ({MEMBER.id}) a member, "
        f"{PATIENT.name} ({PATIENT.id}) a patient.\n"
        f"Try this in another terminal:\n\ncurl -s {header} {address}/v1/clinics/{clinic_id}/patients/{PATIENT.id}\n"
    )


def _hand_over(config: Config, *, reload: bool) -> None:
    """Give the effective settings to the server processes, which read their environment."""
    for setting in fields(config):
        value = getattr(config, setting.name)
        if value is not None:
            os.environ[variable(setting.name)] = str(value)
    if reload:
        os.environ[RELOAD_VARIABLE] = "1"
    if config.workers > 1:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="clinic-service-metrics-")


def _build(apis: Future[list[Api]]) -> None:
    """Build the application here, before the processes that serve it are forked."""
    from clinic_service.api.parameters import PlanError
    from clinic_service.server import build

    try:
        build(apis.result())
    except (SpecError, PlanError) as error:
        raise click.ClickException(f"The spec cannot be served: {error}") from None


def _run(config: Config) -> None:
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    Server(
        "clinic_service.server:load",
        factory=True,
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        workers=config.workers,
        blocking_threads=config.threads,
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        workers_kill_timeout=config.drain_seconds,
    ).serve()
