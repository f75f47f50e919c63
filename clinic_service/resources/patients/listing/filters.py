"""The filters of the patient list.

A filter can be applied in three ways, because the fastest way depends on how many patients match: `index_lookups` find the
matches in an index, at a cost that grows with what the index finds; `matches` is the best way to find many; and `holds` is
a condition on one patient. The planner (`planner.py`) chooses.
"""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table, and_, exists, false, func, literal_column, not_, select

from clinic_service.db.base import Base
from clinic_service.db.dialects import contains
from clinic_service.models import LIST_INDEX, STATISTICS, PatientSite, PatientTag
from clinic_service.models.list_index import LAST_DATA, list_index_column
from clinic_service.models.sort_keys import sought
from clinic_service.models.statistics import TYPES
from clinic_service.resources.patients.listing.columns import (
    CLINIC_ID,
    PATIENTS,
    SUMMARIES,
    Condition,
    Ids,
    Rows,
    SortColumn,
)

_TAGS = Base.metadata.tables[PatientTag.__tablename__]
_SITES = Base.metadata.tables[PatientSite.__tablename__]
# The type of each column of last data in the list index.
_LAST_DATA = {list_index_column(kind, LAST_DATA): kind for kind in TYPES}


class IndexLookup(NamedTuple):
    """A way to find the matches by an index.

    `matches` are their ids. `candidates` are the ids of all that the index itself finds, which are cheap to count.
    """

    matches: Ids
    candidates: Ids


class Filter(ABC):
    """A condition on patients."""

    # The rows that the filter tests, when they are of one part of a table: a scan of these rows can test it on each row.
    rows: Rows | None = None
    # The columns of `rows` that the filter tests.
    columns: frozenset[str] = frozenset()

    @property
    def index_lookups(self) -> Sequence[IndexLookup]:
        """The ways to find the matches by an index."""
        return ()

    @property
    def matches(self) -> Ids:
        """The ids of the matches. This is the best way to find them when there are many."""
        return self.index_lookups[0].matches

    @abstractmethod
    def deciding_rows(self, patient_id: ColumnElement[str]) -> Select[Any]:
        """The rows of the patient that decide the filter: it holds when there is one."""

    def holds(self, patient_id: ColumnElement[str], *, correlated: bool = False) -> Condition:
        """Whether the filter holds for the patient.

        `correlated`: the subquery runs once for each patient. Otherwise PostgreSQL may join all rows of the clinic, which
        is faster only when most of its patients are tested.
        """
        rows = self.deciding_rows(patient_id)
        return exists(rows.offset(0)) if correlated else exists(rows)

    def row_conditions(self, table: FromClause, scanned: str | None = None) -> list[Condition]:  # noqa: ARG002
        """The filter as conditions on one of `rows`, in `table` or an alias of it; none for a filter without `rows`.

        `scanned` is the column whose index is scanned. Conditions on other columns are residual filters.
        """
        return []


class Comparison(NamedTuple):
    """A column compared with a value.

    `flag` is the column that leads the index on the compared column, if it has one. `is_indexed`: there is such an index.
    """

    column: str
    compare: Callable[[Any, Any], Any]
    value: Any
    flag: str | None = None
    is_indexed: bool = False

    def condition(self, table: FromClause) -> Condition:
        """The comparison as a condition on a row of `table`."""
        condition: Condition = self.compare(table.c[self.column], self.value)
        return condition


def last_data(kind: str, compare: Callable[[Any, Any], Any], time: datetime) -> Comparison:
    """Compares the time of the newest reading of one type with `time`."""
    column, flag = list_index_column(kind, LAST_DATA), list_index_column(kind, "hasLastData")
    return Comparison(column, compare, time, flag, is_indexed=True)


def residual(condition: Condition) -> Condition:
    """The condition in a form that no index serves: the database tests it on each row that it scans."""
    return func.coalesce(condition, false())


class RowFilter(Filter):
    """Comparisons that must all hold for one row of the patient. A patient without the row does not match."""

    def __init__(self, table: Table, part: str | None, comparisons: Sequence[Comparison]) -> None:
        self._table, self._comparisons = table, comparisons
        self.rows = self._rows = Rows(table, part)
        self.columns = frozenset(comparison.column for comparison in comparisons)

    @cached_property
    def _lookups(self) -> dict[str, IndexLookup]:
        """For each indexed column, the way to find the matches by its index."""
        names = dict.fromkeys(comparison.column for comparison in self._comparisons if comparison.is_indexed)
        return {name: self._lookup(name) for name in names}

    @property
    def index_lookups(self) -> Sequence[IndexLookup]:
        return list(self._lookups.values())

    def _lookup(self, name: str) -> IndexLookup:
        comparisons = [comparison for comparison in self._comparisons if comparison.column == name]
        # A filter ignores the flag. Both its values are listed, because the flag leads the index.
        flags = {comparison.flag for comparison in comparisons if comparison.flag}
        any_flag = [self._table.c[flag].in_((True, False)) for flag in flags]
        rows = select(self._rows.patient_id()).where(*self._rows.conditions(), *any_flag)
        candidates = rows.where(*(comparison.condition(self._table) for comparison in comparisons))
        if self._is_covered_by(name):
            return IndexLookup(rows.where(*self.row_conditions(self._table, name)), candidates)
        return IndexLookup(candidates.where(self.holds(self._rows.patient_id())), candidates)

    def _is_covered_by(self, name: str) -> bool:
        """Whether the index on that column contains all columns of the filter."""
        return self.columns <= SortColumn(self._rows, name).indexed_columns

    @cached_property
    def matches(self) -> Ids:
        # When no index covers all columns, the rows must be read: one scan of them is faster than many look-ups.
        covering = (lookup.matches for name, lookup in self._lookups.items() if self._is_covered_by(name))
        scan = select(self._rows.patient_id()).where(*self._rows.conditions(), *self.row_conditions(self._table))
        return next(covering, scan)

    def deciding_rows(self, patient_id: ColumnElement[str]) -> Select[Any]:
        row = self._rows.alias(*self.columns)
        of_patient = self._rows.patient_id(row) == patient_id
        # The row of one patient is found by the primary key, so every comparison is residual.
        conditions = (*self._rows.conditions(row), of_patient, *self.row_conditions(row))
        return select(literal_column("1")).where(*conditions)

    def row_conditions(self, table: FromClause, scanned: str | None = None) -> list[Condition]:
        conditions = ((comparison.column, comparison.condition(table)) for comparison in self._comparisons)
        return [condition if column == scanned else residual(condition) for column, condition in conditions]


class Figures(RowFilter):
    """Comparisons with figures of one type and period. A comparison with a missing figure does not hold."""

    def __init__(self, scope: str, comparisons: Sequence[Comparison]) -> None:
        super().__init__(STATISTICS, scope, comparisons)


class IndexedFigures(RowFilter):
    """Comparisons with figures and dates in the list index, of one period and both types.

    A comparison with a missing value does not hold.
    """

    def __init__(self, period: str, comparisons: Sequence[Comparison]) -> None:
        super().__init__(LIST_INDEX, period, comparisons)

    def _lookup(self, name: str) -> IndexLookup:
        lookup = super()._lookup(name)
        kind = _LAST_DATA.get(name)
        if kind is None:
            return lookup
        # The table of summaries has an index on the same dates. It is half the size, so counting takes half the time.
        rows = Rows(SUMMARIES, kind)
        window = [one._replace(column="last_data") for one in self._comparisons if one.column == name]
        conditions = (*rows.conditions(), *(comparison.condition(SUMMARIES) for comparison in window))
        candidates = select(rows.patient_id()).where(*conditions)
        return IndexLookup(candidates if self.columns == {name} else lookup.matches, candidates)


class LastReviewed(RowFilter):
    """The newest review is at `time` or before. A patient who was never reviewed does not match."""

    def __init__(self, time: datetime) -> None:
        super().__init__(PATIENTS, None, [Comparison("review_1_time", operator.le, time, is_indexed=True)])


class StandardRanges(RowFilter):
    """The patient has the standard glycemic ranges."""

    def __init__(self) -> None:
        super().__init__(PATIENTS, None, [Comparison("has_standard_ranges", operator.eq, True, is_indexed=True)])


class TextSearch(RowFilter):
    """One of the searched fields contains `text`."""

    def __init__(self, text: str) -> None:
        super().__init__(PATIENTS, None, [Comparison("search_text", contains, sought(text))])


def _links_of(link: FromClause, patient_id: ColumnElement[str]) -> Select[Any]:
    of_patient = (link.c.clinic_id == CLINIC_ID, link.c.patient_id == patient_id)
    return select(literal_column("1")).select_from(link).where(*of_patient)


@dataclass(frozen=True)
class Tagged(Filter):
    """The patient carries the tag."""

    tag_id: str

    @property
    def index_lookups(self) -> Sequence[IndexLookup]:
        ids = select(_TAGS.c.patient_id).where(_TAGS.c.clinic_id == CLINIC_ID, _TAGS.c.tag_id == self.tag_id)
        return [IndexLookup(ids, ids)]

    def deciding_rows(self, patient_id: ColumnElement[str]) -> Select[Any]:
        link = _TAGS.alias()
        return _links_of(link, patient_id).where(link.c.tag_id == self.tag_id)


@dataclass(frozen=True)
class AtAnySite(Filter):
    """The patient belongs to at least one of the sites."""

    site_ids: tuple[str, ...]

    @property
    def index_lookups(self) -> Sequence[IndexLookup]:
        at_site = and_(_SITES.c.clinic_id == CLINIC_ID, _SITES.c.site_id.in_(self.site_ids))
        ids = select(_SITES.c.patient_id).where(at_site).distinct()
        return [IndexLookup(ids, ids)]

    def deciding_rows(self, patient_id: ColumnElement[str]) -> Select[Any]:
        link = _SITES.alias()
        return _links_of(link, patient_id).where(link.c.site_id.in_(self.site_ids))


class WithoutLinks(Filter):
    """The patient has no tag, or no site. In contrast to other filters, it holds when there is no deciding row."""

    def __init__(self, links: FromClause) -> None:
        self._links = links

    @property
    def matches(self) -> Ids:
        return select(PATIENTS.c.id).where(PATIENTS.c.clinic_id == CLINIC_ID, self.holds(PATIENTS.c.id))

    def deciding_rows(self, patient_id: ColumnElement[str]) -> Select[Any]:
        return _links_of(self._links.alias(), patient_id)

    def holds(self, patient_id: ColumnElement[str], *, correlated: bool = False) -> Condition:
        return not_(super().holds(patient_id, correlated=correlated))


UNTAGGED = WithoutLinks(_TAGS)
WITHOUT_SITE = WithoutLinks(_SITES)
