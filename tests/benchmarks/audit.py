"""What the audit trail costs: the same server with it on the disk, with it in memory, and without it."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import click

from tests.benchmarks.load import CONNECTIONS, Crowd
from tests.benchmarks.measure import measure, median_cost, median_ratio
from tests.benchmarks.operations import Operation, operations
from tests.benchmarks.processes import OURS, Server, all_running
from tests.benchmarks.seed import fill

_OFF, _DISK, _MEMORY = "without", "on the disk", "in memory"
_READ = "one patient by id"
_TARGET = 1.10
_LAST_ROUND_SECONDS = 240


@click.command()
@click.option("--seconds", default=1.0, show_default=True, help="How long one window is.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of two windows for each server and operation.")
def audit(seconds: float, rounds: int) -> None:
    """What a request costs with and without the audit trail."""
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        memory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/dev/shm")))
        url = f"sqlite:///{folder / 'benchmark.db'}"
        scene = fill(url)
        variants = {
            _OFF: (OURS, {"CLINIC_AUDIT": "off"}),
            _DISK: (OURS, {"CLINIC_AUDIT_FOLDER": str(folder / "audit")}),
            _MEMORY: (OURS, {"CLINIC_AUDIT_FOLDER": str(memory / "audit")}),
        }
        servers = stack.enter_context(all_running(variants, url, folder))
        wanted = [operation for operation in operations(scene) if operation.name != "page of 50"]
        measured = measure(
            servers, wanted, database_url=url, rounds=rounds, seconds=seconds, most_seconds=_LAST_ROUND_SECONDS
        )
        speeds = {way: _speed(server, wanted[0], seconds) for way, server in servers.items()}
    click.echo("| CPU per request, µs | " + " | ".join(servers) + " | disk : without |")
    click.echo("| --- |" + " ---: |" * (len(servers) + 1))
    for operation, costs in measured.items():
        figures = " | ".join(f"{median_cost(costs, way) * 1e6:.0f}" for way in servers)
        click.echo(f"| {operation} | {figures} | {median_ratio(costs, _DISK, _OFF):.2f} |")
    rates = " | ".join(f"{speed:.0f}" for speed in speeds.values())
    click.echo(f"| {_READ}, answers per second to {CONNECTIONS} clients | {rates} | |")
    sys.exit(0 if median_ratio(measured[_READ], _DISK, _OFF) <= _TARGET else 1)


def _speed(server: Server, operation: Operation, seconds: float) -> float:
    with ExitStack() as stack:
        return Crowd(server.port, operation.requests, stack).ask_for(3 * seconds) / (3 * seconds)
