"""What a clinic's patients can be narrowed by.

Each filter can be put in three ways, because which one is fast depends on how many patients it leaves: `indexed`, found
by an index at the cost of what that index finds; `matches`, the best way when there are many; and `holds`, asked of one
patient at a time. The planner (`listing.py`) chooses. Every statement has the parameter `clinic_id`.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    bindparam,
    column,
    exists,
    literal_column,
    not_,
    select,
)
from sqlalchemy import table as sql_table

from clinic_service.db.base import Base
from clinic_service.db.dialects import contains
from clinic_service.models import STATISTICS, Patient, PatientSite, PatientTag, Summary
from clinic_service.models.keys import folded

CLINIC_ID: ColumnElement[str] = bindparam("clinic_id")
PATIENTS = Base.metadata.tables[Patient.__tablename__]
SUMMARIES = Base.metadata.tables[Summary.__tablename__]
_TAGS = Base.metadata.tables[PatientTag.__tablename__]
_SITES = Base.metadata.tables[PatientSite.__tablename__]

Ids = Select[str]
Condition = ColumnElement[bool]


class Place(NamedTuple):
    """A column of the rows of one scope, which an order and a filter may have in common; `part` is type or scope."""

    table: Table
    part: str | None
    column: str

    def rows(self, table: FromClause) -> list[Condition]:
        """Those rows of the clinic, in `table` or an alias of it, that the place is about."""
        of_clinic = table.c.clinic_id == CLINIC_ID
        if self.part is None:
            return [of_clinic]
        return [of_clinic, (table.c.scope if self.table is STATISTICS else table.c.type) == self.part]

    def is_beside(self, other: Place | None) -> bool:
        """Whether `other` is a column of the same rows."""
        return other is not None and (self.table, self.part) == (other.table, other.part)

    def another(self, *columns: str) -> FromClause:
        """A second look at the table, for a subquery, that knows its key and these columns.

        An alias of the whole table would know its hundred others as well, and take a millisecond to make.
        """
        names = {*self.table.primary_key.columns.keys(), *columns}
        return sql_table(self.table.name, *(column(name, self.table.c[name].type) for name in names)).alias()

    def patient_id(self, table: FromClause) -> ColumnElement[str]:
        """The patient that a row of `table` belongs to."""
        return table.c.id if self.table is PATIENTS else table.c.patient_id


class Indexed(NamedTuple):
    """The ids of the matches, found by an index; `candidates` are all that the index itself finds, cheap to count."""

    matches: Ids
    candidates: Ids


class Filter(ABC):
    """Something that is true of a patient or not."""

    # The rows it looks at, if they are of one kind: an order that goes by such rows can test it in passing.
    rows: Place | None = None
    # The column it looks at, if it is just one.
    place: Place | None = None

    @property
    def indexed(self) -> Sequence[Indexed]:
        """The ways to find the matches by an index."""
        return ()

    @property
    def matches(self) -> Ids:
        """The ids of the matches, however many there are."""
        return self.indexed[0].matches

    @abstractmethod
    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        """A row that is there if it is true of the patient."""

    def holds(self, patient_id: ColumnElement[str], *, one_by_one: bool = False) -> Condition:
        """Whether it is true of the patient.

        `one_by_one`: to be asked of one patient after the other. PostgreSQL would rather join all of the clinic, which is
        right only where most of the clinic is asked for.
        """
        proof = self.proof(patient_id)
        return exists(proof.offset(0)) if one_by_one else exists(proof)

    def tests(self, table: FromClause) -> list[Condition]:  # noqa: ARG002 - for filters with a place
        """The same, asked of a row of `place`."""
        return []


class Comparison(NamedTuple):
    """A column compared with a value; `flag` leads the index over the column, if it has both."""

    column: str
    compare: Callable[[Any, Any], Any]
    value: Any
    flag: str | None = None
    is_hot: bool = False

    def test(self, table: FromClause) -> Condition:
        """Whether it is true of a row of `table`."""
        tested: Condition = self.compare(table.c[self.column], self.value)
        return tested


class RowFilter(Filter):
    """Comparisons that all have to be true of one row that the patient may have, and without which nothing matches."""

    def __init__(self, table: Table, part: str | None, comparisons: Sequence[Comparison]) -> None:
        self._table, self._comparisons = table, comparisons
        self.rows = self._rows = Place(table, part, comparisons[0].column)
        columns = {comparison.column for comparison in comparisons}
        self.place = self._rows if len(columns) == 1 else None

    @cached_property
    def indexed(self) -> Sequence[Indexed]:
        return [self._found_by(comparison) for comparison in self._comparisons if comparison.is_hot]

    def _found_by(self, comparison: Comparison) -> Indexed:
        # The flag plays no part in a filter. All its values are named, because it stands before the value in the index.
        flag = [] if comparison.flag is None else [self._table.c[comparison.flag].in_((True, False))]
        alone = comparison.test(self._table)
        return Indexed(self._scanned.where(*flag), select(self._patient_id).where(*self._here, *flag, alone))

    @cached_property
    def matches(self) -> Ids:
        # With several comparisons the rows have to be read anyway, and one pass over them beats many look-ups.
        return self.indexed[0].matches if self.indexed and self.place else self._scanned

    @cached_property
    def _scanned(self) -> Ids:
        return select(self._patient_id).where(*self._here, *self.tests(self._table))

    @property
    def _patient_id(self) -> ColumnElement[str]:
        return self._rows.patient_id(self._table)

    @property
    def _here(self) -> list[Condition]:
        return self._rows.rows(self._table)

    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        row = self._rows.another(*(comparison.column for comparison in self._comparisons))
        own = self._rows.patient_id(row) == patient_id
        return select(literal_column("1")).where(*self._rows.rows(row), own, *self.tests(row))

    def tests(self, table: FromClause) -> list[Condition]:
        return [comparison.test(table) for comparison in self._comparisons]


class Figures(RowFilter):
    """Comparisons with figures of one scope. A patient without a figure matches nothing that is said of it."""

    def __init__(self, scope: str, comparisons: Sequence[Comparison]) -> None:
        super().__init__(STATISTICS, scope, comparisons)


class LastData(RowFilter):
    """The time of the newest reading of one type is not before `start`, and before `end`."""

    def __init__(self, kind: str, start: datetime | None, end: datetime | None) -> None:
        bounds = ((operator.ge, start), (operator.lt, end))
        given = [
            Comparison("last_data", compare, time, flag="has_last_data", is_hot=True)
            for compare, time in bounds
            if time is not None
        ]
        super().__init__(SUMMARIES, kind, given)

    @cached_property
    def indexed(self) -> Sequence[Indexed]:
        # Both bounds are found by the same index.
        first = super().indexed[0]
        return [Indexed(first.matches, first.matches)]


class LastReviewed(RowFilter):
    """The newest review is not after `time`; who was never reviewed does not match."""

    def __init__(self, time: datetime) -> None:
        super().__init__(PATIENTS, None, [Comparison("review_1_time", operator.le, time, is_hot=True)])


class StandardRanges(RowFilter):
    """The patient has no glycemic ranges of another kind than the usual ones."""

    def __init__(self) -> None:
        super().__init__(PATIENTS, None, [Comparison("has_standard_ranges", operator.eq, True, is_hot=True)])


class Search(RowFilter):
    """One of the fields that are searched has `text` in it."""

    def __init__(self, text: str) -> None:
        super().__init__(PATIENTS, None, [Comparison("search_text", contains, folded(text))])


def _of_patient(link: FromClause, patient_id: ColumnElement[str]) -> Select[Any]:
    of_patient = (link.c.clinic_id == CLINIC_ID, link.c.patient_id == patient_id)
    return select(literal_column("1")).select_from(link).where(*of_patient)


@dataclass(frozen=True)
class Tagged(Filter):
    """The patient carries the tag."""

    tag_id: str

    @property
    def indexed(self) -> Sequence[Indexed]:
        ids = select(_TAGS.c.patient_id).where(_TAGS.c.clinic_id == CLINIC_ID, _TAGS.c.tag_id == self.tag_id)
        return [Indexed(ids, ids)]

    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        link = _TAGS.alias()
        return _of_patient(link, patient_id).where(link.c.tag_id == self.tag_id)


@dataclass(frozen=True)
class AtAnySite(Filter):
    """The patient belongs to one of the sites at least."""

    site_ids: tuple[str, ...]

    @property
    def indexed(self) -> Sequence[Indexed]:
        at = and_(_SITES.c.clinic_id == CLINIC_ID, _SITES.c.site_id.in_(self.site_ids))
        ids = select(_SITES.c.patient_id).where(at).distinct()
        return [Indexed(ids, ids)]

    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        link = _SITES.alias()
        return _of_patient(link, patient_id).where(link.c.site_id.in_(self.site_ids))


class WithoutLinks(Filter):
    """The patient has no tag at all, or no site at all."""

    def __init__(self, links: FromClause) -> None:
        self._links = links

    @property
    def matches(self) -> Ids:
        return select(PATIENTS.c.id).where(PATIENTS.c.clinic_id == CLINIC_ID, self.holds(PATIENTS.c.id))

    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        """A link, which proves the contrary."""
        return _of_patient(self._links.alias(), patient_id)

    def holds(self, patient_id: ColumnElement[str], *, one_by_one: bool = False) -> Condition:
        return not_(super().holds(patient_id, one_by_one=one_by_one))


UNTAGGED = WithoutLinks(_TAGS)
WITHOUT_SITE = WithoutLinks(_SITES)
