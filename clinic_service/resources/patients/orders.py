"""How a clinic's patients can be sorted.

An order goes by one column. For figures and dates there are three ranks, whatever the direction: those whose value means
something, those whose value does not, and those who have none. Equal patients stand in order of their creation, which is
the order of their ids. Databases differ in where missing values stand, so an order along an index is asked for in pieces,
one for each rank with values and without; the first page is nearly always found in the first of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, exists, not_, select, true

from clinic_service.resources.patients.filters import CLINIC_ID, PATIENTS, Condition, Ids, Place

Conditions = Callable[[ColumnElement[str]], Sequence[Condition]]


@dataclass(frozen=True)
class Order:
    """Sorts by the column at `place`, which every patient has, or only those with a row of it.

    `flag` names the column that says whether the value means something. `is_hot`: an index has the order ready.
    """

    place: Place
    descending: bool
    flag: str | None = None
    is_hot: bool = False
    nullable: bool = True

    def pieces(self, conditions: Conditions, tests: Sequence[Condition]) -> Iterator[Ids]:
        """All patients in this order, one piece after the other.

        `conditions` are asked of their ids, `tests` of the rows they are sorted by.
        """
        table = self.place.table
        patient_id, value = self.place.patient_id(table), table.c[self.place.column]
        ranked = select(patient_id).where(*self.place.rows(table), *tests, *conditions(patient_id))
        if self.is_hot:
            by_value = value.desc() if self.descending else value.asc()
            for piece in self._stretches():
                yield ranked.where(*piece).order_by(by_value, patient_id)
        else:
            yield ranked.where(self._is_ranked(table)).order_by(*self._keys(table), patient_id)
        # Whoever passes a test has a value, and is ranked.
        if not self._covers_all and not tests:
            yield self._rest(conditions)

    def sorted(self, matches: Ids) -> Ids:
        """Those of `matches`, who are few enough to be looked up one by one, in this order."""
        # Materialized, and joined from the left, so that no database begins with the order instead.
        found = matches.cte("matches").prefix_with("MATERIALIZED")
        match_id = found.c[0]
        row = self._another_row()
        own = and_(*self.place.rows(row), self.place.patient_id(row) == match_id)
        return select(match_id).select_from(found.outerjoin(row, own)).order_by(*self._keys(row), match_id)

    @property
    def _covers_all(self) -> bool:
        """Whether every patient has a row to be sorted by."""
        return self.place.table is PATIENTS

    def _another_row(self) -> FromClause:
        return self.place.another(self.place.column, *filter(None, [self.flag]))

    def _is_ranked(self, table: FromClause) -> Condition:
        return table.c[self.flag or self.place.column].is_not(None)

    def _keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """By rank, then by value with missing ones lowest."""
        value = table.c[self.place.column]
        by_value = value.desc().nulls_last() if self.descending else value.asc().nulls_first()
        return [by_value] if self._covers_all else [self._rank(table), by_value]

    def _rank(self, table: FromClause) -> ColumnElement[int]:
        if self.flag is None:
            return case((self._is_ranked(table), 0), else_=1)
        return case((table.c[self.flag] == true(), 0), (self._is_ranked(table), 1), else_=2)

    def _stretches(self) -> list[list[Condition]]:
        """Conditions that cut the index into pieces in which the value alone decides, in their order."""
        if not self.nullable:
            return [[]]
        value = self.place.table.c[self.place.column]
        present: list[Condition] = [value.is_not(None)]
        missing: list[Condition] = [value.is_(None)]
        if self.flag is None and not self._covers_all:
            return [present]
        values = [present, missing] if self.descending else [missing, present]
        if self.flag is None:
            return values
        flag = self.place.table.c[self.flag]
        return [[flag == means_something, *piece] for means_something in (True, False) for piece in values]

    def _rest(self, conditions: Conditions) -> Ids:
        """Those who have no value, and no row that says so."""
        row = self._another_row()
        own = row.c.patient_id == PATIENTS.c.id
        is_ranked = exists().where(*self.place.rows(row), own, self._is_ranked(row))
        of_clinic = PATIENTS.c.clinic_id == CLINIC_ID
        return (
            select(PATIENTS.c.id).where(of_clinic, not_(is_ranked), *conditions(PATIENTS.c.id)).order_by(PATIENTS.c.id)
        )
