"""How long answers take when the server has more than half of the work that it can do, on PostgreSQL."""

from __future__ import annotations

import gc
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import quantiles

import click

from tests.benchmarks.load import Crowd
from tests.benchmarks.operations import operations
from tests.benchmarks.processes import OURS, running, wait_until_listening
from tests.benchmarks.seed import fill

_PROCESSES = (2, 4)
_LOAD = 0.6


@click.command()
@click.option("--seconds", default=5.0, show_default=True, help="How long each operation is asked for.")
def latency(seconds: float) -> None:
    """How long answers take at 60 % of the requests per second that the server can answer."""
    # Imported here, because it warns about what a PostgreSQL server lacks.
    from tests.support.databases import create_database, postgresql_server

    click.echo(f"| processes | operation | most per second | at {_LOAD * 100:.0f} %: p50, ms | p99, ms |")
    click.echo("| ---: | --- | ---: | ---: | ---: |")
    gc.disable()
    with postgresql_server() as database_server:
        for processes in _PROCESSES:
            with tempfile.TemporaryDirectory() as folder, create_database(database_server) as url:
                _measure(processes, url, Path(folder), seconds)


def _measure(processes: int, url: str, folder: Path, seconds: float) -> None:
    scene = fill(url)
    with running(OURS, url, folder, settings={"CLINIC_WORKERS": str(processes)}) as server:
        wait_until_listening(server)
        for operation in operations(scene):
            with ExitStack() as stack:
                crowd = Crowd(server.port, operation.requests, stack)
                crowd.ask_for(seconds / 2)
                most = crowd.ask_for(seconds) / seconds
                took = quantiles(crowd.ask_at(_LOAD * most, seconds), n=100)
            p50, p99 = (took[percent - 1] * 1000 for percent in (50, 99))
            click.echo(f"| {processes} | {operation.name} | {most:.0f} | {p50:.1f} | {p99:.1f} |")
