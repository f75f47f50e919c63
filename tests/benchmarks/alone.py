"""What a request costs this server: with its database, and with the mock instead of handlers and a database."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from tests.benchmarks.load import exchange
from tests.benchmarks.measure import measure, median_cost
from tests.benchmarks.operations import compressed_pages, operations
from tests.benchmarks.processes import MOCK, OURS, all_running
from tests.benchmarks.seed import fill

_LAST_ROUND_SECONDS = 120


@click.command()
@click.option("--seconds", default=1.0, show_default=True, help="How long one window is.")
@click.option("--rounds", default=5, show_default=True, help="Rounds of two windows for each server and operation.")
def alone(seconds: float, rounds: int) -> None:
    """What a request costs with compression, and without a database."""
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name, ExitStack() as stack:
        folder = Path(name)
        url = f"sqlite:///{folder / 'benchmark.db'}"
        scene = fill(url)
        variants = {OURS: (OURS, {}), MOCK: (MOCK, {"CLINIC_THREADS": "1"})}
        servers = stack.enter_context(all_running(variants, url, folder))
        both, compressed = operations(scene), compressed_pages(scene)
        cost = partial(measure, database_url=url, rounds=rounds, seconds=seconds, most_seconds=_LAST_ROUND_SECONDS)
        costs = cost(servers, operations=both) | cost({OURS: servers[OURS]}, operations=compressed)
        sizes = {one.name: len(exchange(servers[OURS].port, next(one.requests))[1]) for one in [*both, *compressed]}
    click.echo("| CPU per request, µs | clinic-service | without handlers and database | bytes of the answer |")
    click.echo("| --- | ---: | ---: | ---: |")
    for operation, found in costs.items():
        mocked = f"{median_cost(found, MOCK) * 1e6:.0f}" if MOCK in found[0] else ""
        click.echo(f"| {operation} | {median_cost(found, OURS) * 1e6:.0f} | {mocked} | {sizes[operation]} |")
