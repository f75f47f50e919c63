"""The rows of the audit trail: how those that are not sealed yet are found."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import update

from clinic_service.audit.record import AuditRecord
from clinic_service.db.engine import Database
from clinic_service.models import AuditEntry
from clinic_service.unit_of_work import reading, writing
from tests.support.clocks import NOW
from tests.support.plans import analyze, plans, rows_read


def store(database: Database, first: int, last: int) -> None:
    """Records of different times, the latest first."""
    with writing(database) as unit:
        for number in range(first, last):
            time = NOW - timedelta(seconds=number)
            unit.audit.add(AuditRecord(time, f"request-{number}", "UpdateTier", "allowed", 200, clinic="a" * 24))


def test_unsealed_rows_are_found_without_reading_the_others(database: Database) -> None:
    store(database, 0, 300)
    with writing(database) as unit:
        unit.execute(update(AuditEntry).values(sequence=7, hash="0" * 64))
    store(database, 300, 310)
    analyze(database)
    with reading(database) as unit:
        ((step,),) = plans(database, lambda: unit.audit.list_unsealed(500))
        found = unit.audit.list_unsealed(500)
    assert (step.table, step.by, step.whole) == ("audit_entries", "ix_audit_entries_sequence", False)
    assert rows_read([step]) in (10, None)
    assert [entry.record.request for entry in found] == [f"request-{number}" for number in reversed(range(300, 310))]
