"""`clinic-service ehr`: the integration of health record systems, as operators see it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

import click

from clinic_service import clock
from clinic_service.cli.common import counted, limit_option, load_config, offset_option, stop_signal
from clinic_service.cli.ehr_patients import patients
from clinic_service.cli.opening import opened_database
from clinic_service.cli.tables import table
from clinic_service.db.engine import Database
from clinic_service.log_lines import log_as_json
from clinic_service.resources.ehr.overview import EhrOverview, ListedClinic, ListedMessage
from clinic_service.resources.ehr.redox.cadence import Round, run_round
from clinic_service.resources.ehr.retention import purge as purge_old
from clinic_service.unit_of_work import UnitOfWork, run

_SECONDS_BETWEEN_ROUNDS = 60.0
_LEVELS = ("debug", "info", "warning", "error", "critical")


@click.group
@click.option(
    "--log-level",
    "-v",
    type=click.Choice(_LEVELS, case_sensitive=False),
    default="error",
    show_default=True,
    help="Least severe message that is logged.",
)
def ehr(log_level: str) -> None:
    """Look at the integration of health record systems, and work on it."""
    log_as_json(log_level.upper())


ehr.add_command(patients)


@ehr.group
def clinics() -> None:
    """Connected clinics."""


@clinics.command(name="list")
def list_clinics() -> None:
    """List the clinics that are enabled for messages, oldest first, and print their number."""

    def rows(unit: UnitOfWork) -> Sequence[ListedClinic]:
        return EhrOverview(unit).list_clinics()

    with opened_database(load_config()) as database:
        found = run(database, rows, writes=False)
    click.echo(table(("ID", "NAME"), [(row.id, row.name or "") for row in found]))
    click.echo(counted(len(found), "clinic"))


@ehr.group
def messages() -> None:
    """Messages received from Redox."""


@messages.command(name="list")
@limit_option
@offset_option
def list_messages(limit: int, offset: int) -> None:
    """List the stored messages, latest first, without their content."""

    def rows(unit: UnitOfWork) -> Sequence[ListedMessage]:
        return EhrOverview(unit).list_messages(limit=limit, offset=offset)

    with opened_database(load_config()) as database:
        found = run(database, rows, writes=False)
    headings = ("ID", "RECEIVED", "KIND", "SOURCE", "LOG", "REPEATS", "STATE", "REASON")
    click.echo(table(headings, map(_message, found)))


def _message(row: ListedMessage) -> tuple[str, ...]:
    received, kind = clock.to_wire(clock.truncate(row.received_time)), f"{row.data_model}/{row.event_type}"
    others = (row.source_id, row.log_id, row.duplicate_of, row.state, row.failure)
    return (row.id, received, kind, *(str(other or "") for other in others))


@ehr.group
def schedule() -> None:
    """Reports that are scheduled at regular intervals."""


@schedule.command(name="run")
@click.option("--once", is_flag=True, help="Schedule the reports that are due now, then exit.")
def run_schedule(once: bool) -> None:
    """Schedule the reports of clinics that are connected through Redox, each at its cadence, until stopped.

    Only this command schedules these reports. Several instances of it can run at the same time.
    """
    with opened_database(load_config()) as database:
        if once:
            _tell(run_round(database))
            return
        stop = stop_signal()
        while not stop.is_set():
            _run_round(database)
            stop.wait(_SECONDS_BETWEEN_ROUNDS)


def _run_round(database: Database) -> None:
    try:
        run_round(database)
    except Exception as error:
        # The database will be reachable again; the next round tries again.
        logging.getLogger(__name__).error("round_failed", extra={"failure": type(error).__name__})


def _tell(done: Round) -> None:
    click.echo(f"{counted(len(done.scheduled), 'clinic')} scheduled, {len(done.failed)} failed")
    if done.failed:
        raise click.ClickException(f"The reports could not be scheduled of: {', '.join(done.failed)}")


@ehr.command
def purge() -> None:
    """Delete messages, orders and scheduled reports that are too old and not needed any more.

    CLINIC_KEEP_PARTNER_MESSAGES_DAYS tells how long they are kept. Relays do the same from time to time.
    """
    config = load_config()
    with opened_database(config) as database:
        removed = purge_old(database, timedelta(days=config.keep_partner_messages_days))
    click.echo(
        f"Removed: {counted(removed.messages, 'message')} of Redox, {counted(removed.orders, 'scheduled report')}, "
        f"{counted(removed.xealth_orders, 'order')} of Xealth, {counted(removed.preorders, 'form')} of Xealth."
    )
