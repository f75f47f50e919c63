"""Finds one page of the patient list, at a cost that does not grow with the clinic.

There are three plans. *Index scan*: scan the index of the sort column and test each patient until the page is full; when m
of n patients match, the k-th match is reached after about k·n/m entries. *Driving filter*: find all matches by the index of
one filter, look up the sort value of each, and keep the first; that takes m look-ups.
*Materialized matches*: collect the ids of all matches without a look-up, then scan the index of the sort column and keep
those among them. The number of matches is part of the answer and is always counted, so the cheapest plan is known. The
database would only estimate the number, and choose a slow plan where the difference is greatest. An index scan that finds
fewer matches than expected is stopped, and the page is found with materialized matches instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select, true

from clinic_service.db.repository import Unit
from clinic_service.models import PatientCount
from clinic_service.resources.patients.listing.columns import CLINIC_ID, Condition, Ids
from clinic_service.resources.patients.listing.filters import Figures, Filter, IndexedFigures
from clinic_service.resources.patients.listing.query import ListQuery
from clinic_service.resources.patients.listing.sorting import Segment

# Costs relative to one look-up of a patient. Of one entry of an index scan: without a look-up, with a look-up of each
# patient, and with a comparison with materialized matches. And of materializing one match.
_SCAN, _SCAN_AND_LOOK_UP, _SCAN_AND_COMPARE, _MATERIALIZE = 0.06, 2.0, 0.15, 0.25
# An index scan is stopped after this multiple of the entries that it needs when matches are spread evenly.
_SCAN_TOLERANCE = 2
_DRIVING_FILTER, _INDEX_SCAN, _MATERIALIZED = "driving filter", "index scan", "materialized matches"
# A filter with this many matches or more is not used as the driving filter of several.
FEW = 2000


class PatientPage(NamedTuple):
    """The ids of the patients on a page, the number of matches on all pages, and the number of patients of the clinic."""

    patient_ids: list[str]
    matching: int
    total: int


def find_page(unit: Unit, clinic_id: str, query: ListQuery) -> PatientPage:
    """The page that `query` asks for. The caller holds a snapshot, because several statements are sent."""
    return _PageSearch(unit, clinic_id, query).page()


def fewest(unit: Unit, clinic_id: str, wanted: Sequence[Filter], few: int = FEW) -> tuple[Filter, Ids] | None:
    """The filter with the fewest candidates in an index, and its matches; None when every filter has `few` or more."""
    lookups = [(one, lookup) for one in wanted for lookup in one.index_lookups]
    if not lookups:
        return None
    sizes = [_count(lookup.candidates.limit(few)) for _, lookup in lookups]
    counted = unit.execute(select(*sizes), {"clinic_id": clinic_id}).one()
    size, (one, lookup) = min(zip(counted, lookups, strict=True), key=lambda pair: pair[0])
    return (one, lookup.matches) if size < few else None


def narrowed(ids: Ids, wanted: Sequence[Filter]) -> Ids:
    """Those of `ids` for which all the filters hold."""
    if not wanted:
        return ids
    found = ids.subquery()
    return select(found.c[0]).where(*(one.holds(found.c[0]) for one in wanted))


class _PageSearch:
    """The search for one page.

    Filters are residual, which means that the scan of the sort column tests them on its own rows, or probed, which means
    that each patient is looked up.
    """

    def __init__(self, unit: Unit, clinic_id: str, query: ListQuery) -> None:
        self._unit, self._clinic_id = unit, clinic_id
        self._filters, self._order, self._limit, self._offset = query
        sort_column = self._order.sort_column
        residual = [one for one in self._filters if self._is_residual(one)]
        self._probed = [one for one in self._filters if one not in residual]
        self._residual = [
            condition for one in residual for condition in one.row_conditions(sort_column.rows.table, sort_column.name)
        ]

    def _is_residual(self, one: Filter) -> bool:
        """Whether the index of the sort column contains all that the filter tests."""
        sort_column = self._order.sort_column
        return self._order.is_indexed and one.rows == sort_column.rows and one.columns <= sort_column.indexed_columns

    def page(self) -> PatientPage:
        matches = self._matches() if self._filters else None
        total, count = self._sizes(matches)
        return PatientPage(self._find(matches, count, total) if self._offset < count else [], count, total)

    def _find(self, matches: Ids | None, count: int, total: int) -> list[str]:
        if matches is None:
            return self._scan(count) or []
        costs = self._costs(count, total)
        plan = min(costs, key=lambda plan: costs[plan])
        if plan == _DRIVING_FILTER:
            return self._ids(self._order.sorted(matches).limit(self._limit).offset(self._offset))
        ids = None if plan == _MATERIALIZED else self._scan(count, most=self._scan_limit(count, total))
        return self._materialized(matches, count, total) if ids is None else ids

    def _costs(self, count: int, total: int) -> dict[str, float]:
        """The costs of the possible plans, in look-ups."""
        materialize = count * _MATERIALIZE
        if not self._order.is_indexed:
            # A sort without an index reads and sorts all rows of the clinic.
            return {_DRIVING_FILTER: 2 * count, _MATERIALIZED: total + materialize}
        length = self._scan_length(count, total)
        if not self._probed:
            return {_DRIVING_FILTER: count, _INDEX_SCAN: length * _SCAN}
        return {
            _DRIVING_FILTER: count,
            _INDEX_SCAN: length * _SCAN_AND_LOOK_UP,
            _MATERIALIZED: materialize + length * _SCAN_AND_COMPARE,
        }

    def _scan_length(self, count: int, total: int) -> float:
        """The number of entries to the end of the page, when matches are spread evenly over the order."""
        return min(self._offset + self._limit, count) * total / count

    def _matches(self) -> Ids:
        driving, ids = self._driving_filter()
        return narrowed(ids, [other for other in self._filters if other is not driving])

    def _driving_filter(self) -> tuple[Filter, Ids]:
        """The filter that is applied first, and its matches."""
        is_only_choice = len(self._filters) == 1 and len(self._filters[0].index_lookups) <= 1
        found = None if is_only_choice else fewest(self._unit, self._clinic_id, self._filters)
        if found:
            return found
        # Filters of figures are tested in one scan. Any other filter costs a look-up for each patient.
        first = next((one for one in self._filters if isinstance(one, Figures | IndexedFigures)), self._filters[0])
        return first, first.matches

    def _sizes(self, matches: Ids | None) -> tuple[int, int]:
        """The number of patients of the clinic, and the number of matches."""
        counts = [_TOTAL] if matches is None else [_TOTAL, _count(matches)]
        sizes = self._unit.execute(select(*counts), self._parameters).one()
        return sizes[0], sizes[-1]

    def _scan_limit(self, count: int, total: int) -> int | None:
        """The number of entries after which an index scan is stopped; None when it looks up no patient."""
        if not self._probed:
            return None
        return int(_SCAN_TOLERANCE * self._scan_length(count, total)) + self._limit

    def _scan(self, count: int, *, most: int | None = None, matches: Ids | None = None) -> list[str] | None:
        """The page, found by a scan in the sort order, with materialized `matches` when they are given.

        With `most`, the scan is stopped after that number of entries of a segment, and returns None when the page is not
        full then. Matches can be rare where the order begins: a patient with much time in range has few high values.
        """
        wanted, offset = min(self._limit, count - self._offset), self._offset
        ids: list[str] = []
        for segment in self._order.segments(self._residual, matches):
            conditions = [] if segment.only_matches else self._conditions(segment.patient_id, matches)
            last_key = None if most is None else self._scalar(segment.key_at(most))
            limited = conditions if last_key is None else [*conditions, segment.up_to(last_key)]
            found = self._ids(segment.ids(limited).limit(wanted - len(ids)).offset(offset))
            ids += found
            if len(ids) == wanted:
                break
            if last_key is not None:
                return None
            # Either the whole segment comes before the page, or the page continues in the next segment.
            offset -= self._size(segment, conditions) if offset and not found else offset
        return ids

    def _materialized(self, matches: Ids, count: int, total: int) -> list[str]:
        """The page, found with materialized matches."""
        *indexed, last = self._order.segments(self._residual, matches)
        left = count - self._offset
        is_far = self._order.is_indexed and last.only_matches and left < self._offset
        # When so many patients have no value that the page may be among them, these are counted first. The other segments
        # are only read when the page is not among them.
        if is_far and left <= total - sum(map(self._size, indexed)) and left <= (size := self._size(last)):
            return self._ids(last.ids().limit(self._limit).offset(size - left))
        return self._scan(count, matches=matches) or []

    def _size(self, segment: Segment, conditions: Sequence[Condition] = ()) -> int:
        """The number of patients of the segment for whom `conditions` hold."""
        size: int = self._scalar(select(_count(segment.ids(conditions).order_by(None))))
        return size

    def _conditions(self, patient_id: ColumnElement[str], matches: Ids | None) -> list[Condition]:
        """The conditions on a patient of a segment: to be one of `matches`, or else that the probed filters hold."""
        if matches is not None:
            # With IS TRUE, every database materializes the matches. Without it, one may look up each of them instead.
            return [patient_id.in_(matches).is_(true())]
        # An index scan tests only as many patients as the page needs.
        return [one.holds(patient_id, correlated=True) for one in self._probed]

    def _scalar(self, statement: Select[Any]) -> Any:
        return self._unit.execute(statement, self._parameters).scalar()

    def _ids(self, statement: Ids) -> list[str]:
        return list(self._unit.execute(statement, self._parameters).scalars())

    @property
    def _parameters(self) -> dict[str, Any]:
        return {"clinic_id": self._clinic_id}


def _count(ids: Ids) -> ScalarSelect[int]:
    return select(func.count()).select_from(ids.subquery()).scalar_subquery()


_TOTAL = (
    select(func.coalesce(func.max(PatientCount.patients), 0))
    .where(PatientCount.clinic_id == CLINIC_ID)
    .scalar_subquery()
)
