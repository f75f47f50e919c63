"""How a clinic's patients can be sorted.

An order goes by one column. For figures and dates there are three ranks, whatever the direction: those whose value means
something, those whose value does not, and those who have none. Equal patients stand in order of their creation, which is
the order of their ids. Databases differ in where missing values stand, so an order along an index is asked for in pieces,
one for each rank with values and without; the first page is nearly always found in the first of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, exists, false, not_, select, true

from clinic_service.resources.patients.listing.filters import CLINIC_ID, PATIENTS, Condition, Ids, Place


@dataclass(frozen=True)
class Piece:
    """Patients who stand together in an order: those `where` all is true, by `keys` and then by their creation.

    With `backwards` the last one comes first. Along the piece `edge_key` never falls, or never rises if `descending`.
    `is_indexed`: an index has the piece ready. `is_of_matches`: nobody else is in it.
    """

    patient_id: ColumnElement[str]
    where: Sequence[Condition]
    keys: Sequence[ColumnElement[Any]]
    edge_key: ColumnElement[Any]
    descending: bool = False
    backwards: bool = False
    is_indexed: bool = True
    is_of_matches: bool = False

    def ids(self, conditions: Sequence[Condition] = ()) -> Ids:
        """Those for whom `conditions` hold."""
        return self._sorted(select(self.patient_id).where(*self.where, *conditions))

    def edge(self, distance: int) -> Select[Any]:
        """What the key is so many patients further on."""
        return self._sorted(select(self.edge_key).where(*self.where)).limit(1).offset(distance)

    def until(self, edge: Any) -> Condition:
        """Whether a patient stands before that edge, or on it."""
        condition: Condition = self.edge_key >= edge if self.descending else self.edge_key <= edge
        return condition

    def _sorted(self, statement: Select[Any]) -> Select[Any]:
        creation = self.patient_id.desc() if self.backwards else self.patient_id
        return statement.order_by(*self.keys, creation)


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

    def pieces(self, tests: Sequence[Condition], matches: Ids | None = None, *, backwards: bool = False) -> list[Piece]:
        """All patients in this order for whom `tests` hold, which are asked of the rows they are sorted by.

        With `matches`, nobody else need be in a piece. A hot order can be walked `backwards`.
        """
        pieces = list(self._pieces(tests, matches, backwards))
        return pieces[::-1] if backwards else pieces

    def _pieces(self, tests: Sequence[Condition], matches: Ids | None, backwards: bool) -> Iterator[Piece]:
        table = self.place.table
        patient_id = self.place.patient_id(table)
        rows = [*self.place.rows(table), *tests]
        if self.is_hot:
            yield from self._stretches(rows, backwards)
        else:
            yield Piece(patient_id, [*rows, self._is_ranked(table)], self._keys(table), patient_id, is_indexed=False)
        if self.covers_all:
            return
        if tests:
            # Whoever passes a test has a row, though perhaps no value in it.
            yield _by_creation(patient_id, [*rows, not_(self._is_ranked(table))], backwards, is_indexed=self.is_hot)
        else:
            yield self._rest(matches, backwards)

    def sorted(self, matches: Ids) -> Ids:
        """Those of `matches`, who are few enough to be looked up one by one, in this order."""
        # Materialized, and joined from the left, so that no database begins with the order instead.
        found = matches.cte("matches").prefix_with("MATERIALIZED")
        match_id = found.c[0]
        row = self._another_row()
        own = and_(*self.place.rows(row), self.place.patient_id(row) == match_id)
        return select(match_id).select_from(found.outerjoin(row, own)).order_by(*self._keys(row), match_id)

    @property
    def covers_all(self) -> bool:
        """Whether every patient has a row to be sorted by."""
        return self.place.table is PATIENTS

    def _another_row(self) -> FromClause:
        return self.place.another(self.place.column, *filter(None, [self.flag]))

    def _is_ranked(self, table: FromClause) -> Condition:
        if self.covers_all:
            return true()
        return table.c[self.flag or self.place.column].is_not(None)

    def _keys(self, table: FromClause) -> list[ColumnElement[Any]]:
        """By rank, then by value with missing ones lowest."""
        value = table.c[self.place.column]
        by_value = value.desc().nulls_last() if self.descending else value.asc().nulls_first()
        return [by_value] if self.covers_all else [self._rank(table), by_value]

    def _rank(self, table: FromClause) -> ColumnElement[int]:
        if self.flag is None:
            return case((self._is_ranked(table), 0), else_=1)
        return case((table.c[self.flag] == true(), 0), (self._is_ranked(table), 1), else_=2)

    def _stretches(self, rows: Sequence[Condition], backwards: bool) -> Iterator[Piece]:
        """The stretches of the index in which the value alone decides, in their order."""
        table = self.place.table
        patient_id, value = self.place.patient_id(table), table.c[self.place.column]
        descending = self.descending != backwards
        by_value = value.desc() if descending else value.asc()
        for rank in self._ranks():
            where = [*rows, *rank]
            if not self.nullable:
                yield Piece(patient_id, where, [by_value], value, descending, backwards)
                continue
            present = Piece(patient_id, [*where, value.is_not(None)], [by_value], value, descending, backwards)
            # All are equal there, but PostgreSQL finds the order of creation in an index only if it is asked for both.
            nothing = value.desc() if backwards else value.asc()
            missing = Piece(patient_id, [*where, value.is_(None)], [nothing], patient_id, backwards, backwards)
            if self.flag is None and not self.covers_all:
                yield present
            else:
                yield from (present, missing) if self.descending else (missing, present)

    def _ranks(self) -> list[list[Condition]]:
        """What is true of the rows of each rank."""
        if self.flag is None:
            return [[]]
        flag = self.place.table.c[self.flag]
        return [[flag == true()], [flag == false()]]

    def _rest(self, matches: Ids | None, backwards: bool) -> Piece:
        """Those who have no value, and no row that says so."""
        row = self._another_row()
        ranked = [*self.place.rows(row), self._is_ranked(row)]
        if matches is None:
            is_ranked = exists().where(*ranked, row.c.patient_id == PATIENTS.c.id)
            return _by_creation(PATIENTS.c.id, [PATIENTS.c.clinic_id == CLINIC_ID, not_(is_ranked)], backwards)
        one = matches.subquery().c[0]
        # Taken to hand like the matches, instead of looking each of them up.
        is_among_ranked = one.in_(select(row.c.patient_id).where(*ranked))
        return _by_creation(one, [is_among_ranked.is_(false())], backwards, is_of_matches=True)


def _by_creation(
    patient_id: ColumnElement[str],
    where: Sequence[Condition],
    backwards: bool,
    *,
    is_indexed: bool = False,
    is_of_matches: bool = False,
) -> Piece:
    """A piece of patients who have no value to be sorted by."""
    return Piece(patient_id, where, [], patient_id, backwards, backwards, is_indexed, is_of_matches)
