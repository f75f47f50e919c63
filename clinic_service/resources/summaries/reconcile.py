"""Reconcile: compares projections with their source, and repairs them.

The projections are the keys of patients, the rows of summaries, statistics and the list index, and the numbers of patients.
Patients are compared in batches, first without a lock. A batch with differences is compared again, and repaired, in a
transaction of its own that holds the same locks as updates of summaries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Select, Table, and_, bindparam, delete, func, inspect, select, tuple_, update

from clinic_service.db.engine import Database
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Repository
from clinic_service.db.types import ObjectId
from clinic_service.models import LIST_INDEX, STATISTICS, Clinic, Patient, PatientCount, Summary, SummaryDocument
from clinic_service.models.patient import ADD_TO_COUNT, keys_of
from clinic_service.models.statistics import PERIODS, TYPES
from clinic_service.resources.summaries.projection import Projection, list_index_row, project
from clinic_service.resources.summaries.repository import REMOVE_STATISTICS, Change, SummaryRepository
from clinic_service.unit_of_work import UnitOfWork, run

# Limits the memory: the documents of this many patients have about two megabytes.
_BATCH = 100
# Sorts before every key.
_START = ("", "")

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
    last: tuple[str, str] | None


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
    .where(
        tuple_(Patient.clinic_id, Patient.id)
        > tuple_(bindparam("clinic_id", type_=ObjectId()), bindparam("patient_id", type_=ObjectId()))
    )
    .order_by(Patient.clinic_id, Patient.id)
    .limit(_BATCH)
)
_PATIENTS = Query(_PatientRow, _NEXT_PATIENTS)
_LOCK_PATIENTS = Query(_PatientRow, _NEXT_PATIENTS.with_for_update())


def _of_patients(table: Table) -> Select[*tuple[Any, ...]]:
    return select(table).where(
        table.c.clinic_id.in_(bindparam("clinic_ids", expanding=True)),
        table.c.patient_id.in_(bindparam("patient_ids", expanding=True)),
    )


_SUMMARIES = _of_patients(inspect(Summary).local_table)  # type: ignore[arg-type]
_DOCUMENTS = _of_patients(inspect(SummaryDocument).local_table)  # type: ignore[arg-type]
_STATISTICS = _of_patients(STATISTICS)
_LIST_INDEX = _of_patients(LIST_INDEX)


class _PatientComparison(Repository):
    """Compares and repairs one batch of patients."""

    def look(self, after: tuple[str, str]) -> _Batch:
        """The differences of the batch of patients after this key, read without a lock."""
        return _batch(self._subjects(_PATIENTS, after))

    def lock(self, after: tuple[str, str], *, repair: bool) -> _Batch:
        """As `look`, with the patients locked. With `repair`, the differences are repaired."""
        subjects = self._subjects(_LOCK_PATIENTS, after)
        if repair:
            self._repair(subjects)
        return _batch(subjects)

    def _subjects(self, query: Query[_PatientRow], after: tuple[str, str]) -> list[_Subject]:
        clinic_id, patient_id = after
        patients = self._uow.rows(query, {"clinic_id": clinic_id, "patient_id": patient_id})
        if not patients:
            return []
        keys = {"clinic_ids": list({p.clinic_id for p in patients}), "patient_ids": [p.id for p in patients]}
        summaries = _by_patient(self._uow.execute(_SUMMARIES, keys), "type")
        statistics = _by_patient(self._uow.execute(_STATISTICS, keys), "scope")
        list_index = _by_patient(self._uow.execute(_LIST_INDEX, keys), "period")
        documents = _by_patient(self._uow.execute(_DOCUMENTS, keys), "type")
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


def _changes(subject: _Subject) -> Iterator[Change]:
    wrong = {*subject.wrong_types, *(kind for kind in TYPES if _has(subject.wrong_scopes, kind))}
    # A row of the list index is computed from all types.
    for kind in sorted(wrong | subject.projections.keys() if subject.wrong_periods else wrong):
        yield Change(subject.row.clinic_id, subject.row.id, kind, subject.projections.get(kind))


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
    last = (subjects[-1].row.clinic_id, subjects[-1].row.id) if subjects else None
    return _Batch([difference for subject in subjects for difference in subject.differences()], last)


_OF_CLINIC = select(func.count()).select_from(Patient).where(Patient.clinic_id == Clinic.id).scalar_subquery()
_COUNTS = (
    select(Clinic.id, _OF_CLINIC.label("number"), func.coalesce(PatientCount.patients, 0).label("told"))
    .outerjoin(PatientCount, PatientCount.clinic_id == Clinic.id)
    .order_by(Clinic.id)
)


def compare(database: Database, *, repair: bool = False) -> Iterator[Difference]:
    """All differences, ordered by clinic and patient; the numbers of patients come last.

    With `repair`, each difference is repaired before it is yielded.
    """
    after: tuple[str, str] | None = _START
    while after:
        batch = _compare_batch(database, after, repair)
        yield from batch.differences
        after = batch.last
    numbers = run(database, lambda uow: uow.rows(_COUNTS, {}), writes=False)
    for clinic_id in [clinic_id for clinic_id, number, stored in numbers if number != stored]:
        if run(database, partial(_recount, clinic_id=clinic_id, repair=repair), writes=True):
            yield Difference(clinic_id, None, "patient_counts")


_LOCK_COUNT = select(PatientCount.patients).where(PatientCount.clinic_id == bindparam("clinic_id")).with_for_update()
_COUNT = select(func.count()).select_from(Patient).where(Patient.clinic_id == bindparam("clinic_id"))


def _recount(uow: UnitOfWork, clinic_id: str, *, repair: bool) -> bool:
    """Whether the clinic's stored number of patients is wrong, checked while no patient can be added or removed."""
    row = uow.first(_LOCK_COUNT, {"clinic_id": clinic_id})
    stored = row[0] if row else 0
    number = uow.rows(_COUNT, {"clinic_id": clinic_id})[0][0]
    if number != stored and repair:
        uow.insert(ADD_TO_COUNT, {"clinic_id": clinic_id, "patients": number - stored})
    return number != stored


def _compare_batch(database: Database, after: tuple[str, str], repair: bool) -> _Batch:
    def look(uow: UnitOfWork) -> _Batch:
        return _PatientComparison(uow).look(after)

    def lock(uow: UnitOfWork) -> _Batch:
        return _PatientComparison(uow).lock(after, repair=repair)

    batch = run(database, look, writes=False)
    # The data may have changed between the statements that read it.
    return run(database, lock, writes=True) if batch.differences else batch
