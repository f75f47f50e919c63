"""`python -m tests.benchmarks`: measures, prints the tables, and ends with status 1 when a target is missed."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import click

from tests.benchmarks import report
from tests.benchmarks.alone import alone
from tests.benchmarks.audit import audit
from tests.benchmarks.latency import latency
from tests.benchmarks.measure import measure
from tests.benchmarks.merges import merges
from tests.benchmarks.operations import operations, require_alike
from tests.benchmarks.patients.command import patients
from tests.benchmarks.processes import OURS, SERVERS, all_running
from tests.benchmarks.seed import fill
from tests.benchmarks.startup import start_up

_LAST_ROUND_SECONDS = 150


@click.group(invoke_without_command=True)
@click.option("--seconds", default=1.0, show_default=True, help="How long one window is.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of two windows for each server and operation.")
@click.option("--starts", default=5, show_default=True, help="How often the start-up is timed.")
@click.option("--postgresql", is_flag=True, help="On a PostgreSQL server that is started for it.")
@click.option("--database-url", help="On a new database of this PostgreSQL server; it is dropped afterwards.")
@click.pass_context
def main(
    context: click.Context, seconds: float, rounds: int, starts: int, postgresql: bool, database_url: str | None
) -> None:
    """What a request costs clinic-service and three other servers that do the same."""
    if context.invoked_subcommand:
        return
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(_database(folder, postgresql=postgresql, server_url=database_url))
        scene = fill(url)
        wanted = operations(scene)
        start_ups = [start_up(url, folder, next(wanted[0].requests)) for _ in range(starts)]
        servers = stack.enter_context(all_running({name: (name, {}) for name in SERVERS}, url, folder))
        require_alike({name: server.port for name, server in servers.items()}, scene)
        measured = measure(
            servers, wanted, database_url=url, rounds=rounds, seconds=seconds, most_seconds=_LAST_ROUND_SECONDS
        )
        findings = report.Findings(measured, start_ups, servers[OURS].resident_bytes())
    click.echo("\n".join(report.lines(findings)))
    sys.exit(0 if report.is_met(findings) else 1)


@contextmanager
def _database(folder: Path, *, postgresql: bool, server_url: str | None) -> Iterator[str]:
    """The URL of an empty database: a file in `folder`, or a new one on a server."""
    if not postgresql and server_url is None:
        yield f"sqlite:///{folder / 'benchmark.db'}"
        return
    # Imported here, because most runs need no server and should not warn about what one lacks.
    from tests.support.databases import create_database, postgresql_server

    with ExitStack() as stack:
        server = server_url or stack.enter_context(postgresql_server())
        yield stack.enter_context(create_database(server))


main.add_command(patients)
main.add_command(merges)
main.add_command(audit)
main.add_command(alone)
main.add_command(latency)
main()
