"""`python -m tests.benchmarks patients`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tests.benchmarks.patients import rounds
from tests.benchmarks.patients.clinics import POSTGRESQL, SQLITE, Clinic, Sizes, opened
from tests.benchmarks.patients.measurements import Measurement, heading
from tests.benchmarks.processes import OURS, Server, running, wait_until_listening

_SIZES = (500, 10_000, 50_000)


@click.command()
@click.option("--engine", "engines", multiple=True, type=click.Choice((SQLITE, POSTGRESQL)), help="Only on this one.")
@click.option("--size", "sizes", multiple=True, type=click.IntRange(100), default=_SIZES, show_default=True)
@click.option("--others", default=20, show_default=True, help="How many clinics stand around them.")
@click.option("--other-size", default=500, show_default=True, help="How many patients each of those has.")
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the databases; kept, and taken up again.")
@click.option("--rounds", "times", default=20, show_default=True, help="How often each figure is taken.")
def patients(
    engines: tuple[str, ...], sizes: tuple[int, ...], others: int, other_size: int, keep: Path | None, times: int
) -> None:
    """What the patient list costs in small and large clinics, and whether it grows with them."""
    wanted = Sizes(tuple(sorted(sizes)), others, other_size)
    is_met = True
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name:
        Path(name).chmod(0o755)
        for engine in engines or (SQLITE, POSTGRESQL):
            with opened(engine, keep or Path(name), wanted) as (url, clinics):
                click.echo("\n".join(heading(engine)))
                for finding in _measurements(url, clinics, Path(name), times):
                    click.echo(finding.line())
                    is_met = is_met and finding.is_met
            click.echo()
    sys.exit(0 if is_met else 1)


def _measurements(url: str, clinics: list[Clinic], folder: Path, times: int) -> Iterator[Measurement]:
    yield from rounds.pages_with_one_filter(url, clinics, times)
    yield from rounds.program(url, clinics, times)
    with _server(url, folder) as server:
        yield from rounds.memory(server, clinics)
        yield from rounds.pages_by_size(server, clinics, times)
    # A report that takes too long would go on while the next figures are taken.
    with _server(url, folder) as server:
        yield from rounds.report(server, clinics, times)
    # Last, because they change what the others measure.
    with _server(url, folder) as server:
        yield from rounds.updates(url, server, clinics, times)
        yield from rounds.creations(server, clinics, times)


@contextmanager
def _server(url: str, folder: Path) -> Iterator[Server]:
    with running(OURS, url, folder) as server:
        wait_until_listening(server)
        yield server
