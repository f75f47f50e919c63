"""The queries about the summaries of patients, and how summaries are stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from sqlalchemy import Insert, and_, bindparam, delete, exists, not_, select, update

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among, insert_or_update, moved_on
from clinic_service.db.locks import lock_by_clinic, locking
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.models import LIST_INDEX, STATISTICS, Patient, Summary, SummaryDocument
from clinic_service.models.list_index import INDEXED_VALUES
from clinic_service.models.statistics import BGM, CGM, PERIODS, TYPES
from clinic_service.resources.summaries.projection import SCOPES, Projection, list_index_row

# Changes are stored in batches of this size, to limit the memory for a user who is a patient of very many clinics.
_BATCH = 200

_OF_PATIENT = and_(Summary.clinic_id == Patient.clinic_id, Summary.patient_id == Patient.id)
_INDEXED_COLUMNS = {
    kind: [column for one in INDEXED_VALUES if one.kind == kind for column in one.columns] for kind in TYPES
}
# One statement for both types when both change, because each statement writes to all indexes.
_PUT_LIST_INDEX: dict[tuple[str, ...], Insert] = {
    kinds: insert_or_update(LIST_INDEX, *(column for kind in kinds for column in _INDEXED_COLUMNS[kind]))
    for kinds in ((BGM,), (CGM,), (BGM, CGM))
}
REMOVE_STATISTICS = delete(STATISTICS).where(
    STATISTICS.c.clinic_id == bindparam("of_clinic"),
    STATISTICS.c.patient_id == bindparam("of_patient"),
    STATISTICS.c.scope == bindparam("of_scope"),
)


class PatientOfUser(NamedTuple):
    """A clinic's record of a user."""

    clinic_id: str
    id: str
    user_id: str
    is_custodial: bool


class StoredSummary(NamedTuple):
    """The columns of a stored summary that tell whether an update changes it."""

    clinic_id: str
    patient_id: str
    type: str
    summary_id: str | None
    digest: bytes
    last_updated_date: datetime | None


class SummaryOfPatient(NamedTuple):
    """The key of a summary, and its user."""

    clinic_id: str
    patient_id: str
    type: str
    user_id: str
    is_custodial: bool


class SummaryChange(NamedTuple):
    """The new summary of a patient for one type; None removes it."""

    clinic_id: str
    patient_id: str
    kind: str
    projection: Projection | None

    @property
    def key(self) -> dict[str, str]:
        """The key of the patient's record, as columns of a new row."""
        return {"clinic_id": self.clinic_id, "patient_id": self.patient_id}

    @property
    def where(self) -> dict[str, str]:
        """The parameters that select the patient in statements that change rows."""
        return {"of_clinic": self.clinic_id, "of_patient": self.patient_id}


class SummaryRepository(Repository):
    """Summaries: their rows, documents and statistics, which are only changed together."""

    _LOCK_PATIENT = Query(
        PatientOfUser,
        locking(
            select(
                Patient.clinic_id, Patient.id, Patient.user_id, Patient.permission_custodian.label("is_custodial")
            ).where(Patient.user_id == bindparam("user_id")),
            Patient,
        ),
    )
    _OF_PATIENTS = Query(
        StoredSummary,
        select(
            Summary.clinic_id,
            Summary.patient_id,
            Summary.type,
            Summary.summary_id,
            Summary.digest,
            Summary.last_updated_date,
        ).where(among(Summary.clinic_id, "clinic_ids"), among(Summary.patient_id, "patient_ids")),
    )

    def lock_of_user(self, user_id: str) -> tuple[Sequence[PatientOfUser], Mapping[tuple[str, str], StoredSummary]]:
        """Lock and return the user's records in all clinics, and their summaries.

        The records are sorted by clinic id; the summaries are found by patient id and type.
        """
        patients = lock_by_clinic(
            lambda: ClinicsOfUsers(self._uow).of_patient(user_id),
            lambda clinic_id: self._uow.rows(self._LOCK_PATIENT, {"clinic_id": clinic_id, "user_id": user_id}),
        )
        if not patients:
            return [], {}
        ids = {"clinic_ids": [one.clinic_id for one in patients], "patient_ids": [one.id for one in patients]}
        return patients, {(row.patient_id, row.type): row for row in self._uow.rows(self._OF_PATIENTS, ids)}

    _CLINICS_OF_SUMMARY = select(Summary.clinic_id).where(Summary.summary_id == bindparam("summary_id")).distinct()
    _LOCK_BY_ID = Query(
        SummaryOfPatient,
        locking(
            select(
                Summary.clinic_id,
                Summary.patient_id,
                Summary.type,
                Patient.user_id,
                Patient.permission_custodian.label("is_custodial"),
            )
            .join(Patient, _OF_PATIENT)
            .where(Summary.summary_id == bindparam("summary_id"))
            .order_by(Summary.patient_id, Summary.type),
            Summary,
        ),
    )

    def lock_by_id(self, summary_id: str) -> Sequence[SummaryOfPatient]:
        """Lock and return the summaries with this id, sorted by key."""
        this = {"summary_id": summary_id}
        return lock_by_clinic(
            lambda: [clinic_id for (clinic_id,) in self._uow.rows(self._CLINICS_OF_SUMMARY, this)],
            lambda clinic_id: self._uow.rows(self._LOCK_BY_ID, {"clinic_id": clinic_id, **this}),
        )

    def apply(self, changes: Sequence[SummaryChange]) -> None:
        """Store or remove summaries, in at most nine statements for each 200 of them.

        `changes` must be sorted by key. All transactions change summaries in this order, to avoid deadlocks.
        """
        for start in range(0, len(changes), _BATCH):
            self._apply(changes[start : start + _BATCH])

    _PUT_SUMMARY = insert_or_update(Summary)
    _PUT_DOCUMENT = insert_or_update(SummaryDocument)
    _PUT_STATISTICS = insert_or_update(STATISTICS)
    # The document is deleted with it.
    _REMOVE_SUMMARY = delete(Summary).where(
        Summary.clinic_id == bindparam("of_clinic"),
        Summary.patient_id == bindparam("of_patient"),
        Summary.type == bindparam("of_type"),
    )
    # For patients who have no summary any more.
    _REMOVE_LIST_INDEX_ROW = delete(LIST_INDEX).where(
        LIST_INDEX.c.clinic_id == bindparam("of_clinic"),
        LIST_INDEX.c.patient_id == bindparam("of_patient"),
        not_(
            exists().where(Summary.clinic_id == bindparam("of_clinic"), Summary.patient_id == bindparam("of_patient"))
        ),
    )

    def _apply(self, changes: Sequence[SummaryChange]) -> None:
        put = [(change, change.projection) for change in changes if change.projection]
        keys = [{**change.key, "type": change.kind} for change, _ in put]
        self._uow.insert(self._PUT_SUMMARY, *({**key, **c.summary} for key, (_, c) in zip(keys, put, strict=True)))
        self._uow.insert(
            self._PUT_DOCUMENT, *({**key, "document": c.text} for key, (_, c) in zip(keys, put, strict=True))
        )
        self._uow.insert(self._PUT_STATISTICS, *(row for change, c in put for row in _statistics(change, c)))
        self._uow.change(REMOVE_STATISTICS, *(row for change in changes for row in _outdated_statistics(change)))
        gone = [change for change in changes if not change.projection]
        self._uow.change(self._REMOVE_SUMMARY, *({**change.where, "of_type": change.kind} for change in gone))
        for kinds, rows in _list_index_rows(changes).items():
            self._uow.insert(_PUT_LIST_INDEX[kinds], *rows)
        self._uow.change(self._REMOVE_LIST_INDEX_ROW, *(change.where for change in gone))

    _MOVE_ON = (
        update(Patient)
        .where(Patient.clinic_id == bindparam("of_clinic"), Patient.id == bindparam("of_patient"))
        .values(updated_time=moved_on(Patient.updated_time))
    )

    def move_on(self, patients: Iterable[PatientOfUser]) -> None:
        """Set the patients' times of change to now. The time always increases, even when the clock does not."""
        now = self._uow.now
        self._uow.change(self._MOVE_ON, *({"of_clinic": p.clinic_id, "of_patient": p.id, "now": now} for p in patients))


def _statistics(change: SummaryChange, projection: Projection) -> Iterable[dict[str, Any]]:
    return ({**change.key, "scope": scope, **figures} for scope, figures in projection.statistics.items())


def _list_index_rows(changes: Iterable[SummaryChange]) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The rows of the list index that change, by the types for which they change."""
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for _, of_patient in groupby(changes, key=lambda change: (change.clinic_id, change.patient_id)):
        same = sorted(of_patient, key=lambda change: change.kind)
        kinds = tuple(change.kind for change in same)
        summaries = [change.projection for change in same if change.projection]
        rows[kinds] += ({**same[0].key, "period": period, **list_index_row(summaries, period)} for period in PERIODS)
    return rows


def _outdated_statistics(change: SummaryChange) -> Iterable[dict[str, str]]:
    """The keys of statistics to delete: all scopes that the new summary does not have."""
    kept = change.projection.statistics if change.projection else {}
    return ({**change.where, "of_scope": scope} for scope in SCOPES[change.kind] if scope not in kept)
