"""The data sources of a patient. Each clinic's record has its own list, which is always replaced as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, delete, select
from sqlalchemy.orm.attributes import flag_modified

from clinic_service.db.prepared import insert_into
from clinic_service.models import DataSource, Patient
from clinic_service.unit_of_work import UnitOfWork

# The members of a source in the API. Sources are ordered by their position in the list.
_MEMBERS = (
    "provider_name",
    "state",
    "data_source_id",
    "modified_time",
    "expiration_time",
    "latest_data_time",
)
# The patient's id alone is unique; the clinic's id is included because the key begins with it.
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
    """Store the list for all the patients, and return those whose lists changed.

    The rows of the patients must be locked (`uow.patients.lock`). `sources` come from `load_data_sources`. The caller sets
    the times of change. Sends at most three statements for any number of patients, and only one when no list changes.
    """
    wanted = [tuple(source.get(member) for member in _MEMBERS) for source in sources]
    stored = _lists(uow, patients)
    # An empty list differs from a list that was never given.
    changed = [patient for patient in patients if stored[patient.id] != wanted or not patient.data_sources_set]
    outdated = [patient for patient in changed if stored[patient.id]]
    if outdated:
        uow.execute(_REMOVE, _keys(outdated))
    uow.insert(_ADD, *(row for patient in changed for row in _rows(patient, wanted)))
    for patient in changed:
        patient.data_sources_set = True
        # Updates of the same columns are written in one statement, so this column is marked in every changed row.
        flag_modified(patient, "data_sources_set")
    return changed


def update_everywhere(uow: UnitOfWork, user_id: str, sources: Sequence[Mapping[str, Any]]) -> None:
    """Store the list in the user's records in all clinics. Records that already have it are not touched."""
    for patient in replace_data_sources(uow, uow.patients.all_of_user(user_id), sources):
        uow.patients.touch(patient)


def _lists(uow: UnitOfWork, patients: Sequence[Patient]) -> Mapping[str, list[tuple[Any, ...]]]:
    """The stored lists, by patient id."""
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
