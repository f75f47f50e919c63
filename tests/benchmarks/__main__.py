"""`python -m tests.benchmarks`: measures, prints the tables, and ends with status 1 when a target is missed."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import click

from clinic_service.db.engine import Database
from tests.benchmarks import report
from tests.benchmarks.alone import alone
from tests.benchmarks.audit import audit
from tests.benchmarks.deliveries import wait_for_deliveries
from tests.benchmarks.latency import latency
from tests.benchmarks.measure import measure_rounds, warm_up
from tests.benchmarks.merges import merges
from tests.benchmarks.operations import operations, require_alike
from tests.benchmarks.patients.command import patients
from tests.benchmarks.processes import OURS, SERVERS, Server, running, wait_until_listening
from tests.benchmarks.seed import Scene, fill
from tests.benchmarks.startup import start_up

# No round begins later than this after the start.
_LAST_ROUND_SECONDS = 180


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
    until = time.monotonic() + _LAST_ROUND_SECONDS
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(_database(folder, postgresql=postgresql, server_url=database_url))
        scene = fill(url)
        wanted = operations(scene)
        start_ups = [start_up(url, folder, next(wanted[0].requests)) for _ in range(starts)]
        servers = _start(url, folder, scene, stack)
        gc.disable()
        warm_up(servers, wanted)
        wait_until_idle = partial(wait_for_deliveries, Database(url))
        measured = measure_rounds(servers, wanted, wait_until_idle, rounds=rounds, seconds=seconds, until=until)
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


def _start(url: str, folder: Path, scene: Scene, stack: ExitStack) -> dict[str, Server]:
    servers = {name: stack.enter_context(running(name, url, folder)) for name in SERVERS}
    for server in servers.values():
        wait_until_listening(server)
    require_alike({name: server.port for name, server in servers.items()}, scene)
    return servers


main.add_command(patients)
main.add_command(merges)
main.add_command(audit)
main.add_command(alone)
main.add_command(latency)
main()
