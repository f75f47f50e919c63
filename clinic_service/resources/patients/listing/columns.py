"""The rows and columns that the patient list is sorted and filtered by. Every statement has the parameter `clinic_id`."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, Table, bindparam, column
from sqlalchemy import table as sql_table

from clinic_service.db.base import Base
from clinic_service.models import LIST_INDEX, STATISTICS, Patient, Summary
from clinic_service.models.list_index import COVERED

CLINIC_ID: ColumnElement[str] = bindparam("clinic_id")
PATIENTS = Base.metadata.tables[Patient.__tablename__]
SUMMARIES = Base.metadata.tables[Summary.__tablename__]

Ids = Select[str]
Condition = ColumnElement[bool]
# The column that divides the rows of a table into parts.
_PART_COLUMNS = {STATISTICS: "scope", LIST_INDEX: "period", SUMMARIES: "type"}


class Rows(NamedTuple):
    """The rows of one part of a table, for example of one period: at most one row for each patient.

    `part` is None for a table that has a single part.
    """

    table: Table
    part: str | None

    def conditions(self, table: FromClause | None = None) -> list[Condition]:
        """The conditions that select these rows of the clinic from `table`, by default the table itself, or an alias."""
        columns = (self.table if table is None else table).c
        in_clinic = columns.clinic_id == CLINIC_ID
        return [in_clinic] if self.part is None else [in_clinic, columns[_PART_COLUMNS[self.table]] == self.part]

    def patient_id(self, table: FromClause | None = None) -> ColumnElement[str]:
        """The column with the id of the patient, in `table`, by default the table itself, or an alias."""
        columns = (self.table if table is None else table).c
        return columns.id if self.table is PATIENTS else columns.patient_id

    def alias(self, *columns: str) -> FromClause:
        """An alias of the table for a subquery, with the primary key and these columns only.

        An alias with all of the hundred columns takes a millisecond to make.
        """
        names = {*self.table.primary_key.columns.keys(), *columns}
        return sql_table(self.table.name, *(column(name, self.table.c[name].type) for name in names)).alias()


class SortColumn(NamedTuple):
    """A column of `rows` that patients can be sorted by."""

    rows: Rows
    name: str

    @property
    def indexed_columns(self) -> frozenset[str]:
        """The columns that an index on this column contains, beside those of the key."""
        return frozenset((self.name, *COVERED) if self.rows.table is LIST_INDEX else (self.name,))
