"""The list index: hot figures and dates of patients, in narrow rows with an index on each of them.

Figures and dates are hot when start pages and reports filter or sort by them. A row has those of both types (CGM and BGM),
because a list that is filtered by one type is often sorted by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Boolean, Column, Double, ForeignKeyConstraint, Index, Table

from clinic_service.db.base import COUNTED_IN_INDEXES, Base
from clinic_service.db.types import ExactText, ObjectId, UtcDateTime
from clinic_service.models.statistics import CGM, DELTA, FIELDS, TYPES, column_name, is_hot

# The date that is hot.
LAST_DATA = "lastData"


def hot_column(kind: str, name: str) -> str:
    """The column of the hot figure, date or flag `name` of one type."""
    return f"{kind}_{column_name(name)}"


class Hot(NamedTuple):
    """A hot figure or date. `flag` is the name of the flag that tells whether its value is meaningful, if it has one."""

    kind: str
    name: str
    flag: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the flag and of the figure, in the order in which an index has them."""
        return (self.flag, self.name) if self.flag else (self.name,)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `names`."""
        return tuple(hot_column(self.kind, name) for name in self.names)


def _hot() -> Iterator[Hot]:
    for kind in TYPES:
        yield Hot(kind, LAST_DATA, "hasLastData")
        for field in FIELDS:
            if is_hot(kind, field.name):
                yield Hot(kind, field.name, field.flag if kind in field.flagged else None)
            if is_hot(kind, field.name + DELTA):
                yield Hot(kind, field.name + DELTA, None)


HOT = tuple(_hot())
# The columns that start pages filter by. Every index contains them, so that a scan of any index can test them without a
# look-up.
CARRIED = tuple(hot_column(CGM, field.name) for field in FIELDS if field.is_start_filter)


def _hot_columns(hot: Hot) -> list[Column[float] | Column[bool] | Column[datetime]]:
    *flag, value = hot.columns
    of_value: Column[float] | Column[datetime] = Column(value, UtcDateTime if hot.name == LAST_DATA else Double)
    return [*(Column(name, Boolean) for name in flag), of_value]


def _hot_index(hot: Hot) -> Index:
    """The index for filters and for sorts in both directions; rows with a meaningful value come first."""
    *_, value = hot.columns
    carried = (name for name in CARRIED if name != value)
    return Index(f"ix_hot_statistics_{value}", "clinic_id", "period", *hot.columns, "patient_id", *carried)


# One row for each patient with a summary and each period.
HOT_STATISTICS = Table(
    "hot_statistics",
    Base.metadata,
    Column("clinic_id", ObjectId(), primary_key=True),
    Column("period", ExactText(3), primary_key=True),
    Column("patient_id", ObjectId(), primary_key=True),
    *(column for hot in HOT for column in _hot_columns(hot)),
    ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
    Index(None, "clinic_id", "patient_id"),
    *(_hot_index(hot) for hot in HOT),
    sqlite_with_rowid=False,
    postgresql_with=COUNTED_IN_INDEXES,
)
