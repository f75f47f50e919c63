"""Reconcile: compares the tables of the clinics of users with the patients and clinicians, and repairs them.

They are compared in batches without a lock. What differs is compared again with the clinic locked, and repaired then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Delete, Insert, Select, bindparam, delete, select, tuple_

from clinic_service.db.dialects import among, insert_or_skip
from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Clinician, Membership, Patient, PatientRecord, PendingClinician
from clinic_service.resources.clinics.errors import ClinicNotFound
from clinic_service.unit_of_work import UnitOfWork, run

_BATCH = 1000

Rows = Select[*tuple[Any, ...]]


class RowDifference(NamedTuple):
    """A row that is missing or surplus: its clinic, its table, and the user or the invitation."""

    clinic_id: str
    what: str


class _Projection(NamedTuple):
    """A table of pairs of a key and a clinic, and the statements that compare it with the rows that it is copied from."""

    name: str
    key: str
    next_of_clinic: Rows
    known: Rows
    next_known: Rows
    existing: Rows
    add: Insert
    remove: Delete


def _projection(model: Any, key: str, source: type[Patient | Clinician]) -> _Projection:
    column, copied = getattr(source, key), getattr(model, key)
    first = tuple_(bindparam("key", type_=copied.type), bindparam("clinic_id", type_=model.clinic_id.type))
    return _Projection(
        model.__tablename__,
        key,
        select(column.label("key"))
        .where(source.clinic_id == bindparam("clinic_id"), column > bindparam("after"))
        .order_by(column)
        .limit(_BATCH),
        select(copied.label("key")).where(among(copied, "keys"), model.clinic_id == bindparam("clinic_id")),
        select(copied.label("key"), model.clinic_id)
        .where(tuple_(copied, model.clinic_id) > first)
        .order_by(copied, model.clinic_id)
        .limit(_BATCH),
        select(column.label("key"), source.clinic_id).where(
            among(source.clinic_id, "clinic_ids"), among(column, "keys")
        ),
        insert_or_skip(model),
        delete(model).where(copied == bindparam("of_key"), model.clinic_id == bindparam("of_clinic")),
    )


_PROJECTIONS = (
    _projection(PatientRecord, "user_id", Patient),
    _projection(Membership, "user_id", Clinician),
    _projection(PendingClinician, "invite_id", Clinician),
)
_CLINICS = select(Clinic.id).order_by(Clinic.id)


def compare(database: Database, *, repair: bool = False) -> Iterator[RowDifference]:
    """All differences. With `repair`, each is repaired before it is yielded."""
    for projection in _PROJECTIONS:
        for key, clinic_id in (*_missing(database, projection), *_surplus(database, projection)):
            if run(
                database,
                partial(_reconcile, projection=projection, key=key, clinic_id=clinic_id, repair=repair),
                writes=True,
            ):
                yield RowDifference(clinic_id, f"{projection.name}.{key}")


def _missing(database: Database, projection: _Projection) -> Iterator[tuple[str, str]]:
    for (clinic_id,) in _read(database, _CLINICS):
        after = ""
        while rows := _read(database, projection.next_of_clinic, clinic_id=clinic_id, after=after):
            keys = [row.key for row in rows]
            known = {row.key for row in _read(database, projection.known, clinic_id=clinic_id, keys=keys)}
            yield from ((key, clinic_id) for key in keys if key not in known)
            after = keys[-1]


def _surplus(database: Database, projection: _Projection) -> Iterator[tuple[str, str]]:
    key, clinic_id = "", ""
    while rows := _read(database, projection.next_known, key=key, clinic_id=clinic_id):
        pairs = [(row.key, row.clinic_id) for row in rows]
        these = {"keys": [key for key, _ in pairs], "clinic_ids": list({clinic_id for _, clinic_id in pairs})}
        existing = {(row.key, row.clinic_id) for row in _read(database, projection.existing, **these)}
        yield from (pair for pair in pairs if pair not in existing)
        key, clinic_id = pairs[-1]


def _read(database: Database, statement: Rows, **parameters: Any) -> list[Any]:
    return run(database, lambda uow: uow.rows(statement, parameters), writes=False)


def _reconcile(uow: UnitOfWork, *, projection: _Projection, key: str, clinic_id: str, repair: bool) -> bool:
    """Whether the row still is missing or surplus, while no patient or clinician of the clinic can change."""
    with suppress(ClinicNotFound):
        uow.clinics.lock(clinic_id)
    exists = bool(uow.rows(projection.existing, {"keys": [key], "clinic_ids": [clinic_id]}))
    is_known = bool(uow.rows(projection.known, {"keys": [key], "clinic_id": clinic_id}))
    if repair and exists and not is_known:
        uow.insert(projection.add, {projection.key: key, "clinic_id": clinic_id})
    if repair and is_known and not exists:
        uow.change(projection.remove, {"of_key": key, "of_clinic": clinic_id})
    return exists != is_known
