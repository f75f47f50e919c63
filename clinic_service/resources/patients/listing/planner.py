"""One page of a clinic's patients, found at a cost that does not grow with the clinic.

A page can be found in three ways. *Index scan*: scan the index of the sort order and test each patient until the page is
full; with n patients of whom m match, that takes about k·n/m steps to the k-th match, counted from the nearer end.
*Driving filter*: find all matches by the index of one filter, look up what they are sorted by, and keep the best; that
takes m look-ups. *Materialized matches*: collect all matches without looking anything up, then scan the index of the sort
order and keep those among them. The number of matches is counted in any case, because it is part of the answer, so the
cheapest way is known. This is not left to the database, which estimates, and chooses the slow way just where the difference
is greatest. A scan that finds less than can be expected is given up, and begun again with materialized matches.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, select, true

from clinic_service.db.repository import Unit
from clinic_service.models import PatientCount
from clinic_service.resources.patients.listing.filters import CLINIC_ID, Condition, Figures, Filter, HotFigures, Ids
from clinic_service.resources.patients.listing.query import ListQuery
from clinic_service.resources.patients.listing.sorting import Piece

# What it costs to take the next entry of an index, where to look a patient up costs 1: on its own, when each patient has
# to be looked up to be tested, and with materialized matches; and to materialize a match.
_STEP, _STEP_AND_LOOK, _STEP_AND_COMPARE, _MATERIALIZE = 0.06, 2.0, 0.15, 0.25
# So many times as many patients may be passed over as when matches are spread evenly.
_PATIENCE = 2
_DRIVING_FILTER, _INDEX_SCAN, _MATERIALIZED = "driving filter", "index scan", "materialized matches"
# A filter with more matches than this is no help for finding the few that fulfil all.
FEW = 2000


class Page(NamedTuple):
    """The ids of the patients on a page, how many there are on all pages, and in the clinic."""

    patient_ids: list[str]
    matching: int
    total: int


def find_page(unit: Unit, clinic_id: str, query: ListQuery) -> Page:
    """The page that `query` asks for. Its questions belong into one snapshot."""
    return _Search(unit, clinic_id, query).page()


def fewest(unit: Unit, clinic_id: str, wanted: Sequence[Filter], few: int = FEW) -> tuple[Filter, Ids] | None:
    """The filter with the fewest matches and the index that finds them; None where no index finds less than `few`."""
    ways = [(one, way) for one in wanted for way in one.indexed]
    if not ways:
        return None
    sizes = [_count(way.candidates.limit(few)) for _, way in ways]
    counted = unit.execute(select(*sizes), {"clinic_id": clinic_id}).one()
    size, (one, way) = min(zip(counted, ways, strict=True), key=lambda pair: pair[0])
    return (one, way.matches) if size < few else None


def narrowed(ids: Ids, wanted: Sequence[Filter]) -> Ids:
    """Those of `ids` for whom all that is wanted holds."""
    if not wanted:
        return ids
    found = ids.subquery()
    return select(found.c[0]).where(*(one.holds(found.c[0]) for one in wanted))


class _Search:
    """The questions for one page."""

    def __init__(self, unit: Unit, clinic_id: str, query: ListQuery) -> None:
        self._unit, self._clinic_id = unit, clinic_id
        self._filters, self._order, self._limit, self._offset = query
        passed = [one for one in self._filters if self._is_met_in_passing(one)]
        self._probed = [one for one in self._filters if one not in passed]
        place = self._order.place
        self._tests = [test for one in passed for test in one.tests(place.table, place.column)]

    def _is_met_in_passing(self, one: Filter) -> bool:
        """Whether it is known without a look-up of each patient along the order."""
        if not self._order.place.is_beside(one.rows):
            return False
        return not self._order.is_hot or one.columns <= self._order.place.indexed_with

    def page(self) -> Page:
        matches = self._matches() if self._filters else None
        total, count = self._sizes(matches)
        return Page(self._find(matches, count, total) if self._offset < count else [], count, total)

    def _find(self, matches: Ids | None, count: int, total: int) -> list[str]:
        if matches is None:
            return self._in_order(count, total) or []
        ways = self._ways(count, total)
        way = min(ways, key=lambda way: ways[way])
        if way == _DRIVING_FILTER:
            return self._ids(self._order.sorted(matches).limit(self._limit).offset(self._offset))
        ids = None if way == _MATERIALIZED else self._in_order(count, total, most=self._patience(count, total))
        return (self._in_order(count, total, matches=matches) if ids is None else ids) or []

    def _ways(self, count: int, total: int) -> dict[str, float]:
        """What the ways that can be gone cost."""
        if not self._order.is_hot:
            return self._ways_without_index(count, total)
        walk = self._walk(count, total)
        if not self._probed:
            return {_DRIVING_FILTER: count, _INDEX_SCAN: walk * _STEP}
        materialized = count * _MATERIALIZE + walk * _STEP_AND_COMPARE
        return {_DRIVING_FILTER: count, _INDEX_SCAN: walk * _STEP_AND_LOOK, _MATERIALIZED: materialized}

    def _walk(self, count: int, total: int) -> float:
        """How far it is along the order to the end of the page if matches are spread evenly."""
        matches = min(self._offset + self._limit, count)
        return (min(matches, count - self._offset) if self._has_two_ends else matches) * total / count

    def _ways_without_index(self, count: int, total: int) -> dict[str, float]:
        # In order, all of the clinic is gone through and sorted; what is beside that is a residual filter.
        if self._probed:
            return {_DRIVING_FILTER: 2 * count, _MATERIALIZED: total + count * _MATERIALIZE}
        # To find what no index does, all of the clinic is gone through as well.
        is_indexed = any(one.indexed for one in self._filters)
        return {_DRIVING_FILTER: 2 * count if is_indexed else inf, _INDEX_SCAN: total}

    def _matches(self) -> Ids:
        one, ids = self._driver()
        return narrowed(ids, [other for other in self._filters if other is not one])

    def _driver(self) -> tuple[Filter, Ids]:
        """The filter to begin with, and how its matches are found."""
        is_obvious = len(self._filters) == 1 and len(self._filters[0].indexed) <= 1
        found = None if is_obvious else fewest(self._unit, self._clinic_id, self._filters)
        if found:
            return found
        # Figures are tested in one pass; whatever else there is costs a look-up for each patient.
        first = next((one for one in self._filters if isinstance(one, Figures | HotFigures)), self._filters[0])
        return first, first.matches

    def _sizes(self, matches: Ids | None) -> tuple[int, int]:
        """How many patients the clinic has, and how many of them match."""
        counts = [_TOTAL] if matches is None else [_TOTAL, _count(matches)]
        sizes = self._unit.execute(select(*counts), self._parameters).one()
        return sizes[0], sizes[-1]

    def _patience(self, count: int, total: int) -> int | None:
        """How many patients may be passed over on the way to the page; None where none is looked up."""
        if not self._order.is_hot or not self._probed:
            return None
        return int(_PATIENCE * self._walk(count, total)) + self._limit

    def _in_order(
        self, count: int, total: int, *, most: int | None = None, matches: Ids | None = None
    ) -> list[str] | None:
        """The page along the order, from among `matches` if they are given; None when `most` patients hold less.

        Matches can be rare just where the order begins: who spends much time in range has few highs.
        """
        wanted, offset = min(self._limit, count - self._offset), self._offset
        backwards = self._is_nearer_to_the_end(count, total, matches)
        if backwards:
            offset = count - offset - wanted
        ids: list[str] = []
        pieces = self._order.pieces(self._tests, matches, backwards=backwards)
        for piece in pieces:
            holds = [] if piece.is_of_matches else self._hold(piece.patient_id, matches)
            passed = None if piece is pieces[-1] else self._passed(piece, holds, offset)
            if passed is not None:
                offset -= passed
                continue
            edge = None if most is None else self._scalar(piece.edge(most))
            near = holds if edge is None else [*holds, piece.until(edge)]
            found = self._ids(piece.ids(near).limit(wanted - len(ids)).offset(offset))
            ids += found
            if len(ids) == wanted:
                break
            if edge is not None:
                return None
            # All of the piece stands before the page, or the page goes on behind it.
            offset -= self._size(piece, holds) if offset and not found else offset
        return ids[::-1] if backwards else ids

    def _is_nearer_to_the_end(self, count: int, total: int, matches: Ids | None) -> bool:
        """Whether it is a shorter walk to the page from the end of the order."""
        left = count - self._offset
        if not self._order.is_hot or left >= self._offset:
            return False
        if self._has_two_ends:
            return True
        # Those without a value stand at the end and are in no index, so they should be enough, and materialized if probed.
        *pieces, _ = self._order.pieces(self._tests)
        return (matches is not None or not self._probed) and total - sum(map(self._size, pieces)) >= left

    @property
    def _has_two_ends(self) -> bool:
        """Whether the index of a hot order has all of it ready, and not only its beginning."""
        return self._order.covers_all or bool(self._tests)

    def _passed(self, piece: Piece, holds: list[Condition], offset: int) -> int | None:
        """How many matches the piece has if all of it, matches or not, is too short to reach the page; else None.

        Only asked of an index, where it is cheap to know.
        """
        if not offset or not piece.is_indexed:
            return None
        size = self._size(piece, most=offset + 1)
        if size > offset:
            return None
        return self._size(piece, holds) if size and holds else size

    def _size(self, piece: Piece, conditions: Sequence[Condition] = (), *, most: int | None = None) -> int:
        """How many patients are in the piece for whom `conditions` hold, counted up to `most`."""
        size: int = self._scalar(select(_count(piece.ids(conditions).order_by(None).limit(most))))
        return size

    def _hold(self, patient_id: ColumnElement[str], matches: Ids | None) -> list[Condition]:
        if matches is not None:
            # Said in this way, no database looks up each of the matches instead of taking them to hand and walking on.
            return [patient_id.in_(matches).is_(true())]
        # Along an index only so many are asked as the page needs.
        return [one.holds(patient_id, one_by_one=self._order.is_hot) for one in self._probed]

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
