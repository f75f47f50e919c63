"""Figures of the summaries of patients, copied into columns so that lists can filter and sort by them.

`FIELDS` lists all figures. Columns, indexes, filters, sorts and their tests are derived from it. The spec defines the
summaries themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Boolean, Column, Double, ForeignKeyConstraint, Index, Table

from clinic_service.db.base import Base, placed
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ExactText, ObjectId

CGM, BGM = "cgm", "bgm"
TYPES = (CGM, BGM)
# Summaries may have other periods as well, which are only stored and returned.
PERIODS = ("1d", "7d", "14d", "30d")
DELTA = "Delta"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*")


@dataclass(frozen=True, slots=True)
class Field:
    """One figure of a period, by its name in summaries. Its change (`Delta`) has the same properties, except as noted.

    Summaries of the `types` contain it. Those of the `flagged` types contain a `has…` flag as well, which tells whether the
    figure is meaningful; the `Delta` has no flag. Lists can filter by it for the types `filterable`, and sort by it for the
    types `sortable`. The list index contains it for the types `indexed`, and its
    `Delta` for the types `indexed_delta`. `is_start_filter`: start pages filter by it.
    """

    name: str
    types: tuple[str, ...]
    flagged: tuple[str, ...]
    filterable: tuple[str, ...]
    sortable: tuple[str, ...]
    indexed: tuple[str, ...]
    indexed_delta: tuple[str, ...]
    is_start_filter: bool

    @property
    def flag(self) -> str:
        """The name of the flag."""
        return f"has{self.name[0].upper()}{self.name[1:]}"


def _figure(
    name: str,
    types: tuple[str, ...] = TYPES,
    *,
    flagged: bool = True,
    filterable: tuple[str, ...] | None = None,
    sortable: tuple[str, ...] | None = None,
    indexed: tuple[str, ...] = (),
    indexed_delta: tuple[str, ...] = (),
    is_start_filter: bool = False,
) -> Field:
    return Field(
        name,
        types,
        flagged=types if flagged else (),
        filterable=types if filterable is None else filterable,
        sortable=types if sortable is None else sortable,
        indexed=indexed,
        indexed_delta=indexed_delta,
        is_start_filter=is_start_filter,
    )


_RANGES = ("VeryLow", "Low", "AnyLow", "Target", "High", "AnyHigh", "VeryHigh", "ExtremeHigh")
# The ranges whose share of time start pages and the TIDE report use, and the ranges by whose readings start pages sort.
_SHARES, _READINGS = set(_RANGES) - {"Low", "High"}, {"VeryLow", "VeryHigh"}


def _of_range(name: str) -> Iterator[Field]:
    indexed = (CGM,) if name in _SHARES else ()
    indexed_delta = (CGM,) if name == "Target" else ()
    yield _figure(f"timeIn{name}Percent", indexed=indexed, indexed_delta=indexed_delta, is_start_filter=name in _SHARES)
    filterable = () if name == "ExtremeHigh" else TYPES
    yield _figure(f"timeIn{name}Records", filterable=filterable, indexed=(BGM,) if name in _READINGS else ())
    yield _figure(f"timeIn{name}Minutes", (CGM,))


# The names, and the filters and sorts of each figure, are those of the published Clinics API. Indexed figures are those by
# which its clients filter and sort start pages, and those of the TIDE report. Indexes on the others would make every
# new summary slower, for queries that are rare.
FIELDS = (
    _figure("averageGlucoseMmol", indexed=TYPES),
    _figure("averageDailyRecords"),
    _figure("glucoseManagementIndicator", (CGM,), indexed=(CGM,)),
    _figure("timeCGMUsePercent", (CGM,), indexed=(CGM,), is_start_filter=True),
    _figure("timeCGMUseMinutes", (CGM,), sortable=()),
    _figure("timeCGMUseRecords", (CGM,), sortable=()),
    *(field for name in _RANGES for field in _of_range(name)),
    _figure("totalRecords"),
    _figure("min", flagged=False),
    _figure("max", flagged=False),
    _figure("standardDeviation", flagged=False, filterable=(CGM,)),
    _figure("coefficientOfVariation", flagged=False, filterable=(CGM,)),
    _figure("daysWithData", flagged=False, filterable=(CGM,), sortable=(CGM,)),
    _figure("hoursWithData", (CGM,), flagged=False),
)
_INDEXED = {
    *((kind, field.name) for field in FIELDS for kind in field.indexed),
    *((kind, field.name + DELTA) for field in FIELDS for kind in field.indexed_delta),
}


def column_name(name: str) -> str:
    """`timeCGMUsePercent` as `time_cgm_use_percent`."""
    return _WORD.sub(lambda word: f"_{word[0].lower()}", name)


def is_indexed(kind: str, name: str) -> bool:
    """Whether the figure or `Delta` of that name and type is in the list index."""
    return (kind, name) in _INDEXED


def scope(kind: str, period: str) -> str:
    """The value of the column `scope` for one type and one period."""
    return f"{kind}{period}"


def _columns() -> list[Column[float] | Column[bool]]:
    columns: list[Column[float] | Column[bool]] = []
    for field in FIELDS:
        columns += [Column(column_name(name), Double) for name in (field.name, field.name + DELTA)]
        if field.flagged:
            columns.append(Column(column_name(field.flag), Boolean))
    return columns


# One row for each patient, type and period with figures.
STATISTICS = Table(
    "statistics",
    Base.metadata,
    Column("clinic_id", ObjectId(), primary_key=True),
    Column("scope", ExactText(6), primary_key=True),
    Column("patient_id", ObjectId(), primary_key=True),
    *_columns(),
    ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
    Index(None, "clinic_id", "patient_id"),
    # The table is stored in the order of its key, so that the rows of one clinic and scope can be scanned quickly.
    sqlite_with_rowid=False,
    info=placed(BY_CLINIC),
)
