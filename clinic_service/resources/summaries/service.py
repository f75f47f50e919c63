"""The rules for updating and removing summaries."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from clinic_service.outbox.events import PatientChanged
from clinic_service.resources.summaries.projection import Projection
from clinic_service.resources.summaries.repository import PatientOfUser, StoredSummary, SummaryChange, SummaryOfPatient
from clinic_service.unit_of_work import UnitOfWork


def update_summaries(uow: UnitOfWork, user_id: str, given: Mapping[str, Projection | None]) -> bool:
    """Store the user's summaries of the types in `given` in all clinics; None removes one.

    Returns False when no clinic has the user as a patient. Summaries that are already stored as given are not written, and
    the time of change of their patients stays. An update that names no type updates this time in every record.
    """
    patients, stored = uow.summaries.lock_of_user(user_id)
    if not patients:
        return False
    if not given:
        uow.summaries.move_on(patients)
        return True
    changes = [
        SummaryChange(patient.clinic_id, patient.id, kind, projection)
        for patient in patients
        for kind, projection in given.items()
        if _is_change(stored.get((patient.id, kind)), projection)
    ]
    uow.summaries.apply(changes)
    ids = {change.patient_id for change in changes}
    changed = [patient for patient in patients if patient.id in ids]
    uow.summaries.move_on(changed)
    _announce(uow, changed)
    return True


def remove_summary(uow: UnitOfWork, summary_id: str) -> bool:
    """Remove the summaries with this id, of either type, from all clinics. False when there are none.

    The times of change of the patients stay as they are.
    """
    found = uow.summaries.lock_by_id(summary_id)
    uow.summaries.apply([SummaryChange(row.clinic_id, row.patient_id, row.type, None) for row in found])
    _announce(uow, {row.patient_id: row for row in found}.values())
    return bool(found)


def _is_change(stored: StoredSummary | None, projection: Projection | None) -> bool:
    if stored is None or projection is None:
        return not (stored is None and projection is None)
    return stored.digest != projection.summary["digest"] and not _is_late(stored, projection.summary)


def _is_late(stored: StoredSummary, given: Mapping[str, Any]) -> bool:
    """Whether `given` is older than the stored summary: messages can arrive twice, and in any order."""
    if stored.summary_id is None or stored.summary_id != given["summary_id"]:
        return False
    before, after = stored.last_updated_date, given["last_updated_date"]
    return before is not None and after is not None and after < before


def _announce(uow: UnitOfWork, patients: Iterable[PatientOfUser | SummaryOfPatient]) -> None:
    uow.outbox.add(*(PatientChanged(p.clinic_id, p.user_id, ("summary",), p.is_custodial) for p in patients))
