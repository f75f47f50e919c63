"""A clinic's tags, and which patients carry them."""

from __future__ import annotations

import unicodedata
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ObjectId
from clinic_service.models.label import Label
from clinic_service.models.patient import Patient
from clinic_service.models.sort_keys import folded

_SIGNS = frozenset("_+><-")
_BLANKS = frozenset(" \t\n\f\r")


class Tag(Label):
    """A tag of a clinic."""

    __tablename__ = "tags"
    placement = BY_CLINIC

    longest_name: ClassVar[int] = 20

    __table_args__ = (UniqueConstraint("clinic_id", "name_key"),)

    @staticmethod
    def trim(name: str) -> str:
        """`name` without white space at its ends."""
        return name.strip()

    @classmethod
    def key_of(cls, name: str) -> str:
        """The key by which names of tags are compared: without spaces, and in one letter case."""
        return folded(cls.trim(name).replace(" ", ""))

    @classmethod
    def is_name(cls, text: str) -> bool:
        """Whether the spec admits `text` as a name; for names that do not come from a request."""
        return 0 < len(text) <= cls.longest_name and text[0] not in _BLANKS and all(map(_is_in_names, text))


def _is_in_names(character: str) -> bool:
    # Letters and numbers of all scripts.
    return character in _SIGNS or character in _BLANKS or unicodedata.category(character)[0] in "LN"


class PatientTag(Base):
    """A patient carries a tag."""

    __tablename__ = "patient_tags"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    tag_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)

    patient: Mapped[Patient] = relationship(lazy="raise")
    tag: Mapped[Tag] = relationship(lazy="raise", overlaps="patient")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["clinic_id", "tag_id"], ["tags.clinic_id", "tags.id"], ondelete="CASCADE"),
        Index(None, "clinic_id", "tag_id", "patient_id"),
    )
