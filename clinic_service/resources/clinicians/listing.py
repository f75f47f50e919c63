"""Pages of clinicians as the API shows them: newest first, and by id when the times are equal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, select

from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Unit
from clinic_service.db.types import wire_time
from clinic_service.models import Clinician, Role
from clinic_service.models.sort_keys import folded

Listing = Select[*tuple[Any, ...]]

COLUMNS = (
    Clinician.clinic_id,
    Clinician.user_id,
    Clinician.invite_id,
    Clinician.email,
    Clinician.name,
    Clinician.is_admin,
    Clinician.is_member,
    Clinician.is_prescriber,
    wire_time(Clinician.created_time),
    wire_time(Clinician.updated_time),
)


class ClinicianRow(NamedTuple):
    """A clinician as the API shows it. Times are the text that is sent."""

    clinic_id: str
    user_id: str | None
    invite_id: str | None
    email: str | None
    name: str | None
    is_admin: bool
    is_member: bool
    is_prescriber: bool
    created_time: str
    updated_time: str


def _newest_first(*conditions: ColumnElement[bool]) -> Listing:
    return select(*COLUMNS).where(*conditions).order_by(Clinician.created_time.desc(), Clinician.id)


@cache
def _whole(statement: Listing) -> Query[ClinicianRow]:
    return Query(ClinicianRow, statement)


@cache
def _page(statement: Listing) -> Query[ClinicianRow]:
    return Query(ClinicianRow, statement.limit(bindparam("limit")).offset(bindparam("offset")))


_HOLDS = {Role.ADMIN: Clinician.is_admin, Role.MEMBER: Clinician.is_member, Role.PRESCRIBER: Clinician.is_prescriber}
_IS_ROLE = frozenset(role.value for role in Role)


class Filters(NamedTuple):
    """The filters of a list of clinicians. All must hold; None is no filter.

    `search` is text that the name or the address contains; `email` is the whole address. Both ignore letter case.
    """

    search: str | None = None
    email: str | None = None
    role: str | None = None


def of_clinic(uow: Unit, clinic_id: str, filters: Filters, limit: int, offset: int) -> Sequence[ClinicianRow]:
    """A page of the clinicians of a clinic, including pending ones. Sends one statement, or none when nothing can match."""
    if filters.role is not None and filters.role not in _IS_ROLE:
        return []
    parameters: dict[str, Any] = {"clinic_id": clinic_id}
    if filters.email is not None:
        parameters["email"] = filters.email.lower()
    statement = _in_clinic(filters.email is not None, filters.role)
    if not filters.search or filters.search.isspace():
        return uow.rows(_page(statement), parameters | {"limit": limit, "offset": offset})
    # Searched in Python, because databases differ in letter case beyond ASCII, and a clinic has few clinicians.
    wanted = folded(filters.search)
    return [row for row in uow.rows(_whole(statement), parameters) if _contains(row, wanted)][offset : offset + limit]


def of_all(uow: Unit, start: datetime | None, end: datetime | None, limit: int, offset: int) -> Sequence[ClinicianRow]:
    """A page of the clinicians of all clinics that were created at `start` or later, and before `end`."""
    statement = _page(_created(start is not None, end is not None))
    return uow.rows(statement, {"start": start, "end": end, "limit": limit, "offset": offset})


_OF_USER = _newest_first(among(Clinician.clinic_id, "clinic_ids"), Clinician.user_id == bindparam("user_id"))


def of_user(uow: Unit, user_id: str, limit: int, offset: int) -> Sequence[ClinicianRow]:
    """A page of the memberships of a user."""
    clinic_ids = ClinicsOfUsers(uow).of_clinician(user_id)
    these = {"user_id": user_id, "clinic_ids": clinic_ids, "limit": limit, "offset": offset}
    return uow.rows(_page(_OF_USER), these) if clinic_ids else []


def _contains(row: ClinicianRow, wanted: str) -> bool:
    return wanted in folded(row.name or "") or wanted in folded(row.email or "")


@cache
def _in_clinic(by_email: bool, role: str | None) -> Listing:
    conditions: list[ColumnElement[bool]] = [Clinician.clinic_id == bindparam("clinic_id")]
    if by_email:
        conditions.append(Clinician.email == bindparam("email"))
    if role is not None:
        conditions.append(_HOLDS[Role(role)].is_(True))
    return _newest_first(*conditions)


@cache
def _created(has_start: bool, has_end: bool) -> Listing:
    conditions: list[ColumnElement[bool]] = []
    if has_start:
        conditions.append(Clinician.created_time >= bindparam("start"))
    if has_end:
        conditions.append(Clinician.created_time < bindparam("end"))
    return _newest_first(*conditions)
