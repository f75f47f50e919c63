"""What is read when somebody asks for the metrics: the build, the processes, the outbox."""

from __future__ import annotations

import platform
import threading
from datetime import timedelta

import pytest
from prometheus_client.registry import Collector
from sqlalchemy import Connection, event, update

from clinic_service import __version__, clock
from clinic_service.db import schema
from clinic_service.db.engine import Database
from clinic_service.metrics.collectors import BuildInfo, OutboxBacklog, ServerProcesses
from clinic_service.models import OutboxEntry
from clinic_service.outbox.backlog import MAX_COUNTED, Backlog
from clinic_service.outbox.deliveries import MAILS
from clinic_service.outbox.events import AccountOrphaned, ClinicDeleted
from clinic_service.outbox.outbox import Event
from clinic_service.unit_of_work import run, writing
from tests.outbox.relaying import HARBOUR, NOW, add_events, clinic_created, mail_to_nobody
from tests.support.metrics import samples
from tests.support.plans import analyze, plans, rows_read


def value(collector: Collector, name: str, **labels: str) -> float | None:
    return samples([collector]).get((name, frozenset(labels.items())))


def test_the_build_is_described(database: Database) -> None:
    labels = {
        "version": __version__,
        "revision": schema.head(),
        "python": platform.python_version(),
        "engine": database.url.get_backend_name(),
    }
    assert value(BuildInfo(database), "clinic_build_info", **labels) == 1


@pytest.mark.parametrize(
    "name",
    ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"],
)
def test_each_process_is_measured(name: str) -> None:
    found = [number for (sample, _), number in samples([ServerProcesses()]).items() if sample == name]
    assert len(found) == 1
    assert found[0] > 0


_KIND = mail_to_nobody(HARBOUR).kind


class TestOutbox:
    def test_shows_how_many_events_are_due_and_since_when(self, database: Database) -> None:
        with clock.frozen(NOW):
            add_events(database, mail_to_nobody(HARBOUR), AccountOrphaned("a", "b"))
        with clock.frozen(NOW + timedelta(seconds=5)):
            add_events(database, mail_to_nobody(HARBOUR))
        with clock.frozen(NOW + timedelta(seconds=90)):
            collector = OutboxBacklog(database, unroutable=())
            assert value(collector, "clinic_outbox_due_events", kind=_KIND) == 2
            assert value(collector, "clinic_outbox_oldest_due_seconds", kind=_KIND) == 90
            assert value(collector, "clinic_outbox_due_events", kind="account_orphaned") == 1
            assert value(collector, "clinic_outbox_due_events", kind="patient_upload_reminder") == 0
            assert value(collector, "clinic_outbox_oldest_due_seconds", kind="patient_upload_reminder") == 0

    def test_leaves_out_what_is_delivered_or_due_later(self, database: Database) -> None:
        with clock.frozen(NOW):
            add_events(database, mail_to_nobody(HARBOUR), AccountOrphaned("a", "b"))
            with writing(database) as unit:
                unit.execute(update(OutboxEntry).where(OutboxEntry.kind == _KIND).values(delivered_time=NOW))
                unit.outbox.schedule(AccountOrphaned("a", "c"), NOW + timedelta(hours=1))
            collector = OutboxBacklog(database, unroutable=())
            assert value(collector, "clinic_outbox_due_events", kind=_KIND) == 0
            assert value(collector, "clinic_outbox_due_events", kind="account_orphaned") == 1

    def test_leaves_out_notices(self, database: Database) -> None:
        add_events(database, ClinicDeleted(HARBOUR))
        assert value(OutboxBacklog(database, ()), "clinic_outbox_due_events", kind="clinic_deleted") is None

    def test_leaves_out_kinds_that_nobody_delivers(self, database: Database) -> None:
        add_events(database, clinic_created(HARBOUR, "Harbour"))
        assert value(OutboxBacklog(database, ()), "clinic_outbox_due_events", kind="clinic_created") == 1
        assert value(OutboxBacklog(database, MAILS), "clinic_outbox_due_events", kind="clinic_created") is None

    def test_counts_to_a_limit(self, database: Database) -> None:
        with writing(database) as unit:
            unit.outbox.add(*[AccountOrphaned("a", str(number)) for number in range(MAX_COUNTED + 5)])
        collector = OutboxBacklog(database, ())
        assert value(collector, "clinic_outbox_due_events", kind="account_orphaned") == MAX_COUNTED

    def test_asks_the_database_once_and_keeps_the_answer_for_a_while(self, database: Database) -> None:
        collector, statements = OutboxBacklog(database, ()), list[str]()

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(database.read_engine, "before_cursor_execute", note)
        try:
            for _ in range(3):
                assert value(collector, "clinic_outbox_due_events", kind=_KIND) == 0
        finally:
            event.remove(database.read_engine, "before_cursor_execute", note)
        assert len(statements) == 1

    def test_reads_neither_delivered_events_nor_more_than_it_counts(self, database: Database) -> None:
        # As many of each of three kinds, so that the order of time alone would read three times as much.
        kinds: list[Event] = [clinic_created(HARBOUR, "Harbour"), AccountOrphaned("a", "b"), mail_to_nobody(HARBOUR)]
        with writing(database) as unit:
            unit.outbox.add(*[event for event in kinds for _ in range(2000)])
            unit.execute(update(OutboxEntry).values(delivered_time=NOW))
            unit.outbox.add(*[event for event in kinds for _ in range(2000)])
        analyze(database)

        def ask() -> None:
            run(database, lambda unit: Backlog(unit).of_kinds(), writes=False)

        (found,) = plans(database, ask)
        steps = [step for step in found if step.table == "outbox"]
        assert {(step.by, step.whole) for step in steps} == {("ix_outbox_kind_next_attempt_time", False)}
        assert rows_read(steps) in (3 * MAX_COUNTED, None)

    def test_does_not_wait_for_a_database_that_does_not_answer(self, database: Database) -> None:
        answers = threading.Event()

        def stall(_connection: Connection, *_: object) -> None:
            answers.wait(30)

        event.listen(database.read_engine, "before_cursor_execute", stall)
        try:
            assert value(OutboxBacklog(database, ()), "clinic_outbox_due_events", kind=_KIND) is None
        finally:
            answers.set()
            event.remove(database.read_engine, "before_cursor_execute", stall)
