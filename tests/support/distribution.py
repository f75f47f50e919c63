"""How a statement or a table fits a database that is distributed: which parts of it name one clinic, several or none."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Delete,
    ForeignKeyConstraint,
    Insert,
    Select,
    Table,
    UniqueConstraint,
    Update,
    make_url,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList, ClauseElement, ColumnClause, Grouping
from sqlalchemy.sql.selectable import CTE, FromClause, Join, SelectBase, Subquery

import clinic_service
from clinic_service.db.dialects import _Among
from clinic_service.db.placement import Kind, Placement
from clinic_service.db.prepared import Query

_DIALECT = make_url("postgresql+psycopg://").get_dialect()()


class Bound(IntEnum):
    """How many values of its distribution column a table of a statement is read for."""

    ONE = 1
    SEVERAL = 2
    ALL = 3


class Part(NamedTuple):
    """A distributed table in a SELECT, UPDATE or DELETE, and how it is bound. `locks`: the part is FOR UPDATE."""

    table: str
    group: str
    bound: Bound
    locks: bool


def placement_of(source: FromClause) -> Placement | None:
    """The placement of a table or of its alias; None for a subquery."""
    element: Any = source
    while not isinstance(element, Table):
        element = getattr(element, "element", None)
        if element is None or isinstance(element, SelectBase):
            return None
    placement: Placement | None = element.info.get("placement")
    return placement


def parts(statement: Any, outer: Sequence[FromClause] = ()) -> Iterator[Part]:
    """The distributed tables of the statement and of everything in it. `outer`: the tables that a subquery refers to."""
    if isinstance(statement, CompoundSelect):
        for one in statement.selects:
            yield from parts(getattr(one, "element", one), outer)
    elif isinstance(statement, Select):
        yield from _parts_of_select(statement, outer)
    elif isinstance(statement, Update | Delete):
        conditions = list(statement._where_criteria)
        yield from _bound([statement.table], conditions, locks=False)
        values = getattr(statement, "_values", None) or {}
        yield from _within([*conditions, *values.values()], (*outer, statement.table))
    elif isinstance(statement, Insert) and statement.select is not None:
        yield from parts(statement.select, outer)


def _parts_of_select(statement: Select[Any], outer: Sequence[FromClause]) -> Iterator[Part]:
    sources, conditions = [], list(statement._where_criteria)
    for one in _froms(statement):
        for source, condition in _leaves(one):
            sources.append(source)
            conditions += condition
    own = [source for source in sources if source not in outer] or sources
    tables = [source for source in own if not isinstance(source, Subquery | CTE)]
    yield from _bound(tables, conditions, locks=statement._for_update_arg is not None)
    for source in own:
        if isinstance(source, Subquery | CTE):
            yield from parts(source.element)
    yield from _within([*conditions, *statement._raw_columns, *statement._order_by_clauses], (*outer, *own))


def _froms(statement: Select[Any]) -> Sequence[FromClause]:
    compiler: Any = _DIALECT.statement_compiler(_DIALECT, None)
    found: Sequence[FromClause] = statement._compile_state_factory(statement, compiler)._get_display_froms()
    return found


def _leaves(source: FromClause) -> Iterator[tuple[FromClause, list[Any]]]:
    if isinstance(source, Join):
        yield from _leaves(source.left)
        yield from _leaves(source.right)
        yield source.left, [source.onclause]
    else:
        yield source, []


def _within(elements: Sequence[Any], outer: Sequence[FromClause]) -> Iterator[Part]:
    """The parts of the subqueries in these expressions."""
    for element in elements:
        if isinstance(element, SelectBase):
            inner = getattr(element, "element", element)
            yield from parts(getattr(inner, "element", inner), outer)
        elif isinstance(element, ClauseElement) and not isinstance(element, FromClause | ColumnClause):
            yield from _within([*element.get_children()], outer)


def _bound(sources: Sequence[FromClause], conditions: Sequence[Any], *, locks: bool) -> Iterator[Part]:
    placements = {source: placement for source in sources if (placement := placement_of(source)) is not None}
    known: dict[tuple[FromClause, str], Bound] = {}
    equal: list[tuple[tuple[FromClause, str], tuple[FromClause, str]]] = []
    for test in (test for condition in conditions for test in _conjuncts(condition)):
        if isinstance(test, _Among):
            column, _ = test.clauses
            if (key := _key(column, placements)) is not None:
                known[key] = min(known.get(key, Bound.ALL), Bound.SEVERAL)
        elif isinstance(test, BinaryExpression):
            one, other = _key(test.left, placements), _key(test.right, placements)
            if test.operator is operators.eq and one is not None and other is not None:
                equal.append((one, other))
            elif test.operator is operators.eq and (one or other) is not None and _is_constant(test):
                known[one or other] = Bound.ONE  # type: ignore[index]
            elif test.operator is operators.in_op and one is not None:
                known[one] = min(known.get(one, Bound.ALL), Bound.SEVERAL)
    # Columns that are equal to each other are bound alike.
    for _ in equal:
        for one, other in equal:
            known[one] = known[other] = min(known.get(one, Bound.ALL), known.get(other, Bound.ALL))
    for source, placement in placements.items():
        if placement.kind is Kind.DISTRIBUTED:
            bound = known.get((source, str(placement.column)), Bound.ALL)
            yield Part(_table(source).name, placement.group or "", bound, locks)


def _table(source: FromClause) -> Table:
    element: Any = source
    while not isinstance(element, Table):
        element = element.element
    return element


def _conjuncts(condition: Any) -> Iterator[Any]:
    if isinstance(condition, Grouping):
        yield from _conjuncts(condition.element)
    elif isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
        for one in condition.clauses:
            yield from _conjuncts(one)
    else:
        yield condition


def _key(column: Any, placements: Mapping[FromClause, Placement]) -> tuple[FromClause, str] | None:
    """The table and the name of a column of one of the tables."""
    source = getattr(column, "table", None)
    found = next((one for one in placements if source is not None and hash(one) == hash(source)), None)
    return None if found is None else (found, column.name)


def _is_constant(test: BinaryExpression[Any]) -> bool:
    """Whether one side of the comparison is a single parameter."""
    return any(isinstance(side, BindParameter) and not side.expanding for side in (test.left, test.right))


def statements() -> Iterator[tuple[str, Any]]:
    """All constant statements of the package, by the name of the module or class and of the constant."""
    for info in pkgutil.walk_packages(clinic_service.__path__, "clinic_service."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        short = info.name.removeprefix("clinic_service.")
        for name, value in vars(module).items():
            if isinstance(value, type):
                if value.__module__ == info.name:
                    for inner, one in vars(value).items():
                        yield from _constants(f"{short}.{name}.{inner}", one)
            else:
                yield from _constants(f"{short}.{name}", value)


def _constants(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Query):
        yield name, value.statement
    elif isinstance(value, Select | CompoundSelect | Insert | Update | Delete):
        yield name, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _constants(f"{name}[{key}]", one)
    elif isinstance(value, tuple | list):
        for index, one in enumerate(value):
            yield from _constants(f"{name}[{index}]", one)
    elif type(value).__module__.startswith("clinic_service.") and hasattr(value, "__dict__"):
        for inner, one in vars(value).items():
            if isinstance(one, Select | CompoundSelect | Insert | Update | Delete):
                yield f"{name}.{inner}", one


def refused_keys(table: Table) -> Iterator[str]:
    """The unique and foreign keys of a table that Citus refuses."""
    column = table.info["placement"].column
    keys: list[Any] = [table.primary_key, *(index for index in table.indexes if index.unique)]
    keys += [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
    if column is not None:
        yield from (str(key.name) for key in keys if column not in key.columns)
    for foreign in table.foreign_key_constraints:
        if not _is_allowed(foreign):
            yield str(foreign.name)


def _is_allowed(key: ForeignKeyConstraint) -> bool:
    """Whether a foreign key leads to a table that every machine has, or by the distribution column to the same machine."""
    own, other = key.table.info["placement"], key.referred_table.info["placement"]
    if own.kind is not Kind.DISTRIBUTED:
        return bool(own.kind is other.kind)
    if other.kind is not Kind.DISTRIBUTED:
        return bool(other.kind is Kind.REFERENCE)
    pairs = {(element.parent.name, element.column.name) for element in key.elements}
    return own.group == other.group and (own.column, other.column) in pairs
