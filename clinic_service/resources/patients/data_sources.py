"""The list of a patient's data sources, which each clinic's record has for itself and which is replaced as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy.orm.attributes import flag_modified

from clinic_service.db.prepared import insert_into
from clinic_service.models import DataSource, Patient
from clinic_service.unit_of_work import UnitOfWork

# A source on the wire; its place in the list is its order.
_MEMBERS = (
    "provider_name",
    "state",
    "data_source_id",
    "modified_time",
    "expiration_time",
    "latest_data_time",
)
# A patient's id alone is unique; the clinic is named because the key leads with it.
_OF_PATIENTS = and_(
    DataSource.clinic_id.in_(bindparam("clinic_ids", expanding=True)),
    DataSource.patient_id.in_(bindparam("patient_ids", expanding=True)),
)
_LISTS = (
    select(DataSource.patient_id, *(getattr(DataSource, member) for member in _MEMBERS))
    .where(_OF_PATIENTS)
    .order_by(DataSource.patient_id, DataSource.position)
)
_REMOVE = delete(DataSource).where(_OF_PATIENTS)
_ADD = insert_into(DataSource, "clinic_id", "patient_id", "position", *_MEMBERS)


def replace_data_sources(
    uow: UnitOfWork, patients: Sequence[Patient], sources: Sequence[Mapping[str, Any]]
) -> list[Patient]:
    """Store the list for all of the patients, whose rows are locked (`uow.patients.lock`); gives those it changed.

    `sources` are what `load_data_sources` gives, in their order. Times of change are the caller's to set. At most
    three statements however many patients there are, and a single one when every list stands as it is.
    """
    wanted = [tuple(source.get(member) for member in _MEMBERS) for source in sources]
    stored = _lists(uow, patients)
    # An empty list is not the same as none that was ever given.
    changed = [patient for patient in patients if stored[patient.id] != wanted or not patient.data_sources_set]
    outdated = [patient for patient in changed if stored[patient.id]]
    if outdated:
        uow.execute(_REMOVE, _keys(outdated))
    uow.insert(_ADD, *(row for patient in changed for row in _rows(patient, wanted)))
    for patient in changed:
        patient.data_sources_set = True
        # Rows whose updates name the same columns are written together, so this is named whether or not it is new.
        flag_modified(patient, "data_sources_set")
    return changed


def update_everywhere(uow: UnitOfWork, user_id: str, sources: Sequence[Mapping[str, Any]]) -> None:
    """Store the list in the records that all clinics have of the user; those that hold it already stay untouched."""
    for patient in replace_data_sources(uow, uow.patients.all_of_user(user_id), sources):
        uow.patients.touch(patient)


def _lists(uow: UnitOfWork, patients: Sequence[Patient]) -> Mapping[str, list[tuple[Any, ...]]]:
    """What is stored, by the id of the patient."""
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    if patients:
        for row in uow.execute(_LISTS, _keys(patients)):
            found[row.patient_id].append(tuple(row[1:]))
    return found


def _keys(patients: Sequence[Patient]) -> dict[str, list[str]]:
    return {
        "clinic_ids": list({patient.clinic_id for patient in patients}),
        "patient_ids": [patient.id for patient in patients],
    }


def _rows(patient: Patient, wanted: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    key = {"clinic_id": patient.clinic_id, "patient_id": patient.id}
    return [
        {**key, "position": position, **dict(zip(_MEMBERS, values, strict=True))}
        for position, values in enumerate(wanted)
    ]
