"""Locks of the rows of clinics.

A statement locks rows of one clinic only, because Citus refuses `FOR UPDATE` on several machines. Rows of several clinics
are locked clinic by clinic, in the order of their ids, so that no two transactions wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from sqlalchemy import bindparam

from clinic_service.db.base import Base

if TYPE_CHECKING:
    from sqlalchemy import Select

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def locking(statement: Select[*Ts], model: type[Base]) -> Select[*Ts]:
    """The statement for the clinic `clinic_id`, a parameter. It locks the rows of `model` until the transaction ends."""
    clinic_id: Any = getattr(model, str(model.placement.column))
    return statement.where(clinic_id == bindparam("clinic_id")).with_for_update(of=model)


def lock_by_clinic(find: Callable[[], Collection[str]], lock: Callable[[str], Sequence[T]]) -> list[T]:
    """The rows that `lock` locks in each of the clinics that `find` finds, sorted by clinic.

    While a lock is waited for, a merge may move the row to another clinic. Then the first clinic has no such row any more,
    so the clinics are read again.
    """
    clinic_ids: list[str] = []
    while (found := sorted(find())) != clinic_ids:
        clinic_ids = found
        rows = [lock(clinic_id) for clinic_id in clinic_ids]
        if all(rows):
            return [row for of_clinic in rows for row in of_clinic]
    return [row for clinic_id in clinic_ids for row in lock(clinic_id)]
