"""What a clinic's patients can be narrowed by.

Each filter can be put in three ways, because which one is fast depends on how many patients it leaves: `indexed`, found
by an index at the cost of what that index finds; `matches`, the best way when there are many; and `holds`, asked of one
patient at a time. The planner (`planner.py`) chooses. Every statement has the parameter `clinic_id`.
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
    false,
    func,
    literal_column,
    not_,
    select,
)
from sqlalchemy import table as sql_table

from clinic_service.db.base import Base
from clinic_service.db.dialects import contains
from clinic_service.models import HOT_STATISTICS, STATISTICS, Patient, PatientSite, PatientTag, Summary
from clinic_service.models.list_index import CARRIED, LAST_DATA, hot_column
from clinic_service.models.sort_keys import sought
from clinic_service.models.statistics import TYPES

CLINIC_ID: ColumnElement[str] = bindparam("clinic_id")
PATIENTS = Base.metadata.tables[Patient.__tablename__]
SUMMARIES = Base.metadata.tables[Summary.__tablename__]
_TAGS = Base.metadata.tables[PatientTag.__tablename__]
_SITES = Base.metadata.tables[PatientSite.__tablename__]

Ids = Select[str]
Condition = ColumnElement[bool]
# The type of each hot column of last data.
_LAST_DATA = {hot_column(kind, LAST_DATA): kind for kind in TYPES}
# The column that, beside the clinic, says which rows of a table are meant.
_PARTS = {STATISTICS: "scope", HOT_STATISTICS: "period", SUMMARIES: "type"}


class Place(NamedTuple):
    """A column of the rows of one kind, which an order and a filter may have in common; `part` says of which kind."""

    table: Table
    part: str | None
    column: str

    def rows(self, table: FromClause) -> list[Condition]:
        """Those rows of the clinic, in `table` or an alias of it, that the place is about."""
        of_clinic = table.c.clinic_id == CLINIC_ID
        if self.part is None:
            return [of_clinic]
        return [of_clinic, table.c[_PARTS[self.table]] == self.part]

    def is_beside(self, other: Place | None) -> bool:
        """Whether `other` is a column of the same rows."""
        return other is not None and (self.table, self.part) == (other.table, other.part)

    @property
    def indexed_with(self) -> frozenset[str]:
        """The columns that an index over this one contains."""
        return frozenset((self.column, *CARRIED) if self.table is HOT_STATISTICS else (self.column,))

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

    # The rows it looks at, if they are of one kind: a sort order over such rows tests it as a residual filter.
    rows: Place | None = None
    # What it looks at in them.
    columns: frozenset[str] = frozenset()

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

    def tests(self, table: FromClause, along: str | None = None) -> list[Condition]:  # noqa: ARG002 - for RowFilter
        """The same, asked of each of `rows` that is met along an index over the column `along`."""
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


def last_data(kind: str, compare: Callable[[Any, Any], Any], time: datetime) -> Comparison:
    """The time of the newest reading of one type."""
    column, flag = hot_column(kind, LAST_DATA), hot_column(kind, "hasLastData")
    return Comparison(column, compare, time, flag, is_hot=True)


def aside(condition: Condition) -> Condition:
    """The same in a form that no index serves, so that a database does not think of a way of its own."""
    return func.coalesce(condition, false())


class RowFilter(Filter):
    """Comparisons that all have to be true of one row that the patient may have, and without which nothing matches."""

    def __init__(self, table: Table, part: str | None, comparisons: Sequence[Comparison]) -> None:
        self._table, self._comparisons = table, comparisons
        self.rows = self._rows = Place(table, part, comparisons[0].column)
        self.columns = frozenset(comparison.column for comparison in comparisons)

    @cached_property
    def _ways(self) -> dict[str, Indexed]:
        """How the matches are found by the index over each column that has one."""
        return {
            column: self._found_by(column) for column in dict.fromkeys(c.column for c in self._comparisons if c.is_hot)
        }

    @property
    def indexed(self) -> Sequence[Indexed]:
        return list(self._ways.values())

    def _found_by(self, column: str) -> Indexed:
        alike = [comparison for comparison in self._comparisons if comparison.column == column]
        # The flag plays no part in a filter. All its values are named, because it stands before the value in the index.
        flags = {comparison.flag for comparison in alike if comparison.flag}
        flag = [self._table.c[name].in_((True, False)) for name in flags]
        found = select(self._patient_id).where(*self._here, *flag)
        alone = found.where(*(comparison.test(self._table) for comparison in alike))
        if self._is_covered_by(column):
            return Indexed(found.where(*self.tests(self._table, column)), alone)
        return Indexed(alone.where(self.holds(self._patient_id)), alone)

    def _is_covered_by(self, column: str) -> bool:
        """Whether the index over that column contains all columns."""
        return self.columns <= self._rows._replace(column=column).indexed_with

    @cached_property
    def matches(self) -> Ids:
        # Where no index has all the columns the rows have to be read, and one pass over them beats many look-ups.
        covering = (way.matches for column, way in self._ways.items() if self._is_covered_by(column))
        return next(covering, select(self._patient_id).where(*self._here, *self.tests(self._table)))

    @property
    def _patient_id(self) -> ColumnElement[str]:
        return self._rows.patient_id(self._table)

    @property
    def _here(self) -> list[Condition]:
        return self._rows.rows(self._table)

    def proof(self, patient_id: ColumnElement[str]) -> Select[Any]:
        row = self._rows.another(*self.columns)
        own = self._rows.patient_id(row) == patient_id
        # No index but that of the key is of use for one patient.
        return select(literal_column("1")).where(*self._rows.rows(row), own, *self.tests(row))

    def tests(self, table: FromClause, along: str | None = None) -> list[Condition]:
        tests = ((one.column, one.test(table)) for one in self._comparisons)
        return [test if column == along else aside(test) for column, test in tests]


class Figures(RowFilter):
    """Comparisons with figures of one type and period. A patient without a figure matches nothing that is said of it."""

    def __init__(self, scope: str, comparisons: Sequence[Comparison]) -> None:
        super().__init__(STATISTICS, scope, comparisons)


class HotFigures(RowFilter):
    """As `Figures`, with hot figures and dates of one period, of either type."""

    def __init__(self, period: str, comparisons: Sequence[Comparison]) -> None:
        super().__init__(HOT_STATISTICS, period, comparisons)

    def _found_by(self, column: str) -> Indexed:
        found = super()._found_by(column)
        kind = _LAST_DATA.get(column)
        if kind is None:
            return found
        # The same dates stand in an index of half the size, where they are counted in half the time.
        dates = Place(SUMMARIES, kind, "last_data")
        window = [one._replace(column=dates.column) for one in self._comparisons if one.column == column]
        here = (*dates.rows(SUMMARIES), *(one.test(SUMMARIES) for one in window))
        alone = select(SUMMARIES.c.patient_id).where(*here)
        return Indexed(alone if self.columns == {column} else found.matches, alone)


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
        super().__init__(PATIENTS, None, [Comparison("search_text", contains, sought(text))])


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
