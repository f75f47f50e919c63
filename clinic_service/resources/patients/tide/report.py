"""The TIDE report: which patients of a clinic need attention, by category.

A patient appears in the first category that fits. Where few patients can appear at all, their figures are fetched and
sorted into categories here; otherwise each category is read from the end of its own index, only as far as its patients can
be among those reported. The limits are those of the published Clinics API.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, and_, exists, not_, or_, select, union_all

from clinic_service.db.repository import Unit
from clinic_service.models import HOT_STATISTICS, DataSource, DataSourceState
from clinic_service.models.list_index import LAST_DATA, hot_column
from clinic_service.models.statistics import CGM
from clinic_service.resources.patients.listing.filters import (
    CLINIC_ID,
    SUMMARIES,
    Comparison,
    Condition,
    Filter,
    HotFigures,
    Ids,
    Place,
    Tagged,
    aside,
    last_data,
)
from clinic_service.resources.patients.listing.planner import FEW, fewest, narrowed
from clinic_service.resources.patients.tide.categories import CATEGORIES, COMPARED, Category

# All categories together, and those without data.
_MOST, _MOST_WITHOUT_DATA = 100, 50
# Data that is not older counts as present, whatever the state of its source.
_PRESENT = timedelta(hours=8)
_DEXCOM = "dexcom"
_NEWEST = hot_column(CGM, LAST_DATA)
_SEEN = Comparison(_NEWEST, lambda newest, _: newest.is_not(None), None)


class TideQuery(NamedTuple):
    """Who is reported: patients who carry all the tags, with readings since `cutoff`, in these categories."""

    period: str
    tag_ids: Sequence[str]
    cutoff: datetime
    categories: Sequence[str]
    with_no_data: bool


NO_DATA = "noData"


def find_tide_patients(
    unit: Unit, clinic_id: str, query: TideQuery, now: datetime, few: int = FEW
) -> dict[str, list[str]]:
    """The ids of the reported patients by category, in their order. The questions belong into one snapshot.

    From `few` patients on who could be reported, each category is read along its index; the answer is the same.
    """
    report = _Report(unit, clinic_id, query, few)
    found = report.categories()
    return found | {NO_DATA: report.without_data(now)} if query.with_no_data else found


class _Report:
    def __init__(self, unit: Unit, clinic_id: str, query: TideQuery, few: int) -> None:
        self._unit, self._clinic_id, self._query, self._few = unit, clinic_id, query, few
        self._tagged: list[Filter] = [Tagged(tag_id) for tag_id in dict.fromkeys(query.tag_ids)]
        self._has_data = HotFigures(query.period, [last_data(CGM, operator.ge, query.cutoff)])
        self._filters = [*self._tagged, self._has_data]
        self._rows = Place(HOT_STATISTICS, query.period, "")

    def categories(self) -> dict[str, list[str]]:
        """Each category with those of its patients whom none before it has claimed."""
        members = self._by_figures() or self._along_index
        found: dict[str, list[str]] = {}
        claimed: set[str] = set()
        for name in dict.fromkeys(self._query.categories):
            left = _MOST - len(claimed)
            found[name] = [one for one in members(CATEGORIES[name]) if one not in claimed][:left] if left else []
            claimed.update(found[name])
        return found

    def _by_figures(self) -> Callable[[Category], Iterable[str]] | None:
        """How to tell the members of a category where few patients can be reported at all, else None."""
        found = fewest(self._unit, self._clinic_id, self._filters, self._few)
        if found is None:
            return None
        first, ids = found
        candidates = narrowed(ids, [other for other in self._filters if other is not first]).cte("candidates")
        row = self._rows.another(*COMPARED)
        own = and_(*self._rows.rows(row), row.c.patient_id == candidates.c[0])
        figures = select(*row.c).select_from(candidates.prefix_with("MATERIALIZED").join(row, own))
        rows = self._execute(figures).all()
        return lambda category: category.members(rows)

    def _along_index(self, category: Category) -> list[str]:
        """The first of the category, as many as a report can hold: enough, however many are claimed already."""
        members = [
            *category.conditions(),
            *self._has_data.tests(HOT_STATISTICS, category.by),
            *_carry(self._tagged, HOT_STATISTICS.c.patient_id),
        ]
        return self._first(members, category.needs[0], _MOST, descending=category.descending)

    def without_data(self, now: datetime) -> list[str]:
        """Patients with the tags whose data is missing or old: those who never had any first, then the oldest."""
        found = fewest(self._unit, self._clinic_id, self._tagged, self._few)
        return self._without_data_along_index(now) if found is None else self._without_data_among(*found, now)

    def _without_data_among(self, first: Filter, ids: Ids, now: datetime) -> list[str]:
        candidates = narrowed(ids, [other for other in self._tagged if other is not first]).subquery()
        one = candidates.c[0]
        dates = Place(SUMMARIES, CGM, "last_data")
        row = dates.another(dates.column)
        own = and_(*dates.rows(row), row.c.patient_id == one)
        newest = row.c[dates.column]
        is_waiting = or_(newest < self._query.cutoff, exists(_broken_sources().where(DataSource.patient_id == one)))
        return self._ids(
            select(one)
            .select_from(candidates.outerjoin(row, own))
            .where(or_(newest.is_(None), and_(newest < now - _PRESENT, is_waiting)))
            .order_by(newest.asc().nulls_first(), one)
            .limit(_MOST_WITHOUT_DATA)
        )

    def _without_data_along_index(self, now: datetime) -> list[str]:
        """The same, looked for in the order in which they are reported, and only until there are enough."""
        old = now - _PRESENT
        found = self._never_seen(_MOST_WITHOUT_DATA)
        if len(found) < _MOST_WITHOUT_DATA:
            found += self._last_seen_before(min(self._query.cutoff, old), _MOST_WITHOUT_DATA - len(found))
        if len(found) < _MOST_WITHOUT_DATA:
            found += self._waiting_since(old, _MOST_WITHOUT_DATA - len(found))
        return found

    def _never_seen(self, most: int) -> list[str]:
        """Those who have no data at all, in order of their creation."""
        first, *others = self._tagged
        one = first.matches.subquery().c[0]
        seen = HotFigures(self._query.period, [_SEEN])
        return self._ids(
            select(one).where(not_(seen.holds(one, one_by_one=True)), *_carry(others, one)).order_by(one).limit(most)
        )

    def _last_seen_before(self, time: datetime, most: int) -> list[str]:
        """Those whose newest data is older than that."""
        is_older = last_data(CGM, operator.lt, time)
        members = [is_older.test(HOT_STATISTICS), *_carry(self._tagged, HOT_STATISTICS.c.patient_id)]
        return self._first(members, is_older, most, descending=False)

    def _waiting_since(self, time: datetime, most: int) -> list[str]:
        """Those whose newest data is older than that, but not than the cutoff, and whose source has trouble."""
        patient_id, newest = HOT_STATISTICS.c.patient_id, HOT_STATISTICS.c[_NEWEST]
        return self._ids(
            select(patient_id)
            .where(
                *self._rows.rows(HOT_STATISTICS),
                patient_id.in_(_broken_sources()),
                aside(and_(newest >= self._query.cutoff, newest < time)),
                *_carry(self._tagged, patient_id),
            )
            .order_by(newest, patient_id)
            .limit(most)
        )

    def _first(self, members: Sequence[Condition], along: Comparison, most: int, *, descending: bool) -> list[str]:
        """The first of the members, read along the index over one figure."""
        value, patient_id = HOT_STATISTICS.c[along.column], HOT_STATISTICS.c.patient_id
        by_value = value.desc() if descending else value.asc()
        all_members = select(patient_id, value.label("value")).where(*self._rows.rows(HOT_STATISTICS), *members)
        # In an index with a flag the values are in order only as long as the flag is the same.
        flag = along.flag
        stretches = [all_members.where(HOT_STATISTICS.c[flag] == on) for on in (True, False)] if flag else [all_members]
        limited = [select(s.order_by(by_value, patient_id).limit(most).subquery()) for s in stretches]
        merged = union_all(*limited).subquery()
        by_value = merged.c.value.desc() if descending else merged.c.value.asc()
        return self._ids(select(merged.c.patient_id).order_by(by_value, merged.c.patient_id).limit(most))

    def _ids(self, statement: Ids) -> list[str]:
        return list(self._execute(statement).scalars())

    def _execute(self, statement: Any) -> Any:
        return self._unit.execute(statement, {"clinic_id": self._clinic_id})


def _carry(tags: Iterable[Filter], patient_id: ColumnElement[str]) -> list[Condition]:
    return [tag.holds(patient_id, one_by_one=True) for tag in tags]


def _broken_sources() -> Ids:
    """The patients whose Dexcom account is not connected."""
    return select(DataSource.patient_id).where(
        DataSource.clinic_id == CLINIC_ID,
        DataSource.provider_name == _DEXCOM,
        # Each by its name, because an index finds what is, and not what is not.
        DataSource.state.in_([state for state in DataSourceState if state is not DataSourceState.CONNECTED]),
    )
