"""`clinic-service patients`: what an operator is asked about one patient."""

from __future__ import annotations

from datetime import datetime

import click
import orjson

from clinic_service.audit.disclosures import disclosures
from clinic_service.cli.audit import HEADINGS, cells, opened_trail, since_and_until
from clinic_service.cli.tables import table


@click.group
def patients() -> None:
    """Tell who has seen the data of a patient."""


@patients.command(name="disclosures")
@click.argument("user")
@since_and_until[0]
@since_and_until[1]
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each instead of a table.")
def list_disclosures(user: str, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """List who read or changed the data of USER, a user id, when and by which operation.

    A list of patients is recorded with their number. So each list of a clinic that has a record of USER is listed too,
    from the day of that record on: USER may have been in it. Accesses by USER are left out.
    """
    with opened_trail() as (uow, folder):
        found = disclosures(uow, folder, user, since, until)
        if as_json:
            for record in found:
                click.echo(orjson.dumps(record.document()))
        else:
            click.echo(table(HEADINGS, map(cells, found)))
