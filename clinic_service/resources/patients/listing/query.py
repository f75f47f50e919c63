"""Reads the parameters of ListPatients into filters and a sort order."""

from __future__ import annotations

import operator
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from clinic_service.errors import BadRequest, Violation
from clinic_service.models import LIST_INDEX, STATISTICS
from clinic_service.models.list_index import LAST_DATA, list_index_column
from clinic_service.models.statistics import BGM, CGM, DELTA, FIELDS, TYPES, Field, column_name, is_indexed, scope
from clinic_service.resources.patients.listing import filters
from clinic_service.resources.patients.listing.columns import PATIENTS, SUMMARIES, Rows, SortColumn
from clinic_service.resources.patients.listing.filters import Comparison, Filter, last_data
from clinic_service.resources.patients.listing.sorting import Order

_DEFAULT_PERIOD = "14d"
_ID = re.compile(r"[a-f0-9]{24}")
_COMPARISON = re.compile(r"([<>]=?)(.+)")
_OPERATORS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
# The names of sorts by the record of a patient, and their columns.
_PATIENT_SORTS = {"fullName": "name_key", "birthDate": "birth_date", "lastReviewed": "review_1_time"}
_DATE_SORTS = ("lastUploadDate", LAST_DATA, "firstData", "outdatedSince")


class ListQuery(NamedTuple):
    """All of `filters` must hold. The page has `limit` patients of the order, after the first `offset` patients."""

    filters: list[Filter]
    order: Order
    limit: int
    offset: int


class _Figure(NamedTuple):
    """A figure, or its change (`Delta`), with its name in parameters and sorts."""

    field: Field
    name: str

    @property
    def flag(self) -> str | None:
        # Only the figure has a flag. Its change has none.
        return self.field.flag if self.field.flagged and self.name == self.field.name else None

    def columns(self, kind: str) -> tuple[str, str | None]:
        """The column of the figure, and that of its flag if it has one, for one type."""
        name = partial(list_index_column, kind) if is_indexed(kind, self.name) else column_name
        return name(self.name), name(self.flag) if self.flag else None


_FIGURES = {name: _Figure(field, name) for field in FIELDS for name in (field.name, field.name + DELTA)}
FILTERABLE = {(kind, f.name): f for f in _FIGURES.values() for kind in f.field.filterable}
SORTABLE = {(kind, f.name): f for f in _FIGURES.values() for kind in f.field.sortable}


def read_query(query: Mapping[str, Any]) -> ListQuery:
    """The list that the parameters ask for. They are valid, and have the names of the spec.

    Raises BadRequest for an unknown sort.
    """
    period = query.get("period", _DEFAULT_PERIOD)
    return ListQuery(
        filters=[*_patient_filters(query), *_figure_filters(query, period)],
        order=_order(query, period),
        limit=query["limit"],
        offset=query.get("offset", 0),
    )


def _patient_filters(query: Mapping[str, Any]) -> Iterator[Filter]:
    if "tags" in query:
        tag_ids = _ids(query["tags"])
        yield from map(filters.Tagged, tag_ids) if tag_ids else [filters.UNTAGGED]
    if "sites" in query:
        site_ids = _ids(query["sites"])
        yield filters.AtAnySite(site_ids) if site_ids else filters.WITHOUT_SITE
    if "lastReviewed" in query:
        yield filters.LastReviewed(query["lastReviewed"])
    if query.get("omitNonStandardRanges"):
        yield filters.StandardRanges()
    if query.get("search"):
        yield filters.TextSearch(query["search"])


def _ids(items: list[str]) -> tuple[str, ...]:
    """The items that are ids, each once. Other items are ignored."""
    return tuple(dict.fromkeys(item for item in items if _ID.fullmatch(item)))


def _figure_filters(query: Mapping[str, Any], period: str) -> Iterator[Filter]:
    indexed: list[Comparison] = list(_of_last_data(query))
    others: dict[str, list[Comparison]] = defaultdict(list)
    for parameter, text in query.items():
        kind, _, name = parameter.partition(".")
        figure = FILTERABLE.get((kind, name))
        if figure:
            (indexed if is_indexed(kind, name) else others[kind]).append(_comparison(kind, figure, text))
    if indexed:
        yield filters.IndexedFigures(period, indexed)
    for kind, wanted in others.items():
        yield filters.Figures(scope(kind, period), wanted)


def _of_last_data(query: Mapping[str, Any]) -> Iterator[Comparison]:
    """The newest reading of a type is at the start (`lastDataFrom`) or later, and before the end (`lastDataTo`)."""
    for kind, (name, compare) in product(TYPES, (("lastDataFrom", operator.ge), ("lastDataTo", operator.lt))):
        time = query.get(f"{kind}.{name}")
        if time is not None:
            yield last_data(kind, compare, time)


def _comparison(kind: str, figure: _Figure, text: str) -> Comparison:
    found = _COMPARISON.fullmatch(text)
    assert found, "the pattern of the spec admits only comparisons"
    symbol, number = found.groups()
    column, flag = figure.columns(kind)
    return Comparison(column, _OPERATORS[symbol], float(number), flag, is_indexed(kind, figure.name))


def _order(query: Mapping[str, Any], period: str) -> Order:
    text = query.get("sort")
    if text is None:
        return _order_by("fullName", CGM, period, descending=False)
    kind = query.get("sortType")
    if kind is None:
        raise BadRequest(violations=[Violation("/query/sortType", "required")])
    # The pattern of the spec is not anchored, so the text may begin with any character.
    if text[0] not in "+-":
        raise _unknown_sort(kind)
    return _order_by(text[1:], kind, period, descending=text[0] == "-")


def _order_by(name: str, kind: str, period: str, *, descending: bool) -> Order:
    if name in _PATIENT_SORTS:
        column = SortColumn(Rows(PATIENTS, None), _PATIENT_SORTS[name])
        return Order(column, descending, is_indexed=True, nullable=name != "fullName")
    if name == LAST_DATA:
        column = SortColumn(Rows(LIST_INDEX, period), list_index_column(kind, name))
        return Order(column, descending, flag=list_index_column(kind, "hasLastData"), is_indexed=True)
    if name in _DATE_SORTS:
        column = SortColumn(Rows(SUMMARIES, kind), column_name(name))
        return Order(column, descending, flag=f"has_{column.name}")
    figure = SORTABLE.get((kind, name))
    if figure is None:
        raise _unknown_sort(kind)
    figure_column, flag = figure.columns(kind)
    rows = Rows(LIST_INDEX, period) if is_indexed(kind, name) else Rows(STATISTICS, scope(kind, period))
    return Order(SortColumn(rows, figure_column), descending, flag, is_indexed=is_indexed(kind, name))


def _unknown_sort(kind: str) -> BadRequest:
    expected = [sign + name for name in SORTS[kind] for sign in "+-"]
    return BadRequest(violations=[Violation("/query/sort", "enum", expected)])


SORTS = {
    kind: [*_PATIENT_SORTS, *_DATE_SORTS, *(name for of_kind, name in SORTABLE if of_kind == kind)]
    for kind in (CGM, BGM)
}
