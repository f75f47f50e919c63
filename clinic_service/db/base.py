"""The parts that all tables share: the declarative base, the names of constraints, and the two time stamps."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import Index, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from clinic_service.db.placement import Placement
from clinic_service.db.types import CreationTime, UtcDateTime

# Every constraint has a name, so that code can tell which one was violated, and a later revision can drop it.
NAMING_CONVENTION = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


def placed(placement: Placement) -> dict[str, Placement]:
    """The `info` of a table with this placement."""
    return {"placement": placement}


# Marks a column that is computed from other columns of its row.
DERIVED = {"derived": True}
# For a table whose rows are counted by index-only scans, which PostgreSQL can do only where it has vacuumed since the last
# change. By default it vacuums after a fifth of the table has changed.
COUNTED_IN_INDEXES = {"autovacuum_vacuum_scale_factor": 0.02}


class Base(DeclarativeBase):
    """The base of all models. Relationships are `lazy="raise"`: a repository loads those that it returns."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {str: Text, datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it as it stands
    placement: ClassVar[Placement]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__table__" in cls.__dict__:
            cls.metadata.tables[cls.__tablename__].info.update(placed(cls.placement))


class Timestamps:
    """When a row was created and last changed. The code that writes the row sets both, to times of the unit of work."""

    created_time: Mapped[datetime] = mapped_column(CreationTime)
    updated_time: Mapped[datetime] = mapped_column(UtcDateTime)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """An index on only those rows for which `where`, a condition in SQL, holds."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
