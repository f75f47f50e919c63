"""Metrics that are read when somebody asks for them: the build, the processes of the server, and the outbox."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from multiprocessing import parent_process
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from clinic_service import __version__, clock
from clinic_service.config import Config
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.outbox.backlog import MAX_COUNTED, Backlog, BacklogOfKind
from clinic_service.outbox.deliveries import MAILS
from clinic_service.unit_of_work import run

# The minimum time between two queries of the database, and the maximum time to wait for the answer.
_FRESH_SECONDS = 5.0
_WAIT_SECONDS = 1.0


def create_collectors(config: Config, database: Database) -> list[Collector]:
    """The collectors of a server on `database`."""
    unroutable = frozenset[str]() if config.smtp_url else MAILS
    return [BuildInfo(database), ServerProcesses(), OutboxBacklog(database, unroutable)]


class BuildInfo(Collector):
    """What is running: always 1, with versions as labels."""

    def __init__(self, database: Database) -> None:
        self._engine = database.url.get_backend_name()

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "clinic_build_info",
            "Always 1. Version of the server, revision of the schema that it needs, version of Python, database engine.",
            labels=("version", "revision", "python", "engine"),
        )
        family.add_metric((__version__, schema.head(), platform.python_version(), self._engine), 1)
        yield family


class ServerProcesses(Collector):
    """CPU time, memory, open files and start time of each process of this server, read from /proc (Linux only)."""

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for pid in _server_processes():
            for family in _figures_of(pid):
                for sample in family.samples:
                    merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                    merged.add_sample(sample.name, {"pid": str(pid)}, sample.value)
        return families.values()


def _figures_of(pid: int) -> Iterable[Metric]:
    return ProcessCollector(pid=lambda: pid, registry=None).collect()


def _server_processes() -> list[int]:
    """The ids of the supervisor and its processes, or of the only process."""
    supervisor = parent_process()
    if supervisor is None or supervisor.pid is None:
        return [os.getpid()]
    children: list[str] = []
    with suppress(OSError):
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text(encoding="ascii").split()
    return [supervisor.pid, *sorted({os.getpid(), *map(int, children)})]


class OutboxBacklog(Collector):
    """The events that are due for delivery, by kind. Nothing is shown while the database does not answer."""

    def __init__(self, database: Database, unroutable: Collection[str]) -> None:
        """`unroutable`: the kinds of events that no relay delivers, which wait without anything being wrong."""
        self._database = database
        self._unroutable = unroutable
        self._lock = threading.Lock()
        self._query: _BacklogQuery | None = None

    def collect(self) -> Iterable[Metric]:
        rows = self._rows()
        if rows is not None:
            yield from _backlog_families(row for row in rows if row.kind not in self._unroutable)

    def _rows(self) -> list[BacklogOfKind] | None:
        with self._lock:
            if self._query is None or self._query.is_over():
                self._query = _BacklogQuery(self._database)
            query = self._query
        return query.answer()


class _BacklogQuery:
    """One query of the database, in a thread of its own, because it may take longer than the caller waits."""

    def __init__(self, database: Database) -> None:
        self._started = time.monotonic()
        self._done = threading.Event()
        self._rows: list[BacklogOfKind] | None = None
        threading.Thread(target=self._ask, args=(database,), name="outbox-backlog", daemon=True).start()

    def is_over(self) -> bool:
        """Whether there is an answer, or a failure, that is too old to be used again."""
        return self._done.is_set() and time.monotonic() - self._started > _FRESH_SECONDS

    def answer(self) -> list[BacklogOfKind] | None:
        self._done.wait(max(0.0, self._started + _WAIT_SECONDS - time.monotonic()))
        return self._rows

    def _ask(self, database: Database) -> None:
        # Failures of the database are reported elsewhere.
        with suppress(Exception):
            self._rows = run(database, lambda unit: Backlog(unit).of_kinds(), writes=False)
        self._done.set()


def _backlog_families(rows: Iterable[BacklogOfKind]) -> Iterator[Metric]:
    number = GaugeMetricFamily(
        "clinic_outbox_due_events",
        f"Events of the outbox that are due and not delivered, by kind; {MAX_COUNTED} also stands for more. "
        "Mails are left out while no mail server is configured.",
        labels=("kind",),
    )
    age = GaugeMetricFamily(
        "clinic_outbox_oldest_due_seconds",
        "Seconds since the oldest of these events became due; 0 when there is none.",
        labels=("kind",),
    )
    now = clock.now()
    for row in rows:
        number.add_metric((row.kind,), row.number)
        age.add_metric((row.kind,), max(0.0, (now - row.due_since).total_seconds()) if row.due_since else 0)
    return iter((number, age))
