"""The base of tags and sites: labels that a clinic defines and gives to its patients."""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, declared_attr, mapped_column, relationship

from clinic_service.db.base import Base
from clinic_service.db.types import ExactText, ObjectId
from clinic_service.models.clinic import Clinic
from clinic_service.models.sort_keys import folded


class Label(Base):
    """A named label of a clinic. A table of labels has one row for each name: `name_key` is unique within the clinic."""

    __abstract__ = True

    # The maximum number of labels of one kind in a clinic.
    most_per_clinic: ClassVar[int] = 50

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    name: Mapped[str]
    # Two names with equal keys are the same name.
    name_key: Mapped[str] = mapped_column(ExactText())

    @declared_attr
    def clinic(cls) -> Mapped[Clinic]:  # noqa: N805 - SQLAlchemy calls it with the class
        """The clinic that defines the label."""
        return relationship(lazy="raise")

    @staticmethod
    def trim(name: str) -> str:
        """`name` as it is stored, without white space at its ends. `Tag` and `Site` define which white space."""
        raise NotImplementedError

    @classmethod
    def key_of(cls, name: str) -> str:
        """The key by which names are compared: `name` trimmed, and in one letter case. `Tag` also ignores spaces."""
        return folded(cls.trim(name))
