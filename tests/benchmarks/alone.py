"""What a request costs this server: with its database, and with the mock instead of handlers and a database."""

from __future__ import annotations

import gc
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from clinic_service.db.engine import Database
from tests.benchmarks.deliveries import wait_for_deliveries
from tests.benchmarks.load import exchange
from tests.benchmarks.measure import measure_rounds, median_cost, warm_up
from tests.benchmarks.operations import compressed_pages, operations
from tests.benchmarks.processes import MOCK, OURS, running, wait_until_listening
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
        settings = {OURS: {}, MOCK: {"CLINIC_THREADS": "1"}}
        servers = {
            way: stack.enter_context(running(way, url, folder, settings=chosen)) for way, chosen in settings.items()
        }
        for server in servers.values():
            wait_until_listening(server)
        both, compressed = operations(scene), compressed_pages(scene)
        gc.disable()
        warm_up(servers, [*both, *compressed])
        measure = partial(measure_rounds, wait_until_idle=partial(wait_for_deliveries, Database(url)), rounds=rounds)
        until = time.monotonic() + _LAST_ROUND_SECONDS
        costs = measure(servers, both, seconds=seconds, until=until)
        costs |= measure({OURS: servers[OURS]}, compressed, seconds=seconds, until=until)
        sizes = {one.name: len(exchange(servers[OURS].port, next(one.requests))[1]) for one in [*both, *compressed]}
    click.echo("| CPU per request, µs | clinic-service | without handlers and database | bytes of the answer |")
    click.echo("| --- | ---: | ---: | ---: |")
    for operation, found in costs.items():
        mocked = f"{median_cost(found, MOCK) * 1e6:.0f}" if MOCK in found[0] else ""
        click.echo(f"| {operation} | {median_cost(found, OURS) * 1e6:.0f} | {mocked} | {sizes[operation]} |")
