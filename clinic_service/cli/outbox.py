"""`clinic-service outbox`: delivers, lists and removes the events for other systems and people."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from typing import Any

import click

from clinic_service import clock
from clinic_service.audit.choice import chosen_log
from clinic_service.cli.common import load_config, stop_signal
from clinic_service.cli.listening import metrics_socket
from clinic_service.cli.opening import opened_database
from clinic_service.cli.tables import table
from clinic_service.config import Config
from clinic_service.db.engine import Database
from clinic_service.log_lines import log_as_json
from clinic_service.outbox.deliveries import is_mail
from clinic_service.outbox.queue import ListedEntry, Queue
from clinic_service.outbox.relay import RelayLoop
from clinic_service.relays import Background, create_relays, create_sealers, start_relays
from clinic_service.retention import Retention, purge_outbox
from clinic_service.unit_of_work import UnitOfWork, run


@click.group
def outbox() -> None:
    """Deliver, list or remove the events of the outbox, such as mails."""


@outbox.command
@click.option("--once", is_flag=True, help="Deliver the events that are due now, then stop.")
@click.option("--metrics-port", type=int, help="Port for /metrics. Default: CLINIC_METRICS_PORT.")
def relay(once: bool, metrics_port: int | None) -> None:
    """Deliver events until stopped, and remove data that is older than the settings CLINIC_KEEP_…_DAYS allow.

    `clinic-service serve` does the same. Several relays can run at the same time. Beside a server on the same machine, a
    relay needs another port for its metrics.
    """
    config = load_config(metrics_port=metrics_port)
    log_as_json(config.log_level)
    with opened_database(config) as database:
        relays = create_relays(config, database)
        audit_log = chosen_log(config, config.database_url)
        if once:
            click.echo(f"{sum(map(_deliver_all, relays))} delivered")
            return
        with metrics_socket(config) as listener:
            stop = stop_signal()
            if listener is not None:
                _show_metrics(config, database, listener)
            background: list[Background] = [
                *relays,
                *create_sealers(config, database, audit_log),
                Retention(database, config),
            ]
            threads = start_relays(background, stop)
            stop.wait()
            for thread in threads:
                # A delivery that takes longer is repeated by the next relay.
                thread.join(config.drain_seconds)


def _show_metrics(config: Config, database: Database, listener: socket.socket) -> None:
    # Imported here, because the other commands need no server.
    from clinic_service.api.log import RequestLog
    from clinic_service.server.metrics_port import answer_metrics_in_thread, create_metrics_port

    answer_metrics_in_thread(create_metrics_port(config, database, listener, RequestLog()))


def _deliver_all(worker: RelayLoop) -> int:
    total = 0
    while delivered := worker.deliver_due():
        total += delivered
    return total


@outbox.command(name="list")
@click.option("--all", "delivered_too", is_flag=True, help="List delivered events too.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, payloads included, instead of a table.")
def list_outbox(delivered_too: bool, as_json: bool) -> None:
    """List the events that wait for delivery, in order of delivery.

    The table leaves out the payloads, because payloads contain names of people.
    """
    config = load_config()

    def rows(unit: UnitOfWork) -> list[ListedEntry]:
        return list(Queue(unit).list_rows(delivered_too=delivered_too))

    with opened_database(config) as database:
        found = run(database, rows, writes=False)
    if as_json:
        click.echo(json.dumps([_document(row, config) for row in found], indent=2))
    else:
        headings = ("ID", "CREATED", "KIND", "CLINIC", "STATE", "ATTEMPTS", "LAST FAILURE")
        click.echo(table(headings, [_cells(row, config) for row in found]))


@outbox.command
@click.option(
    "--older-than",
    type=click.IntRange(0, 36_600),
    metavar="DAYS",
    help="Remove events that were delivered more than DAYS days ago. Default: CLINIC_KEEP_DELIVERED_EVENTS_DAYS.",
)
def purge(older_than: int | None) -> None:
    """Remove old delivered events, and old unsent mail.

    CLINIC_KEEP_UNSENT_MAIL_DAYS tells how long mail waits for a mail server. Relays do the same from time to time.
    """
    config = load_config()
    if older_than is not None:
        config = replace(config, keep_delivered_events_days=older_than)
    with opened_database(config) as database:
        removed = purge_outbox(database, config)
    click.echo("Removed: " + ", ".join(f"{number} {name}" for name, number in removed) + ".")


def _state(row: ListedEntry, config: Config) -> str:
    if row.delivered_time is not None:
        return "delivered"
    if is_mail(row.kind) and not config.smtp_url:
        return "no mail server"
    return "failed, to be tried again" if row.attempts else "waiting"


def _cells(row: ListedEntry, config: Config) -> tuple[str, ...]:
    created, clinic = clock.to_wire(row.created_time), row.clinic_id
    return row.id, created, row.kind, clinic, _state(row, config), str(row.attempts), row.last_error or ""


def _document(row: ListedEntry, config: Config) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.kind,
        "clinicId": row.clinic_id or None,
        "payload": row.payload,
        "state": _state(row, config),
        "createdTime": clock.to_wire(row.created_time),
        "deliveredTime": clock.to_wire(row.delivered_time) if row.delivered_time else None,
        "nextAttemptTime": clock.to_wire(row.next_attempt_time),
        "attempts": row.attempts,
        "lastError": row.last_error,
    }
