"""FindPatients: the patients of all clinics that one person works for, in order of their names.

The cost grows with the number of clinics and the size of a page, and not with the number of patients. With a criterion
there is one look-up in an index for each clinic. Without a criterion the clinics' indexes of names are merged, and each is
read only as far as the page needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, bindparam, or_, select, union_all

from clinic_service import clock
from clinic_service.clinics_of_users import ClinicsOfUsers
from clinic_service.db.dialects import among
from clinic_service.db.prepared import Query
from clinic_service.db.repository import Unit
from clinic_service.models import Clinic, Clinician, Patient
from clinic_service.models.sort_keys import mrn_key
from clinic_service.resources.patients.descriptions import COLUMNS, PatientDescription, PatientRow, describe

# The maximum number of clinics that one statement merges. Databases accept 500, but compiling that takes half a second.
_MOST_MERGED = 64

# A clinician who is only a prescriber may not see patients.
_WORKS_FOR = and_(
    among(Clinician.clinic_id, "clinic_ids"),
    Clinician.user_id == bindparam("person_id"),
    or_(Clinician.is_member, Clinician.is_admin),
)
_WORKSPACES: dict[str, ColumnElement[bool]] = {
    "clinicId": Clinician.clinic_id == bindparam("workspace_id"),
    "ehrSourceId": Clinician.clinic_id.in_(select(Clinic.id).where(Clinic.ehr_source_id == bindparam("workspace_id"))),
}
_CRITERIA: dict[str, ColumnElement[bool]] = {
    "mrn_key": Patient.mrn_key == bindparam("mrn_key"),
    "birth_date": Patient.birth_date == bindparam("birth_date"),
}
_BY_NAME = (Patient.name_key, Patient.id)


class Search(NamedTuple):
    """The criteria of FindPatients; None is no criterion. A patient is found when all of them hold.

    `workspace_id_type` tells what `workspace_id` is: `clinicId` or `ehrSourceId`.
    """

    mrn: str | None = None
    birth_date: str | None = None
    workspace_id: str | None = None
    workspace_id_type: str | None = None

    @property
    def finds_nobody(self) -> bool:
        """Whether there is a criterion that no record can match."""
        has_no_number = self.mrn is not None and mrn_key(self.mrn) is None
        # An unknown date of birth is spelled UNKNOWN_DATE, and clinics without an EHR source have an empty source id.
        return has_no_number or self.birth_date in ("", clock.UNKNOWN_DATE) or self.workspace_id == ""

    @property
    def criteria(self) -> dict[str, str]:
        """The values that a record must have, by column."""
        wanted = {"mrn_key": mrn_key(self.mrn), "birth_date": self.birth_date}
        return {name: value for name, value in wanted.items() if value is not None}

    @property
    def workspace(self) -> str | None:
        """The key of `_WORKSPACES` that selects clinics of the person; None selects all."""
        return None if self.workspace_id is None else self.workspace_id_type


def find_records(unit: Unit, person_id: str, search: Search, limit: int, offset: int) -> list[PatientDescription]:
    """A page of the patients who match, of the clinics in which the person is a member or an admin.

    They are sorted by name. Of equal names the oldest record comes first.
    """
    if search.finds_nobody:
        return []
    memberships = ClinicsOfUsers(unit).of_clinician(person_id)
    if not memberships:
        return []
    person = {"person_id": person_id, "clinic_ids": memberships, "workspace_id": search.workspace_id}
    criteria = search.criteria
    if criteria:
        statement = _matching(search.workspace, frozenset(criteria))
        matching = unit.rows(statement, {**person, **criteria, "limit": limit, "offset": offset})
        # The last column is what they are sorted by.
        return describe(unit, [PatientRow._make(row[:-1]) for row in matching])
    clinic_ids = [clinic_id for (clinic_id,) in unit.rows(_clinics(search.workspace), person)]
    return describe(unit, _rows(unit, _merged_page(unit, clinic_ids, limit, offset)))


@cache
def _clinics(workspace: str | None) -> Select[str]:
    """The query for the ids of the clinics that are searched."""
    return select(Clinician.clinic_id).where(*_conditions(workspace))


@cache
def _matching(workspace: str | None, criteria: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """The query for a page of the records that match the criteria, which are names of columns."""
    matching = (
        select(*COLUMNS, Patient.name_key)
        .join(Clinician, Clinician.clinic_id == Patient.clinic_id)
        .where(*_conditions(workspace), *(_CRITERIA[name] for name in sorted(criteria)))
        .cte("matching")
        # Otherwise a database may scan all names of a clinic, to avoid sorting the few records that match.
        .prefix_with("MATERIALIZED")
    )
    return (
        select(*matching.columns)
        .order_by(matching.columns.name_key, matching.columns.id)
        .limit(bindparam("limit"))
        .offset(bindparam("offset"))
    )


def _conditions(workspace: str | None) -> Iterable[ColumnElement[bool]]:
    return (_WORKS_FOR,) if workspace is None else (_WORKS_FOR, _WORKSPACES[workspace])


class _Key(NamedTuple):
    """The key of a patient, and the name that patients are sorted by."""

    clinic_id: str
    id: str
    name_key: bytes


def _merged_page(unit: Unit, clinic_ids: Sequence[str], limit: int, offset: int) -> Sequence[_Key]:
    """The keys of the patients on the page."""
    reach = offset + limit
    if len(clinic_ids) <= _MOST_MERGED:
        return _merge(unit, clinic_ids, reach, limit, offset) if clinic_ids else []
    chunks = (clinic_ids[start : start + _MOST_MERGED] for start in range(0, len(clinic_ids), _MOST_MERGED))
    rows = [row for chunk in chunks for row in _merge(unit, chunk, reach, reach, 0)]
    return sorted(rows, key=lambda row: (row.name_key, row.id))[offset:reach]


def _merge(unit: Unit, clinic_ids: Sequence[str], reach: int, limit: int, offset: int) -> Sequence[_Key]:
    # The size is a power of two, so that few statements are compiled. Surplus parameters are null, which finds nothing,
    # and on a cluster asks no machine.
    size = 1 << (len(clinic_ids) - 1).bit_length()
    clinics: dict[str, Any] = dict.fromkeys(f"clinic_{number}" for number in range(size))
    clinics.update((f"clinic_{number}", clinic_id) for number, clinic_id in enumerate(clinic_ids))
    return unit.rows(_merging(size), {**clinics, "reach": reach, "limit": limit, "offset": offset})


@cache
def _merging(size: int) -> Query[_Key]:
    """The query for the keys of the patients of `size` clinics in order of names: the first `reach` of each clinic."""
    return Query(
        _Key,
        union_all(*(_first_of_clinic(f"clinic_{number}") for number in range(size)))
        .order_by("name_key", "id")
        .limit(bindparam("limit"))
        .offset(bindparam("offset")),
    )


def _first_of_clinic(clinic: str) -> Select[*tuple[Any, ...]]:
    first = (
        select(Patient.clinic_id, Patient.id, Patient.name_key)
        .where(Patient.clinic_id == bindparam(clinic))
        .order_by(*_BY_NAME)
        .limit(bindparam("reach"))
        .subquery()
    )
    return select(first)


_BY_KEY = select(*COLUMNS).where(
    Patient.clinic_id.in_(bindparam("clinic_ids", expanding=True)), Patient.id.in_(bindparam("ids", expanding=True))
)


def _rows(unit: Unit, page: Sequence[_Key]) -> list[PatientRow]:
    """The records with these keys, in this order, without those that were deleted meanwhile."""
    if not page:
        return []
    keys = {"clinic_ids": list({key.clinic_id for key in page}), "ids": [key.id for key in page]}
    found = {row.id: row for row in map(PatientRow._make, unit.execute(_BY_KEY, keys))}
    return [found[key.id] for key in page if key.id in found]
