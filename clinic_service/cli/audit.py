"""`clinic-service audit`: lists, verifies and exports the audit trail, and removes old records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import orjson

from clinic_service import clock
from clinic_service.audit.choice import audit_folder, require_writable
from clinic_service.audit.log import AuditLog
from clinic_service.audit.record import AuditRecord
from clinic_service.audit.repository import Choice
from clinic_service.audit.sealing import Sealer
from clinic_service.audit.trail import records, verify
from clinic_service.cli.common import counted, load_config
from clinic_service.cli.opening import opened_database
from clinic_service.cli.tables import table
from clinic_service.unit_of_work import UnitOfWork, reading

HEADINGS = ("TIME", "OPERATION", "CALLER", "KIND", "ROLE", "CLINIC", "SUBJECT", "OUTCOME", "STATUS", "CHANGED")


@click.group
def audit() -> None:
    """List, verify and export the audit trail.

    It has a record of each write, each read of personal data, each refusal and each failure.
    """


def _time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return clock.from_wire(f"{value}T00:00:00Z" if clock.is_date(value) else value)
    except ValueError:
        raise click.BadParameter("write a day as 2026-03-02, or a time as 2026-03-02T09:30:00Z.") from None


since_and_until = (
    click.option("--since", callback=_time, help="Only records of this day or time (UTC), or later."),
    click.option("--until", callback=_time, help="Only records before this day or time (UTC)."),
)
_OPTIONS = (
    click.option("--clinic", help="Only records about this clinic."),
    click.option("--patient", help="Only records about the person with this user id."),
    click.option("--person", help="Only records of requests by this person (a user id) or service."),
    *since_and_until,
)


def _choosing(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextmanager
def opened_trail() -> Iterator[tuple[UnitOfWork, Path]]:
    """A unit that reads the rows, and the folder of the files."""
    config = load_config()
    with opened_database(config) as database, reading(database) as uow:
        yield uow, audit_folder(config, config.database_url)


@audit.command(name="list")
@_choosing
def list_records(clinic: str | None, patient: str | None, person: str | None, **times: Any) -> None:
    """List the records in the order of their times."""
    choice = Choice(clinic, patient, person, **times)
    with opened_trail() as (uow, folder):
        click.echo(table(HEADINGS, map(cells, records(uow, folder, choice))))


def cells(record: AuditRecord) -> tuple[str, ...]:
    """The cells of a record in a table with `HEADINGS`."""
    return (
        clock.to_wire(record.time),
        record.operation,
        record.caller or "",
        record.kind or "",
        record.role or "",
        record.clinic or "",
        record.subject or ("" if record.patients is None else counted(record.patients, "patient")),
        record.outcome,
        str(record.status),
        ",".join(record.changed or ()),
    )


@audit.command
@_choosing
def export(clinic: str | None, patient: str | None, person: str | None, **times: Any) -> None:
    """Print the records in the order of their times, each as a line of JSON."""
    choice = Choice(clinic, patient, person, **times)
    with opened_trail() as (uow, folder):
        for record in records(uow, folder, choice):
            click.echo(orjson.dumps(record.document()))


@audit.command(name="verify")
def verify_trail() -> None:
    """Look for records that were removed, changed or put in another order.

    Prints the place of each. The exit status is 1 if there are any. Keep a copy of the last printed line in another
    place: with it, you can check later whether the end of the trail was rewritten.
    """
    with opened_trail() as (uow, folder):
        flaws = list(verify(uow, folder))
        for flaw in flaws:
            click.echo(f"{flaw.place}: {flaw.message}")
        chain, unsealed = uow.audit.chain(), uow.audit.count_unsealed()
    if flaws:
        raise click.ClickException("The audit trail was changed after it was written, at the places above.")
    if unsealed:
        click.echo(f"Not checked: {counted(unsealed, 'row')}, because no server has sealed them yet.")
    click.echo(f"The audit trail is intact. Row {chain.sequence} has the hash {chain.hash}.")


@audit.command
def purge() -> None:
    """Remove the records that are older than CLINIC_AUDIT_DAYS.

    The server does the same once an hour.
    """
    config = load_config()
    log = AuditLog(audit_folder(config, config.database_url))
    require_writable(log)
    with opened_database(config) as database, closing(log):
        rows, files = Sealer(database, log, keep_days=config.audit_days).purge()
    click.echo(f"{counted(rows, 'row')} and {counted(files, 'file')} removed")
