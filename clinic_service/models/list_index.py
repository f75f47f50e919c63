"""What start pages and reports go by, copied once more into narrow rows with an index for each figure.

A row has the hot figures and dates of both types, because who filters by the one often sorts by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Boolean, Column, Double, ForeignKeyConstraint, Index, Table

from clinic_service.db.base import COUNTED_IN_INDEXES, Base
from clinic_service.db.types import ExactText, ObjectId, UtcDateTime
from clinic_service.models.statistics import CGM, DELTA, FIELDS, TYPES, column_name, is_hot

# The date that is as hot as any figure.
LAST_DATA = "lastData"


def hot_column(kind: str, name: str) -> str:
    """The column for the hot figure or date of that name, or its flag, of one type."""
    return f"{kind}_{column_name(name)}"


class Hot(NamedTuple):
    """A figure or date that start pages and reports go by; the `flag`, if there is one, says whether it means something."""

    kind: str
    name: str
    flag: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Flag and figure, in the order of an index."""
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
# What start pages filter by stands in every hot index, so that along any hot order it is known without a look-up.
CARRIED = tuple(hot_column(CGM, field.name) for field in FIELDS if field.is_start_filter)


def _hot_columns(hot: Hot) -> list[Column[float] | Column[bool] | Column[datetime]]:
    *flag, value = hot.columns
    of_value: Column[float] | Column[datetime] = Column(value, UtcDateTime if hot.name == LAST_DATA else Double)
    return [*(Column(name, Boolean) for name in flag), of_value]


def _hot_index(hot: Hot) -> Index:
    """Serves filters, and sorts in both directions: those whose value means something first, then the others."""
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
