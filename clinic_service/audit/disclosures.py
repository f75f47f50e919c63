"""Disclosures: who has seen the data of a person."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from clinic_service.audit.record import AuditRecord, Outcome
from clinic_service.audit.repository import Choice
from clinic_service.audit.trail import records
from clinic_service.unit_of_work import UnitOfWork


def disclosures(
    uow: UnitOfWork, folder: Path, user_id: str, since: datetime | None = None, until: datetime | None = None
) -> Iterator[AuditRecord]:
    """The records of what others read or changed of the data of a person, in the order of their times.

    The result includes the lists of each clinic that has a record of the person now, from the time of that record on: the
    trail has only the number of people in a list, so the person may be one of them.
    """
    named = records(uow, folder, Choice(subject=user_id, since=since, until=until))
    lists = [
        _lists(records(uow, folder, Choice(clinic=clinic_id, since=max(since or created, created), until=until)))
        for clinic_id, created in uow.audit.clinics_of(user_id)
    ]
    found = heapq.merge(named, *lists, key=lambda record: record.time)
    return (record for record in found if record.outcome == Outcome.ALLOWED and record.caller != user_id)


def _lists(found: Iterator[AuditRecord]) -> Iterator[AuditRecord]:
    return (record for record in found if record.patients is not None)
