"""`python -m tests.benchmarks merges`: what it takes to merge clinics, and whether the memory for it grows with them."""

from __future__ import annotations

import http.client
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import orjson
from sqlalchemy import create_engine, make_url, select, text, update

from clinic_service.db.engine import Database, normal_url
from clinic_service.models import Patient
from clinic_service.resources.summaries.reconcile import compare
from clinic_service.unit_of_work import writing
from tests.benchmarks.load import UnexpectedAnswer
from tests.benchmarks.patients.asking import service
from tests.benchmarks.patients.clinics import POSTGRESQL, SQLITE, Clinic, Sizes, opened
from tests.benchmarks.patients.measurements import Measurement, heading
from tests.benchmarks.patients.rounds import private_bytes
from tests.benchmarks.processes import OURS, Server, running, wait_until_listening

_SIZES = (1_000, 10_000)
# So many of the patients are in both clinics.
_SHARED = 0.1
_MEGA = 1024 * 1024
_TARGET_SECONDS = 60
# What a batch takes, beyond what a small merge takes of it: SQLite's cache, records of deletions, Python's reserve.
_TARGET_GROWTH = 32
_JSON, _WORKBOOK = "application/json", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PATIENCE_SECONDS = 600


class _Question(NamedTuple):
    """What is asked of the target, and in which form the answer is wanted."""

    what: str
    address: str
    accept: str


# The merge comes last, because afterwards there is nothing left to ask about.
_QUESTIONS = (
    _Question("workbook", "reports/merge", _WORKBOOK),
    _Question("JSON report", "reports/merge", _JSON),
    _Question("merge", "merge", _JSON),
)


@click.command()
@click.option("--engine", "engines", multiple=True, type=click.Choice((SQLITE, POSTGRESQL)), help="Only on this one.")
@click.option("--size", "sizes", multiple=True, type=click.IntRange(100), default=_SIZES, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder for the databases; kept, and taken up again.")
def merges(engines: tuple[str, ...], sizes: tuple[int, ...], keep: Path | None) -> None:
    """What it takes to merge a clinic into another one of the same size."""
    is_met = True
    with tempfile.TemporaryDirectory(prefix="clinic-service-benchmark-") as name:
        Path(name).chmod(0o755)
        for engine in engines or (SQLITE, POSTGRESQL):
            click.echo("\n".join(heading(engine)))
            for finding in _measurements(engine, sorted(sizes), keep or Path(name), Path(name)):
                click.echo(finding.line())
                is_met = is_met and finding.is_met
            click.echo()
    sys.exit(0 if is_met else 1)


def _measurements(engine: str, sizes: list[int], kept: Path, folder: Path) -> Iterator[Measurement]:
    """For each size and question on a server of its own; the memory for the largest is held against the smallest."""
    peaks: dict[str, list[float]] = {question.what: [] for question in _QUESTIONS}
    for size in sizes:
        with opened(engine, kept, Sizes((size, size), 0, 1)) as (url, clinics), _copied(url, folder) as copy:
            _share(copy, clinics)
            for question in _QUESTIONS:
                # One after the other, so that each finds the memory as it is after the start.
                with running(OURS, copy, folder) as server:
                    wait_until_listening(server)
                    finding, peak = _measured(server, clinics, question)
                peaks[question.what].append(peak)
                yield finding
            _require_sound(copy)
    for what, found in peaks.items():
        remark = f"peaks {found[0]:.0f} and {found[-1]:.0f} MB"
        # The answer itself is in memory, and grows with the clinics.
        target = _TARGET_GROWTH if what == "merge" else None
        yield Measurement(f"{what}: growth of memory", found[-1] - found[0], "MB", target, remark)


def _measured(server: Server, clinics: list[Clinic], question: _Question) -> tuple[Measurement, float]:
    source, target = clinics
    body = orjson.dumps({"sourceId": source.id})
    with _watching(server) as peak:
        begin = time.perf_counter()
        answer = _post(server.port, f"/v1/clinics/{target.id}/{question.address}", body, question.accept)
        seconds = time.perf_counter() - begin
    limit = _TARGET_SECONDS if question.address == "merge" and source.size >= _SIZES[-1] else None
    what = f"{question.what}, {source.size} into {target.size}"
    return Measurement(what, seconds, "s", limit, f"{len(answer) / _MEGA:.1f} MB" if answer else ""), max(peak) / _MEGA


def _post(port: int, path: str, body: bytes, accept: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE_SECONDS)
    headers = {"X-Tidepool-Session-Token": service(), "Content-Type": "application/json", "Accept": accept}
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if answer.status != 200:
        raise UnexpectedAnswer(content[:400].decode("utf-8", "replace"))
    return content


@contextmanager
def _watching(server: Server) -> Iterator[list[int]]:
    """What the server has in memory of its own, looked at while the block runs."""
    seen, stop = [private_bytes(server)], threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            seen.append(private_bytes(server))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def _share(url: str, clinics: list[Clinic]) -> None:
    """Let some patients of the source be patients of the target as well."""
    database = Database(url, sqlite_synchronous="NORMAL")
    with writing(database) as unit:
        ids: list[Any] = [
            unit.execute(
                select(Patient.id, Patient.user_id).where(Patient.clinic_id == clinic.id).order_by(Patient.id)
            ).all()
            for clinic in clinics
        ]
        for (patient_id, _), (_, user_id) in list(zip(*ids, strict=True))[: int(clinics[0].size * _SHARED)]:
            this = (Patient.clinic_id == clinics[0].id, Patient.id == patient_id)
            unit.execute(update(Patient).where(*this).values(user_id=user_id))
    database.dispose()


def _require_sound(url: str) -> None:
    """Whatever was measured counts only if it left nothing that differs from what it is copied from."""
    database = Database(url)
    differences = list(compare(database))
    database.dispose()
    if differences:
        raise UnexpectedAnswer(f"the merge left differences: {differences[:3]}")


@contextmanager
def _copied(url: str, folder: Path) -> Iterator[str]:
    """The URL of a copy of the database, which is removed afterwards."""
    target = normal_url(url)
    if target.get_backend_name() == SQLITE:
        copy = folder / "copy.db"
        shutil.copyfile(str(target.database), copy)
        yield f"sqlite:///{copy}"
        for file in folder.glob("copy.db*"):
            file.unlink()
        return
    name = f"{target.database}_copy"
    engine = create_engine(target.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{target.database}"'))
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()
