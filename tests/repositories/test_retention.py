"""What is removed when its time is over, on both engines."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event as sa_event
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from clinic_service import clock, retention, unit_of_work
from clinic_service.config import Config
from clinic_service.db.base import Base
from clinic_service.db.engine import Database
from clinic_service.db.ids import new_id
from clinic_service.gateways.user_ids import new_user_id
from clinic_service.models import (
    AccountDeletion,
    ClinicDeletion,
    ClinicianDeletion,
    ClinicianRoleUpdate,
    Invite,
    MergeElementType,
    MergePlanElement,
    OutboxEntry,
    PatientDeletion,
    RedoxMessage,
    XealthReportView,
)
from clinic_service.retention import Removed, Retention, purge_all, purge_outbox
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import CAROL
from tests.support.ehr import make_ehr_clinic, store_message
from tests.support.rows import make_clinic, make_clinician, make_invite, make_patient, stored, storing

NOW = clock.now()
SHORT = Config(
    keep_delivered_events_days=1,
    keep_unsent_mail_days=2,
    keep_closed_invites_days=3,
    keep_partner_messages_days=4,
    keep_deletion_records_days=5,
    keep_account_deletions_days=400,
)
CLINIC = "65f1c0de0a1b2c3d4e5f6a7b"


@pytest.fixture(autouse=True)
def _frozen() -> Iterator[None]:
    with clock.frozen(NOW):
        yield


def add(unit: UnitOfWork, row: Base) -> None:
    unit.session.add(row)
    unit.flush()


def event(unit: UnitOfWork, kind: str, time: datetime, **values: Any) -> None:
    times = {"created_time": time, "next_attempt_time": time}
    add(unit, OutboxEntry(id=unit.new_id(), kind=kind, payload={}, **{"attempts": 0, **times, **values}))


def delivered_event(unit: UnitOfWork, time: datetime) -> None:
    # Created long ago: the time of the delivery decides.
    event(unit, "clinic_deleted", NOW - timedelta(days=90), delivered_time=time)


def unsent_mail(unit: UnitOfWork, time: datetime) -> None:
    event(unit, "clinic_created", time)


def closed_invite(unit: UnitOfWork, time: datetime) -> None:
    make_invite(unit, make_clinic(unit), status="declined", modified=time)


def report_view(unit: UnitOfWork, time: datetime) -> None:
    clinic = make_ehr_clinic(unit)
    key = {"clinic_id": clinic.id, "id": unit.new_id(), "patient_id": make_patient(unit, clinic, CAROL).id}
    others = {"ehr_user_id": "u", "deployment": "d", "program_id": "p", "created_time": time}
    add(unit, XealthReportView(**key, **others))


def deletion(model: type[Base]) -> Callable[[UnitOfWork, datetime], None]:
    def make(unit: UnitOfWork, time: datetime) -> None:
        add(unit, model(clinic_id=CLINIC, id=unit.new_id(), deleted_time=time, record={}))

    return make


def merge(unit: UnitOfWork, time: datetime, source: str, target: str, kind: MergeElementType) -> None:
    key = {"clinic_id": target, "plan_id": new_id(time), "id": new_id(time), "source_id": source}
    add(unit, MergePlanElement(**key, type=kind, element={}))


def part_of_merge(unit: UnitOfWork, time: datetime) -> None:
    merge(unit, time, new_id(), CLINIC, MergeElementType.PATIENT)


def merge_into_deleted_clinic(unit: UnitOfWork, time: datetime) -> None:
    merge(unit, time, new_id(), CLINIC, MergeElementType.CLINIC)


def role_update(unit: UnitOfWork, time: datetime) -> None:
    member = make_clinician(unit, make_clinic(unit), CAROL)
    key = {"clinic_id": member.clinic_id, "clinician_id": member.id, "id": unit.new_id()}
    add(unit, ClinicianRoleUpdate(**key, roles=["CLINIC_MEMBER"], time=time))


def account_deletion(unit: UnitOfWork, time: datetime) -> None:
    add(unit, AccountDeletion(user_id=new_user_id(), deleted_time=time))


KINDS = [
    pytest.param(OutboxEntry, delivered_event, 1, "delivered events", id="delivered events"),
    pytest.param(OutboxEntry, unsent_mail, 2, "unsent mail", id="unsent mail"),
    pytest.param(Invite, closed_invite, 3, "closed invitations", id="closed invitations"),
    pytest.param(XealthReportView, report_view, 4, "views of reports", id="views of reports"),
    pytest.param(ClinicDeletion, deletion(ClinicDeletion), 5, "deletion records of clinics", id="clinics"),
    pytest.param(ClinicianDeletion, deletion(ClinicianDeletion), 5, "deletion records of clinicians", id="clinicians"),
    pytest.param(PatientDeletion, deletion(PatientDeletion), 5, "deletion records of patients", id="patients"),
    pytest.param(MergePlanElement, part_of_merge, 5, "parts of merges", id="parts of merges"),
    pytest.param(MergePlanElement, merge_into_deleted_clinic, 5, "merges into deleted clinics", id="merges"),
    pytest.param(ClinicianRoleUpdate, role_update, 5, "changes of roles", id="changes of roles"),
    pytest.param(AccountDeletion, account_deletion, 400, "deletions of accounts", id="deletions of accounts"),
]


@pytest.mark.parametrize(("model", "make", "days", "name"), KINDS)
def test_rows_are_removed_when_their_time_is_over(
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    model: type[Base],
    make: Callable[[UnitOfWork, datetime], None],
    days: int,
    name: str,
) -> None:
    over, young = NOW - timedelta(days=days, seconds=1), NOW - timedelta(days=days, seconds=-1)
    for time in (over, young, over, over):
        with storing(database) as unit:
            make(unit, time)
    monkeypatch.setattr(retention, "BATCH", 2)
    assert [removed for removed in purge_all(database, SHORT) if removed.number] == [Removed(name, 3)]
    assert len(stored(database, model)) == 1
    assert not any(removed.number for removed in purge_all(database, SHORT))


def test_messages_of_partners_are_removed_when_their_time_is_over(database: Database) -> None:
    for log_id, days in (("a", 5), ("b", 3)):
        with clock.frozen(NOW - timedelta(days=days)), storing(database) as unit:
            store_message(unit, {"Meta": {"DataModel": "Order", "EventType": "New", "Logs": [{"ID": log_id}]}})
    assert Removed("messages of partners", 1) in list(purge_all(database, SHORT))
    assert [row.log_id for row in stored(database, RedoxMessage)] == ["b"]


def test_what_waits_or_is_open_stays_however_old_it_is(database: Database) -> None:
    long_ago = NOW - timedelta(days=1000)
    with storing(database) as unit:
        event(unit, "account_orphaned", long_ago)
        event(unit, "clinic_deleted", long_ago)
        # It failed, and is tried again.
        event(unit, "clinic_created", long_ago, attempts=3, next_attempt_time=NOW)
        make_invite(unit, make_clinic(unit), modified=long_ago)
    assert not any(removed.number for removed in purge_all(database, SHORT))


def test_a_merge_is_kept_while_it_leads_to_a_clinic(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A merge can lead there through clinics that were merged as well."""
    long_ago, first, second, gone, lost = NOW - timedelta(days=1000), *(new_id() for _ in range(4))
    with storing(database) as unit:
        clinic = make_clinic(unit)
        for source, target in ((first, second), (second, clinic.id), (lost, gone), (gone, CLINIC)):
            merge(unit, long_ago, source, target, MergeElementType.CLINIC)
    monkeypatch.setattr(retention, "BATCH", 1)
    assert Removed("merges into deleted clinics", 2) in list(purge_all(database, SHORT))
    with unit_of_work.reading(database) as reading:
        assert reading.merges.find_successor(first) == second
        assert reading.merges.find_successor(second) == clinic.id
        assert reading.merges.find_successor(lost) is None


def test_purge_outbox_removes_only_rows_of_the_outbox(database: Database) -> None:
    long_ago = NOW - timedelta(days=1000)
    with storing(database) as unit:
        delivered_event(unit, long_ago)
        unsent_mail(unit, long_ago)
        closed_invite(unit, long_ago)
    assert purge_outbox(database, SHORT) == [Removed("delivered events", 1), Removed("unsent mail", 1)]
    assert len(stored(database, Invite)) == 1


@pytest.mark.parametrize("kind", [*retention._OUTBOX, *retention._OTHERS], ids=lambda kind: kind.name)
def test_rows_are_found_by_an_index(database: Database, kind: Any) -> None:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        sent.append((statement, parameters))

    with database.write_engine.connect() as connection:
        is_postgresql = connection.dialect.name == "postgresql"
        if is_postgresql:
            # The tables are empty, so it would not choose an index, and less so an index that gives the order.
            for step in ("seqscan", "bitmapscan", "sort"):
                connection.execute(text(f"SET LOCAL enable_{step} = off"))
        sa_event.listen(connection, "before_cursor_execute", note)
        connection.execute(kind.removal, {"before": NOW, "before_id": new_id(), "batch": 500})
        ((statement, parameters),) = (one for one in sent if one[0].startswith("DELETE"))
        explain = "EXPLAIN" if is_postgresql else "EXPLAIN QUERY PLAN"
        plan = "\n".join(map(str, connection.exec_driver_sql(f"{explain} {statement}", parameters)))
    assert re.search("Index|INDEX", plan)
    # PostgreSQL may sort the keys that it found, which are no more than a batch. All merges of clinics, which are few, may
    # be read from their partial index.
    assert not re.search(r"Seq Scan|SCAN (?!\w+ USING INDEX ix_merge_plan_elements_source_id)|TEMP B-TREE", plan), plan


class TestLoop:
    def _run(self, database: Database, until: Callable[[], bool]) -> None:
        stop = threading.Event()
        # The shortest pause that can be set is a second.
        config = replace(SHORT, retention_pause_seconds=1)
        thread = threading.Thread(target=Retention(database, config).run, args=(stop,))
        thread.start()
        waiting = threading.Event()
        for _ in range(600):
            if until():
                break
            waiting.wait(0.05)
        stop.set()
        thread.join(timeout=60)
        assert until()
        assert not thread.is_alive()

    def test_removes_until_it_is_stopped(self, database: Database) -> None:
        with storing(database) as unit:
            delivered_event(unit, NOW - timedelta(days=2))
        self._run(database, lambda: stored(database, OutboxEntry) == [])

    def test_goes_on_when_the_database_comes_back(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        working, calls = unit_of_work.run_in_batches, list[int]()

        def failing_once(*arguments: Any, **named: Any) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise OperationalError("", None, Exception())
            return working(*arguments, **named)

        monkeypatch.setattr(retention, "run_in_batches", failing_once)
        with storing(database) as unit:
            delivered_event(unit, NOW - timedelta(days=2))
        self._run(database, lambda: stored(database, OutboxEntry) == [])
        assert len(calls) > 1
