"""Reconcile: compares projections with their source, and repairs them.

The projections are the keys of patients, the rows of summaries, statistics and the list index, and the numbers of patients.
Patients are compared clinic by clinic in batches, first without a lock. A batch with differences is compared again, and
repaired, in a transaction of its own that holds the same locks as updates of summaries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, Table, and_, bindparam, delete, func, inspect, select, update

from clinic_service.db.dialects import among
from clinic_service.db.engine import Database
from clinic_service.db.locks import locking
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.models import LIST_INDEX, STATISTICS, Clinic, Patient, PatientCount, Summary, SummaryDocument
from clinic_service.models.patient import ADD_TO_COUNT, keys_of
from clinic_service.models.statistics import PERIODS, TYPES
from clinic_service.resources.summaries.projection import Projection, list_index_row, project
from clinic_service.resources.summaries.repository import REMOVE_STATISTICS, SummaryChange, SummaryRepository
from clinic_service.unit_of_work import UnitOfWork, run

# Limits the memory: the documents of this many patients have about two megabytes.
_BATCH = 100

_KEYS = ("name_key", "search_text", "has_standard_ranges", "mrn_match_key", "name_match_key")


class _PatientRow(NamedTuple):
    """The derived columns of a patient, and the columns that they are derived from."""

    clinic_id: str
    id: str
    full_name: str | None
    email: str | None
    mrn: str | None
    birth_date: str | None
    glycemic_ranges: dict[str, Any] | None
    name_key: bytes
    search_text: str
    has_standard_ranges: bool
    mrn_match_key: bytes | None
    name_match_key: bytes | None


class Difference(NamedTuple):
    """A wrong column of `patients`, or a wrong row of `summaries`, `statistics` or `list_index`.

    Without a patient it is a wrong row of `patient_counts`.
    """

    clinic_id: str
    patient_id: str | None
    what: str


@dataclass(frozen=True, slots=True)
class _Subject:
    """One patient: the row, the stored rows by type, scope or period, and in `projections` the expected projections."""

    row: _PatientRow
    summaries: Mapping[str, Mapping[str, Any]]
    statistics: Mapping[str, Mapping[str, Any]]
    list_index: Mapping[str, Mapping[str, Any]]
    projections: Mapping[str, Projection]

    @property
    def where(self) -> dict[str, str]:
        """The parameters that select the patient in statements that change rows."""
        return {"of_clinic": self.row.clinic_id, "of_patient": self.row.id}

    @property
    def wrong_keys(self) -> list[str]:
        """The names of the derived columns of the patient that are wrong."""
        keys = keys_of(self.row)
        return [name for name in _KEYS if getattr(self.row, name) != keys[name]]

    @property
    def wrong_types(self) -> list[str]:
        """The types whose row in `summaries` is wrong, missing or surplus."""
        return _different(self.summaries, {kind: one.summary for kind, one in self.projections.items()})

    @property
    def wrong_scopes(self) -> list[str]:
        """The scopes whose row in `statistics` is wrong, missing or surplus."""
        wanted = {scope: row for one in self.projections.values() for scope, row in one.statistics.items()}
        return _different(self.statistics, wanted)

    @property
    def wrong_periods(self) -> list[str]:
        """The periods whose row in `list_index` is wrong, missing or surplus."""
        wanted = (
            {period: list_index_row(self.projections.values(), period) for period in PERIODS}
            if self.projections
            else {}
        )
        return _different(self.list_index, wanted)

    def differences(self) -> Iterator[Difference]:
        """All differences of the patient."""
        for table, names in (
            ("patients", self.wrong_keys),
            ("summaries", self.wrong_types),
            ("statistics", self.wrong_scopes),
            ("list_index", self.wrong_periods),
        ):
            yield from (Difference(self.row.clinic_id, self.row.id, f"{table}.{name}") for name in names)


def _different(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*stored, *wanted}) if stored.get(name) != wanted.get(name)]


class _Batch(NamedTuple):
    differences: list[Difference]
    # The id of the last patient; None when there was none left.
    last: str | None


_NEXT_PATIENTS = (
    select(
        Patient.clinic_id,
        Patient.id,
        Patient.full_name,
        Patient.email,
        Patient.mrn,
        Patient.birth_date,
        Patient.glycemic_ranges,
        Patient.name_key,
        Patient.search_text,
        Patient.has_standard_ranges,
        Patient.mrn_match_key,
        Patient.name_match_key,
    )
    .where(Patient.id > bindparam("after"))
    .order_by(Patient.id)
    .limit(_BATCH)
)


def _of_patients(table: Table) -> Select[*tuple[Any, ...]]:
    return select(table).where(table.c.clinic_id == bindparam("clinic_id"), among(table.c.patient_id, "patient_ids"))


class _PatientComparison(Repository):
    """Compares and repairs one batch of patients of a clinic."""

    def __init__(self, uow: UnitOfWork, clinic_id: str) -> None:
        super().__init__(uow)
        self._clinic_id = clinic_id

    _PATIENTS = Query(_PatientRow, _NEXT_PATIENTS.where(Patient.clinic_id == bindparam("clinic_id")))

    def look(self, after: str) -> _Batch:
        """The differences of the batch of patients after this id, read without a lock."""
        return _batch(self._subjects(self._PATIENTS, after))

    _LOCK_PATIENTS = Query(_PatientRow, locking(_NEXT_PATIENTS, Patient))

    def lock(self, after: str, *, repair: bool) -> _Batch:
        """As `look`, with the patients locked. With `repair`, the differences are repaired."""
        subjects = self._subjects(self._LOCK_PATIENTS, after)
        if repair:
            self._repair(subjects)
        return _batch(subjects)

    _SUMMARIES = _of_patients(inspect(Summary).local_table)  # type: ignore[arg-type]
    _DOCUMENTS = _of_patients(inspect(SummaryDocument).local_table)  # type: ignore[arg-type]
    _STATISTICS = _of_patients(STATISTICS)
    _LIST_INDEX = _of_patients(LIST_INDEX)

    def _subjects(self, query: Query[_PatientRow], after: str) -> list[_Subject]:
        patients = self._uow.rows(query, {"clinic_id": self._clinic_id, "after": after})
        if not patients:
            return []
        keys = {"clinic_id": self._clinic_id, "patient_ids": [p.id for p in patients]}
        summaries = _by_patient(self._uow.rows(self._SUMMARIES, keys), "type")
        statistics = _by_patient(self._uow.rows(self._STATISTICS, keys), "scope")
        list_index = _by_patient(self._uow.rows(self._LIST_INDEX, keys), "period")
        documents = _by_patient(self._uow.rows(self._DOCUMENTS, keys), "type")
        return [
            _Subject(p, summaries[p.id], statistics[p.id], list_index[p.id], _projections(documents[p.id]))
            for p in patients
        ]

    _REMOVE_LIST_INDEX_ROW = delete(LIST_INDEX).where(
        LIST_INDEX.c.clinic_id == bindparam("of_clinic"),
        LIST_INDEX.c.patient_id == bindparam("of_patient"),
        LIST_INDEX.c.period == bindparam("of_period"),
    )
    _SET_KEYS = (
        update(Patient)
        .where(and_(Patient.clinic_id == bindparam("of_clinic"), Patient.id == bindparam("of_patient")))
        .values({name: bindparam(name) for name in _KEYS})
    )

    def _repair(self, subjects: Iterable[_Subject]) -> None:
        wrong = [subject for subject in subjects if any(subject.differences())]
        self._uow.change(self._SET_KEYS, *({**s.where, **keys_of(s.row)} for s in wrong if s.wrong_keys))
        # Some rows may have a type or a period that does not exist.
        strays = ({**s.where, "of_scope": scope} for s in wrong for scope in s.wrong_scopes)
        self._uow.change(REMOVE_STATISTICS, *strays)
        self._uow.change(
            self._REMOVE_LIST_INDEX_ROW,
            *({**s.where, "of_period": period} for s in wrong for period in s.wrong_periods),
        )
        SummaryRepository(self._uow).apply([change for s in wrong for change in _changes(s)])


def _changes(subject: _Subject) -> Iterator[SummaryChange]:
    wrong = {*subject.wrong_types, *(kind for kind in TYPES if _has(subject.wrong_scopes, kind))}
    # A row of the list index is computed from all types.
    for kind in sorted(wrong | subject.projections.keys() if subject.wrong_periods else wrong):
        yield SummaryChange(subject.row.clinic_id, subject.row.id, kind, subject.projections.get(kind))


def _has(scopes: Iterable[str], kind: str) -> bool:
    return any(scope.startswith(kind) for scope in scopes)


def _by_patient(rows: Iterable[Any], name: str) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows without their keys, by patient id and by the column `name`, which is the rest of the key."""
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        columns = row._asdict()
        del columns["clinic_id"]
        found[columns.pop("patient_id")][columns.pop(name)] = columns
    return found


def _projections(documents: Mapping[str, Mapping[str, Any]]) -> dict[str, Projection]:
    return {kind: project(kind, orjson.loads(row["document"]), row["document"]) for kind, row in documents.items()}


def _batch(subjects: Sequence[_Subject]) -> _Batch:
    last = subjects[-1].row.id if subjects else None
    return _Batch([difference for subject in subjects for difference in subject.differences()], last)


_CLINICS = select(Clinic.id).order_by(Clinic.id)
_NUMBERS = select(Patient.clinic_id, func.count().label("patients")).group_by(Patient.clinic_id)
_STORED_NUMBERS = select(PatientCount.clinic_id, PatientCount.patients)


def compare(database: Database, *, repair: bool = False) -> Iterator[Difference]:
    """All differences, ordered by clinic and patient; the numbers of patients come last.

    With `repair`, each difference is repaired before it is yielded.
    """
    for row in run(database, lambda uow: uow.rows(_CLINICS, {}), writes=False):
        yield from _compare_patients(database, row.id, repair)
    numbers, stored = run(database, _read_numbers, writes=False)
    for clinic_id in sorted({*numbers, *stored}):
        if numbers.get(clinic_id, 0) == stored.get(clinic_id, 0):
            continue
        if run(database, partial(_recount, clinic_id=clinic_id, repair=repair), writes=True):
            yield Difference(clinic_id, None, "patient_counts")


def _read_numbers(uow: UnitOfWork) -> tuple[dict[str, int], dict[str, int]]:
    """The numbers of patients by clinic: as they are, and as they are stored."""
    numbers, stored = (uow.rows(query, {}) for query in (_NUMBERS, _STORED_NUMBERS))
    return {row.clinic_id: row.patients for row in numbers}, {row.clinic_id: row.patients for row in stored}


_LOCK_COUNT = locking(select(PatientCount.patients), PatientCount)
_COUNT = select(func.count()).select_from(Patient).where(Patient.clinic_id == bindparam("clinic_id"))


def _recount(uow: UnitOfWork, clinic_id: str, *, repair: bool) -> bool:
    """Whether the clinic's stored number of patients is wrong, checked while no patient can be added or removed."""
    row = uow.first(_LOCK_COUNT, {"clinic_id": clinic_id})
    stored = row[0] if row else 0
    number = uow.rows(_COUNT, {"clinic_id": clinic_id})[0][0]
    if number != stored and repair:
        uow.insert(ADD_TO_COUNT, {"clinic_id": clinic_id, "patients": number - stored})
    return number != stored


def _compare_patients(database: Database, clinic_id: str, repair: bool) -> Iterator[Difference]:
    after: str | None = ""
    while after is not None:
        batch = _compare_batch(database, clinic_id, after, repair)
        yield from batch.differences
        after = batch.last


def _compare_batch(database: Database, clinic_id: str, after: str, repair: bool) -> _Batch:
    def look(uow: UnitOfWork) -> _Batch:
        return _PatientComparison(uow, clinic_id).look(after)

    def lock(uow: UnitOfWork) -> _Batch:
        return _PatientComparison(uow, clinic_id).lock(after, repair=repair)

    batch = run(database, look, writes=False)
    # The data may have changed between the statements that read it.
    return run(database, lock, writes=True) if batch.differences else batch
