"""The categories of the TIDE report. Thresholds and sort orders are those of the published Clinics API."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, or_

from clinic_service.models import LIST_INDEX
from clinic_service.models.list_index import INDEXED_VALUES, list_index_column
from clinic_service.models.statistics import CGM, DELTA
from clinic_service.resources.patients.listing.columns import Condition
from clinic_service.resources.patients.listing.filters import Comparison, residual

# The id of a patient and the columns that are compared, by name.
Figures = Row[*tuple[Any, ...]]
_FLAGS = {one.name: list_index_column(CGM, one.flag) for one in INDEXED_VALUES if one.kind == CGM and one.flag}


@dataclass(frozen=True)
class TideCategory:
    """The patients for whom all of `needs` and none of `forbids` holds, sorted by the figure of the first need.

    A comparison with a missing figure does not hold.
    """

    needs: tuple[Comparison, ...]
    descending: bool
    forbids: tuple[Comparison, ...] = ()

    @property
    def by(self) -> str:
        """The column that the category is sorted by."""
        return self.needs[0].column

    def members(self, rows: Iterable[Figures]) -> list[str]:
        """The ids of those patients whose rows of figures fit, in the order of the category."""
        sign = -1 if self.descending else 1
        members = [row for row in rows if self._fits(row)]
        members.sort(key=lambda row: (sign * getattr(row, self.by), row.patient_id))
        return [row.patient_id for row in members]

    def _fits(self, figures: Figures) -> bool:
        return all(_is_true(need, figures) for need in self.needs) and not any(
            _is_true(forbidden, figures) for forbidden in self.forbids
        )

    def conditions(self) -> list[Condition]:
        """The category as conditions on a row of the list index, with an index scan of the column that it is sorted by."""
        table = LIST_INDEX
        first, *needs = [need.condition(table) for need in self.needs]
        not_forbidden = [or_(table.c[one.column].is_(None), ~one.condition(table)) for one in self.forbids]
        return [first, residual(and_(*needs, *not_forbidden))] if needs or not_forbidden else [first]


def _is_true(comparison: Comparison, figures: Figures) -> bool:
    value = getattr(figures, comparison.column)
    return value is not None and bool(comparison.compare(value, comparison.value))


def _when(name: str, compare: Callable[[Any, Any], Any], value: float) -> Comparison:
    return Comparison(list_index_column(CGM, name), compare, value, _FLAGS.get(name), is_indexed=True)


_VERY_LOW = _when("timeInVeryLowPercent", operator.gt, 0.01)
_ANY_LOW = _when("timeInAnyLowPercent", operator.gt, 0.04)
_VERY_HIGH = _when("timeInVeryHighPercent", operator.gt, 0.05)
_ANY_HIGH = _when("timeInAnyHighPercent", operator.gt, 0.25)
_EXTREME_HIGH = _when("timeInExtremeHighPercent", operator.ge, 0.01)
_IN_TARGET = _when("timeInTargetPercent", operator.ge, 0.7)
_USED = _when("timeCGMUsePercent", operator.ge, 0.7)

CATEGORIES = {
    "timeInVeryLowPercent": TideCategory((_VERY_LOW,), descending=True),
    "timeInAnyLowPercent": TideCategory((_ANY_LOW,), descending=True),
    "timeInVeryHighPercent": TideCategory((_VERY_HIGH,), descending=True),
    "timeInAnyHighPercent": TideCategory((_ANY_HIGH,), descending=True),
    "dropInTimeInTargetPercent": TideCategory(
        (_when("timeInTargetPercent" + DELTA, operator.lt, -0.15),), descending=False
    ),
    "timeCGMUsePercent": TideCategory((_when("timeCGMUsePercent", operator.lt, 0.7),), descending=False),
    "meetingTargets": TideCategory(
        (_IN_TARGET, _USED), descending=True, forbids=(_ANY_LOW, _VERY_LOW, _ANY_HIGH, _VERY_HIGH, _EXTREME_HIGH)
    ),
    "timeInTargetPercent": TideCategory((_when("timeInTargetPercent", operator.lt, 0.7),), descending=False),
    "timeInExtremeHighPercent": TideCategory((_EXTREME_HIGH,), descending=True),
}
# The categories of a report that names none. A patient is in the first of them that fits.
DEFAULT_CATEGORIES = tuple(CATEGORIES)[:7]
# The columns that decide which categories fit a patient.
COMPARED = sorted({c.column for category in CATEGORIES.values() for c in (*category.needs, *category.forbids)})
