"""The TIDE report: which patients of a clinic need attention, by category.

Its categories, thresholds and limits are those of the published Clinics API. A patient appears in the first category that
fits. Where few patients can appear at all, their figures are fetched and sorted into categories here; otherwise each
category is read from the end of its own index, only as far as its patients can be among those reported.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import and_, exists, or_, select, union_all

from clinic_service.db.repository import Unit
from clinic_service.models import HOT_STATISTICS, DataSource, DataSourceState
from clinic_service.models.hot_statistics import HOT, hot_column
from clinic_service.models.statistics import CGM, DELTA
from clinic_service.resources.patients.filters import (
    CLINIC_ID,
    SUMMARIES,
    Comparison,
    Condition,
    Filter,
    HotFigures,
    Place,
    Tagged,
    aside,
    last_data,
)
from clinic_service.resources.patients.listing import FEW, fewest, narrowed

# All categories together, and those without data.
_MOST, _MOST_WITHOUT_DATA = 100, 50
# Data that is not older counts as present, whatever the state of its source.
_PRESENT = timedelta(hours=8)
_DEXCOM = "dexcom"
_FLAGS = {hot.name: hot_column(CGM, hot.flag) for hot in HOT if hot.kind == CGM and hot.flag}


class TideQuery(NamedTuple):
    """Who is reported: patients who carry all the tags, with readings since `cutoff`, in these categories."""

    period: str
    tag_ids: Sequence[str]
    cutoff: datetime
    categories: Sequence[str]
    with_no_data: bool


@dataclass(frozen=True)
class Category:
    """Patients for whom all of `needs` and none of `forbids` is true, sorted by the figure of the first need.

    A figure that is missing fulfils no need, and is no obstacle.
    """

    needs: tuple[Comparison, ...]
    descending: bool
    forbids: tuple[Comparison, ...] = ()

    @property
    def by(self) -> str:
        """The column that the category is sorted by."""
        return self.needs[0].column

    def fits(self, figures: Any) -> bool:
        """Whether a patient with these figures belongs to it."""
        return all(_is_true(need, figures) for need in self.needs) and not any(
            _is_true(forbidden, figures) for forbidden in self.forbids
        )

    def conditions(self) -> list[Condition]:
        """The same, asked of a row of the hot statistics."""
        table = HOT_STATISTICS.c
        first, *needs = [need.compare(table[need.column], need.value) for need in self.needs]
        holds = [or_(table[one.column].is_(None), ~one.compare(table[one.column], one.value)) for one in self.forbids]
        return [first, aside(and_(*needs, *holds))] if needs or holds else [first]


def _is_true(comparison: Comparison, figures: Any) -> bool:
    value = getattr(figures, comparison.column)
    return value is not None and bool(comparison.compare(value, comparison.value))


def _when(name: str, compare: Callable[[Any, Any], Any], value: float) -> Comparison:
    return Comparison(hot_column(CGM, name), compare, value, _FLAGS.get(name), is_hot=True)


_VERY_LOW = _when("timeInVeryLowPercent", operator.gt, 0.01)
_ANY_LOW = _when("timeInAnyLowPercent", operator.gt, 0.04)
_VERY_HIGH = _when("timeInVeryHighPercent", operator.gt, 0.05)
_ANY_HIGH = _when("timeInAnyHighPercent", operator.gt, 0.25)
_EXTREME_HIGH = _when("timeInExtremeHighPercent", operator.ge, 0.01)
_IN_TARGET = _when("timeInTargetPercent", operator.ge, 0.7)
_USED = _when("timeCGMUsePercent", operator.ge, 0.7)

CATEGORIES = {
    "timeInVeryLowPercent": Category((_VERY_LOW,), descending=True),
    "timeInAnyLowPercent": Category((_ANY_LOW,), descending=True),
    "timeInVeryHighPercent": Category((_VERY_HIGH,), descending=True),
    "timeInAnyHighPercent": Category((_ANY_HIGH,), descending=True),
    "dropInTimeInTargetPercent": Category(
        (_when("timeInTargetPercent" + DELTA, operator.lt, -0.15),), descending=False
    ),
    "timeCGMUsePercent": Category((_when("timeCGMUsePercent", operator.lt, 0.7),), descending=False),
    "meetingTargets": Category(
        (_IN_TARGET, _USED), descending=True, forbids=(_ANY_LOW, _VERY_LOW, _ANY_HIGH, _VERY_HIGH, _EXTREME_HIGH)
    ),
    "timeInTargetPercent": Category((_when("timeInTargetPercent", operator.lt, 0.7),), descending=False),
    "timeInExtremeHighPercent": Category((_EXTREME_HIGH,), descending=True),
}
# Those of a report that names none, in the order in which they claim patients.
DEFAULT_CATEGORIES = tuple(CATEGORIES)[:7]
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
        row = self._rows.another(*_COMPARED)
        own = and_(*self._rows.rows(row), row.c.patient_id == candidates.c[0])
        rows = self._execute(select(*row.c).select_from(candidates.prefix_with("MATERIALIZED").join(row, own)))
        return lambda category: _sorted_members(category, rows)

    def _along_index(self, category: Category) -> list[str]:
        """The first of the category, as many as a report can hold: enough, however many are claimed already."""
        value, patient_id = HOT_STATISTICS.c[category.by], HOT_STATISTICS.c.patient_id
        by_value = value.desc() if category.descending else value.asc()
        members = select(patient_id, value.label("value")).where(
            *self._rows.rows(HOT_STATISTICS),
            *category.conditions(),
            *self._has_data.tests(HOT_STATISTICS, category.by),
            *(one.holds(patient_id, one_by_one=True) for one in self._tagged),
        )
        # In an index with a flag the values are in order only as long as the flag is the same.
        flag = category.needs[0].flag
        stretches = [members.where(HOT_STATISTICS.c[flag] == on) for on in (True, False)] if flag else [members]
        limited = [select(s.order_by(by_value, patient_id).limit(_MOST).subquery()) for s in stretches]
        merged = union_all(*limited).subquery()
        by_value = merged.c.value.desc() if category.descending else merged.c.value.asc()
        found = self._execute(select(merged.c.patient_id).order_by(by_value, merged.c.patient_id).limit(_MOST))
        return [row.patient_id for row in found]

    def without_data(self, now: datetime) -> list[str]:
        """Patients with the tags whose data is missing or old: those who never had any first, then the oldest."""
        found = fewest(self._unit, self._clinic_id, self._tagged, self._few)
        first, ids = found or (self._tagged[0], self._tagged[0].matches)
        candidates = narrowed(ids, [other for other in self._tagged if other is not first]).subquery()
        row = Place(SUMMARIES, CGM, "last_data").another("last_data")
        own = and_(row.c.clinic_id == CLINIC_ID, row.c.type == CGM, row.c.patient_id == candidates.c[0])
        last_data = row.c.last_data
        is_waiting = or_(last_data < self._query.cutoff, _has_broken_source(candidates.c[0]))
        statement = (
            select(candidates.c[0])
            .select_from(candidates.outerjoin(row, own))
            .where(or_(last_data.is_(None), and_(last_data < now - _PRESENT, is_waiting)))
            .order_by(last_data.asc().nulls_first(), candidates.c[0])
            .limit(_MOST_WITHOUT_DATA)
        )
        return [row[0] for row in self._execute(statement)]

    def _execute(self, statement: Any) -> Sequence[Any]:
        return self._unit.execute(statement, {"clinic_id": self._clinic_id}).all()


def _has_broken_source(patient_id: Any) -> Condition:
    return exists().where(
        DataSource.clinic_id == CLINIC_ID,
        DataSource.patient_id == patient_id,
        DataSource.provider_name == _DEXCOM,
        # Each by its name, because an index finds what is, and not what is not.
        DataSource.state.in_([state for state in DataSourceState if state is not DataSourceState.CONNECTED]),
    )


_COMPARED = sorted({c.column for category in CATEGORIES.values() for c in (*category.needs, *category.forbids)})


def _sorted_members(category: Category, rows: Iterable[Any]) -> list[str]:
    sign = -1 if category.descending else 1
    members = [row for row in rows if category.fits(row)]
    members.sort(key=lambda row: (sign * getattr(row, category.by), row.patient_id))
    return [row.patient_id for row in members]
