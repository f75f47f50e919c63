"""The sort orders of the patient list.

An order has one sort column. Orders by figures and dates have three ranks, in both directions: first patients whose value
is meaningful, then patients whose value is not, then patients without a value. Patients with equal values are sorted by
their creation, which is the order of their ids. Databases sort missing values differently, so an index scan reads an order
in segments: each rank has one segment with values and one without. The first page is nearly always in the first segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, exists, false, not_, select, true

from clinic_service.resources.patients.listing.columns import CLINIC_ID, PATIENTS, Condition, Ids, Rows, SortColumn


@dataclass(frozen=True)
class Segment:
    """A part of an order: the patients for whom all of `where` holds, sorted by `keys` and then by their creation.

    Along the segment the values of `scan_key` ascend, or descend with `descending`. `only_matches`: all its patients are
    matches.
    """

    patient_id: ColumnElement[str]
    where: Sequence[Condition]
    keys: Sequence[ColumnElement[Any]]
    scan_key: ColumnElement[Any]
    descending: bool = False
    only_matches: bool = False

    def ids(self, conditions: Sequence[Condition] = ()) -> Ids:
        """The ids of the patients of the segment for whom `conditions` hold."""
        return self._sorted(select(self.patient_id).where(*self.where, *conditions))

    def key_at(self, offset: int) -> Select[Any]:
        """The query for the scan key of the patient at `offset` in the segment."""
        return self._sorted(select(self.scan_key).where(*self.where)).limit(1).offset(offset)

    def up_to(self, key: Any) -> Condition:
        """Whether the scan key of a patient is `key`, or comes before it in the segment."""
        condition: Condition = self.scan_key >= key if self.descending else self.scan_key <= key
        return condition

    def _sorted(self, statement: Select[Any]) -> Select[Any]:
        return statement.order_by(*self.keys, self.patient_id)


@dataclass(frozen=True)
class Order:
    """A sort by `sort_column`, in one direction.

    `flag` names the column that tells whether the value is meaningful. `is_indexed`: an index contains the order.
    `nullable`: the value can be missing.
    """

    sort_column: SortColumn
    descending: bool
    flag: str | None = None
    is_indexed: bool = False
    nullable: bool = True

    def segments(self, conditions: Sequence[Condition], matches: Ids | None = None) -> Iterator[Segment]:
        """The segments of this order, with those patients for whose sorted row `conditions` hold.

        With `matches`, segments may leave out all other patients.
        """
        table = self._rows.table
        patient_id = self._rows.patient_id()
        where = [*self._rows.conditions(), *conditions]
        if self.is_indexed:
            yield from self._index_segments(where)
        else:
            yield Segment(patient_id, [*where, self._is_ranked(table)], self._keys(table), patient_id)
        if self.covers_all:
            return
        if conditions:
            # A patient for whom the conditions hold has a row, though perhaps no value in it.
            yield Segment(patient_id, [*where, not_(self._is_ranked(table))], [], patient_id)
        else:
            yield self._unranked_segment(matches)

    def sorted(self, matches: Ids) -> Ids:
        """The ids of `matches` in this order. Each match is looked up, so there should be few."""
        # Materialized, and joined from the left, so that no database scans the order instead.
        found = matches.cte("matches").prefix_with("MATERIALIZED")
        match_id = found.c[0]
        row = self._alias()
        of_match = and_(*self._rows.conditions(row), self._rows.patient_id(row) == match_id)
        return select(match_id).select_from(found.outerjoin(row, of_match)).order_by(*self._keys(row), match_id)

    @property
    def covers_all(self) -> bool:
        """Whether every patient has a row that can be sorted."""
        return self._rows.table is PATIENTS

    @property
    def _rows(self) -> Rows:
        return self.sort_column.rows

    def _alias(self) -> FromClause:
        return self._rows.alias(self.sort_column.name, *filter(None, [self.flag]))

    def _is_ranked(self, table: FromClause) -> Condition:
        """Whether a row of `table` has one of the first two ranks."""
        if self.covers_all:
            return true()
        return table.c[self.flag or self.sort_column.name].is_not(None)

    def _keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """Sorts by rank, then by value; a missing value is the lowest."""
        value = table.c[self.sort_column.name]
        by_value = value.desc().nulls_last() if self.descending else value.asc().nulls_first()
        return [by_value] if self.covers_all else [self._rank(table), by_value]

    def _rank(self, table: FromClause) -> ColumnElement[int]:
        if self.flag is None:
            return case((self._is_ranked(table), 0), else_=1)
        return case((table.c[self.flag] == true(), 0), (self._is_ranked(table), 1), else_=2)

    def _index_segments(self, where: Sequence[Condition]) -> Iterator[Segment]:
        """The segments of the index in which only the value decides, in the order of this sort."""
        patient_id, value = self._rows.patient_id(), self._rows.table.c[self.sort_column.name]
        by_value = value.desc() if self.descending else value.asc()
        for rank in self._ranks():
            of_rank = [*where, *rank]
            if not self.nullable:
                yield Segment(patient_id, of_rank, [by_value], value, self.descending)
                continue
            present = Segment(patient_id, [*of_rank, value.is_not(None)], [by_value], value, self.descending)
            # All values are equal (missing), but PostgreSQL uses the index only for a sort by value and id.
            missing = Segment(patient_id, [*of_rank, value.is_(None)], [value], patient_id)
            if self.flag is None and not self.covers_all:
                yield present
            else:
                yield from (present, missing) if self.descending else (missing, present)

    def _ranks(self) -> list[list[Condition]]:
        """The conditions on the rows of each rank that the index contains."""
        if self.flag is None:
            return [[]]
        flag = self._rows.table.c[self.flag]
        return [[flag == true()], [flag == false()]]

    def _unranked_segment(self, matches: Ids | None) -> Segment:
        """The patients without a value and without a row that says so."""
        row = self._alias()
        ranked = [*self._rows.conditions(row), self._is_ranked(row)]
        if matches is None:
            own_row = exists().where(*ranked, row.c.patient_id == PATIENTS.c.id)
            return Segment(PATIENTS.c.id, [PATIENTS.c.clinic_id == CLINIC_ID, not_(own_row)], [], PATIENTS.c.id)
        one = matches.subquery().c[0]
        # With IN, the database materializes the ranked ids like the matches. It does not look up each match.
        is_ranked = one.in_(select(row.c.patient_id).where(*ranked))
        return Segment(one, [is_ranked.is_(false())], [], one, only_matches=True)
