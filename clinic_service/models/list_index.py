"""The list index: the figures and dates of patients that lists use most, in narrow rows with an index on each of them.

Start pages and reports filter and sort by these figures and dates. A row has those of both types (CGM and BGM),
because a list that is filtered by one type is often sorted by the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Boolean, Column, Double, ForeignKeyConstraint, Index, Table

from clinic_service.db.base import COUNTED_IN_INDEXES, Base, placed
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ExactText, ObjectId, UtcDateTime
from clinic_service.models.statistics import CGM, DELTA, FIELDS, TYPES, column_name, is_indexed

# The one date in the list index.
LAST_DATA = "lastData"


def list_index_column(kind: str, name: str) -> str:
    """The column of the figure, date or flag `name` of one type in the list index."""
    return f"{kind}_{column_name(name)}"


class IndexedValue(NamedTuple):
    """A figure or date in the list index. `flag` names the flag that tells whether it is meaningful, if there is one."""

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
        return tuple(list_index_column(self.kind, name) for name in self.names)


def _indexed_values() -> Iterator[IndexedValue]:
    for kind in TYPES:
        yield IndexedValue(kind, LAST_DATA, "hasLastData")
        for field in FIELDS:
            if is_indexed(kind, field.name):
                yield IndexedValue(kind, field.name, field.flag if kind in field.flagged else None)
            if is_indexed(kind, field.name + DELTA):
                yield IndexedValue(kind, field.name + DELTA, None)


INDEXED_VALUES = tuple(_indexed_values())
# The columns that start pages filter by. Every index contains them, so that a scan of any index can test them without a
# look-up.
COVERED = tuple(list_index_column(CGM, field.name) for field in FIELDS if field.is_start_filter)


def _columns_of(indexed: IndexedValue) -> list[Column[float] | Column[bool] | Column[datetime]]:
    *flag, value = indexed.columns
    of_value: Column[float] | Column[datetime] = Column(value, UtcDateTime if indexed.name == LAST_DATA else Double)
    return [*(Column(name, Boolean) for name in flag), of_value]


def _index_of(indexed: IndexedValue) -> Index:
    """The index for filters and for sorts in both directions; rows with a meaningful value come first."""
    *_, value = indexed.columns
    carried = (name for name in COVERED if name != value)
    return Index(f"ix_list_index_{value}", "clinic_id", "period", *indexed.columns, "patient_id", *carried)


# One row for each patient with a summary and each period.
LIST_INDEX = Table(
    "list_index",
    Base.metadata,
    Column("clinic_id", ObjectId(), primary_key=True),
    Column("period", ExactText(3), primary_key=True),
    Column("patient_id", ObjectId(), primary_key=True),
    *(column for one in INDEXED_VALUES for column in _columns_of(one)),
    ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
    Index(None, "clinic_id", "patient_id"),
    *(_index_of(one) for one in INDEXED_VALUES),
    sqlite_with_rowid=False,
    info=placed(BY_CLINIC),
    postgresql_with=COUNTED_IN_INDEXES,
)
