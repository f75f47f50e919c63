"""The TIDE report: which patients of a clinic need attention, by category.

A patient is in the first category that fits. When few patients can be in the report, their figures are fetched and compared
here. Otherwise each category is found by a scan of its own index, which stops when no more patients can be reported. The
maximum numbers of patients are those of the published Clinics API.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select, union_all

from clinic_service.db.repository import Unit
from clinic_service.models import LIST_INDEX, DataSource, DataSourceState
from clinic_service.models.list_index import LAST_DATA, list_index_column
from clinic_service.models.statistics import CGM
from clinic_service.resources.patients.listing.columns import CLINIC_ID, SUMMARIES, Condition, Ids, Rows
from clinic_service.resources.patients.listing.filters import (
    Comparison,
    Filter,
    IndexedFigures,
    Tagged,
    last_data,
    residual,
)
from clinic_service.resources.patients.listing.planner import FEW, fewest, narrowed
from clinic_service.resources.patients.tide.categories import CATEGORIES, COMPARED, TideCategory

# The maximum numbers of patients: in all categories together, and in that of patients without data.
_MOST, _MOST_WITHOUT_DATA = 100, 50
# Newer data counts as present, whatever the state of its source is.
_PRESENT = timedelta(hours=8)
_DEXCOM = "dexcom"
_NEWEST = list_index_column(CGM, LAST_DATA)
_SEEN = Comparison(_NEWEST, lambda newest, _: newest.is_not(None), None)


class TideQuery(NamedTuple):
    """What is reported: patients who carry all the tags and have readings since `cutoff`, in these categories.

    `with_no_data`: patients whose data is missing or old are reported as well.
    """

    period: str
    tag_ids: Sequence[str]
    cutoff: datetime
    categories: Sequence[str]
    with_no_data: bool


NO_DATA = "noData"


def find_tide_patients(
    unit: Unit, clinic_id: str, query: TideQuery, now: datetime, few: int = FEW
) -> dict[str, list[str]]:
    """The ids of the reported patients by category, in the order of the category.

    The caller holds a snapshot, because several statements are sent. When `few` patients or more can be in the report, each
    category is found by an index scan; the result is the same.
    """
    report = _Report(unit, clinic_id, query, few)
    found = report.categories()
    return found | {NO_DATA: report.without_data(now)} if query.with_no_data else found


class _Report:
    def __init__(self, unit: Unit, clinic_id: str, query: TideQuery, few: int) -> None:
        self._unit, self._clinic_id, self._query, self._few = unit, clinic_id, query, few
        self._tagged: list[Filter] = [Tagged(tag_id) for tag_id in dict.fromkeys(query.tag_ids)]
        self._has_data = IndexedFigures(query.period, [last_data(CGM, operator.ge, query.cutoff)])
        self._filters = [*self._tagged, self._has_data]
        self._rows = Rows(LIST_INDEX, query.period)

    def categories(self) -> dict[str, list[str]]:
        """The ids of the patients of each category, without those of the categories before it."""
        members = self._by_figures() or self._by_index_scan
        found: dict[str, list[str]] = {}
        reported: set[str] = set()
        for name in dict.fromkeys(self._query.categories):
            left = _MOST - len(reported)
            found[name] = [one for one in members(CATEGORIES[name]) if one not in reported][:left] if left else []
            reported.update(found[name])
        return found

    def _by_figures(self) -> Callable[[TideCategory], Iterable[str]] | None:
        """A function that finds the members of a category by the figures of all candidates; None when they are not few."""
        found = fewest(self._unit, self._clinic_id, self._filters, self._few)
        if found is None:
            return None
        first, ids = found
        candidates = narrowed(ids, [other for other in self._filters if other is not first]).cte("candidates")
        row = self._rows.alias(*COMPARED)
        of_candidate = and_(*self._rows.conditions(row), row.c.patient_id == candidates.c[0])
        figures = select(*row.c).select_from(candidates.prefix_with("MATERIALIZED").join(row, of_candidate))
        rows = self._execute(figures).all()
        return lambda category: category.members(rows)

    def _by_index_scan(self, category: TideCategory) -> list[str]:
        """The first members of the category, as many as a whole report has: enough even when some are reported already."""
        members = [
            *category.conditions(),
            *self._has_data.row_conditions(LIST_INDEX, category.by),
            *_have_tags(self._tagged, LIST_INDEX.c.patient_id),
        ]
        return self._first(members, category.needs[0], _MOST, descending=category.descending)

    def without_data(self, now: datetime) -> list[str]:
        """The patients with the tags whose data is missing or old: first those who never had data, then the oldest data."""
        found = fewest(self._unit, self._clinic_id, self._tagged, self._few)
        return self._without_data_by_index_scans(now) if found is None else self._without_data_among(*found, now)

    def _without_data_among(self, first: Filter, ids: Ids, now: datetime) -> list[str]:
        """The same among `ids`, the few matches of the first filter."""
        candidates = narrowed(ids, [other for other in self._tagged if other is not first]).subquery()
        one = candidates.c[0]
        summaries = Rows(SUMMARIES, CGM)
        row = summaries.alias("last_data")
        of_candidate = and_(*summaries.conditions(row), row.c.patient_id == one)
        newest = row.c.last_data
        is_overdue = or_(newest < self._query.cutoff, exists(_broken_sources().where(DataSource.patient_id == one)))
        return self._ids(
            select(one)
            .select_from(candidates.outerjoin(row, of_candidate))
            .where(or_(newest.is_(None), and_(newest < now - _PRESENT, is_overdue)))
            .order_by(newest.asc().nulls_first(), one)
            .limit(_MOST_WITHOUT_DATA)
        )

    def _without_data_by_index_scans(self, now: datetime) -> list[str]:
        """The same by index scans, one after the other in the order of the report, until there are enough patients."""
        old = now - _PRESENT
        found = self._never_seen(_MOST_WITHOUT_DATA)
        if len(found) < _MOST_WITHOUT_DATA:
            found += self._last_seen_before(min(self._query.cutoff, old), _MOST_WITHOUT_DATA - len(found))
        if len(found) < _MOST_WITHOUT_DATA:
            found += self._disconnected_before(old, _MOST_WITHOUT_DATA - len(found))
        return found

    def _never_seen(self, most: int) -> list[str]:
        """The patients who have no data at all, in order of their creation."""
        first, *others = self._tagged
        one = first.matches.subquery().c[0]
        seen = IndexedFigures(self._query.period, [_SEEN])
        return self._ids(
            select(one)
            .where(not_(seen.holds(one, correlated=True)), *_have_tags(others, one))
            .order_by(one)
            .limit(most)
        )

    def _last_seen_before(self, time: datetime, most: int) -> list[str]:
        """The patients whose newest data is from before `time`, the oldest first."""
        is_older = last_data(CGM, operator.lt, time)
        members = [is_older.condition(LIST_INDEX), *_have_tags(self._tagged, LIST_INDEX.c.patient_id)]
        return self._first(members, is_older, most, descending=False)

    def _disconnected_before(self, time: datetime, most: int) -> list[str]:
        """The patients with a broken source whose newest data is from between the cutoff and `time`, the oldest first."""
        patient_id, newest = LIST_INDEX.c.patient_id, LIST_INDEX.c[_NEWEST]
        return self._ids(
            select(patient_id)
            .where(
                *self._rows.conditions(),
                patient_id.in_(_broken_sources()),
                residual(and_(newest >= self._query.cutoff, newest < time)),
                *_have_tags(self._tagged, patient_id),
            )
            .order_by(newest, patient_id)
            .limit(most)
        )

    def _first(self, members: Sequence[Condition], by: Comparison, most: int, *, descending: bool) -> list[str]:
        """The ids of the first patients for whom `members` hold, found by a scan of the index on the compared column."""
        value, patient_id = LIST_INDEX.c[by.column], LIST_INDEX.c.patient_id
        by_value = value.desc() if descending else value.asc()
        all_members = select(patient_id, value.label("value")).where(*self._rows.conditions(), *members)
        # The flag leads the index, so values are in order only among rows with the same flag.
        flag = by.flag
        segments = [all_members.where(LIST_INDEX.c[flag] == on) for on in (True, False)] if flag else [all_members]
        limited = [select(s.order_by(by_value, patient_id).limit(most).subquery()) for s in segments]
        merged = union_all(*limited).subquery()
        by_value = merged.c.value.desc() if descending else merged.c.value.asc()
        return self._ids(select(merged.c.patient_id).order_by(by_value, merged.c.patient_id).limit(most))

    def _ids(self, statement: Ids) -> list[str]:
        return list(self._execute(statement).scalars())

    def _execute(self, statement: Any) -> Any:
        return self._unit.execute(statement, {"clinic_id": self._clinic_id})


def _have_tags(tags: Iterable[Filter], patient_id: ColumnElement[str]) -> list[Condition]:
    return [tag.holds(patient_id, correlated=True) for tag in tags]


def _broken_sources() -> Ids:
    """The patients whose Dexcom account is not connected."""
    return select(DataSource.patient_id).where(
        DataSource.clinic_id == CLINIC_ID,
        DataSource.provider_name == _DEXCOM,
        # All other states are listed, because an index cannot find rows by a state that they do not have.
        DataSource.state.in_([state for state in DataSourceState if state is not DataSourceState.CONNECTED]),
    )
