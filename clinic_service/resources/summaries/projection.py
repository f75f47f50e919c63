"""The projection of a summary: the stored text, and the columns that lists need.

Both the update of summaries and `reconcile.py`, which repairs the columns from the stored texts, use these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from clinic_service import clock
from clinic_service.errors import BadRequest, Violation
from clinic_service.models import STATISTICS
from clinic_service.models.list_index import INDEXED_VALUES, list_index_column
from clinic_service.models.statistics import DELTA, FIELDS, PERIODS, TYPES, column_name, scope

_FLAGS = ("hasFirstData", "hasLastData", "hasLastUploadDate", "hasOutdatedSince")
_KEPT_TIMES = ("lastUpdatedDate", "firstData", "lastData", "lastUploadDate", "outdatedSince")
_TIMES = (*_KEPT_TIMES, "outdatedSinceLimit")
# A row of statistics without figures; its key is not part of it.
_NO_FIGURES: dict[str, Any] = {column.name: None for column in STATISTICS.columns if not column.primary_key}
# The figures and flags of each type, by column. Members that belong to the other type are ignored.
_FIGURES = {
    kind: [(column_name(n), n) for f in FIELDS if kind in f.types for n in (f.name, f.name + DELTA)] for kind in TYPES
}
_FIGURE_FLAGS = {kind: [(column_name(f.flag), f.flag) for f in FIELDS if kind in f.flagged] for kind in TYPES}
SCOPES = {kind: tuple(scope(kind, period) for period in PERIODS) for kind in TYPES}
_NO_VALUES: dict[str, Any] = {column: None for one in INDEXED_VALUES for column in one.columns}
# The columns of each type in the list index, and the columns of its summary or statistics that they copy.
_INDEXED = {
    kind: [
        (list_index_column(kind, n), column_name(n)) for one in INDEXED_VALUES if one.kind == kind for n in one.names
    ]
    for kind in TYPES
}


@dataclass(frozen=True, slots=True)
class Projection:
    """The projection of one summary, without the keys.

    `summary` has the columns of the row in `summaries`, `statistics` those of the rows in `statistics`, by scope.
    """

    kind: str
    text: str
    summary: Mapping[str, Any]
    statistics: Mapping[str, Mapping[str, Any]]


def list_index_row(summaries: Iterable[Projection], period: str) -> dict[str, Any]:
    """The columns, without the key, of the row in `list_index` for a patient with these summaries and the period."""
    row = dict(_NO_VALUES)
    for projection in summaries:
        known = {**projection.summary, **projection.statistics.get(scope(projection.kind, period), _NO_FIGURES)}
        row.update((column, known[source]) for column, source in _INDEXED[projection.kind])
    return row


def given_summaries(body: Mapping[str, Any] | None) -> dict[str, Projection | None]:
    """The projections of a `patientSummary.v1` by type, always in the same order; without a body, None for each type.

    Raises BadRequest for a time that does not exist in the calendar.
    """
    if body is None:
        return dict.fromkeys(sorted(TYPES))
    return {kind: _written(kind, stats) for kind in sorted(TYPES) if (stats := body.get(f"{kind}Stats")) is not None}


def _written(kind: str, stats: Mapping[str, Any]) -> Projection:
    return project(kind, stats, orjson.dumps(stats).decode())


def project(kind: str, stats: Mapping[str, Any], text: str) -> Projection:
    """The projection of the summary `stats`, which is valid and has the JSON text `text`."""
    return Projection(kind, text, _summary(kind, stats, text), _statistics(kind, stats.get("periods", {})))


def _summary(kind: str, stats: Mapping[str, Any], text: str) -> dict[str, Any]:
    dates = stats.get("dates", {})
    times = {name: _time(kind, name, dates[name]) for name in _TIMES if name in dates}
    return {
        # An empty id counts as missing.
        "summary_id": stats.get("id") or None,
        "digest": sha256(text.encode()).digest(),
        **{column_name(name): times.get(name) for name in _KEPT_TIMES},
        # Stored as sent, even when a flag contradicts its time.
        **{column_name(flag): dates.get(flag) for flag in _FLAGS},
    }


def _time(kind: str, name: str, text: str) -> datetime | None:
    try:
        return clock.known_time(text)
    except ValueError:
        raise BadRequest(violations=[Violation(f"/body/{kind}Stats/dates/{name}", "format", "date-time")]) from None


def _statistics(kind: str, periods: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {scope(kind, period): _row(kind, periods[period]) for period in PERIODS if period in periods}


def _row(kind: str, figures: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(_NO_FIGURES)
    for column, name in _FIGURES[kind]:
        value = figures.get(name)
        # Always the same type, because the driver prepares one statement for each combination of parameter types.
        row[column] = None if value is None else float(value)
    for column, name in _FIGURE_FLAGS[kind]:
        row[column] = figures.get(name)
    return row
