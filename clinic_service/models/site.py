"""A clinic's sites, and which patients belong to them."""

from __future__ import annotations

import re
from collections.abc import Container

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base
from clinic_service.db.placement import BY_CLINIC
from clinic_service.db.types import ObjectId
from clinic_service.models.label import Label
from clinic_service.models.patient import Patient

_MAX_NAME_LENGTH = 200
_OTHER_WHITE_SPACE = re.compile(r"[\t\n\f\r]")
_NUMBERED = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)


class Site(Label):
    """A site of a clinic. A merge of clinics may give a clinic more sites than `most_per_clinic`."""

    __tablename__ = "sites"
    placement = BY_CLINIC
    __table_args__ = (UniqueConstraint("clinic_id", "name_key"),)

    @staticmethod
    def trim(name: str) -> str:
        """`name` without spaces at its end; it cannot begin with one."""
        return name.rstrip(" ")

    @staticmethod
    def name_of_tag(name: str) -> str:
        """The name that a site gets from a tag: all white space becomes plain spaces, with none at either end."""
        return _OTHER_WHITE_SPACE.sub(" ", name).strip(" ")

    @staticmethod
    def free_name(name: str, taken: Container[str]) -> str:
        """`name`, with ` (2)` or the next free number appended when its key is in `taken`; at most 200 characters."""
        while Site.key_of(name) in taken:
            name = _with_next_number(name)
        return name


def _with_next_number(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    base, number = (numbered[1], int(numbered[2]) + 1) if numbered else (name, 2)
    suffix = f" ({number})"
    return base[: _MAX_NAME_LENGTH - len(suffix)] + suffix


class PatientSite(Base):
    """A patient belongs to a site. The sites of a patient are ordered by `position`."""

    __tablename__ = "patient_sites"
    placement = BY_CLINIC

    clinic_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    patient_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    site_id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    position: Mapped[int]

    patient: Mapped[Patient] = relationship(lazy="raise")
    site: Mapped[Site] = relationship(lazy="raise", overlaps="patient")

    __table_args__ = (
        ForeignKeyConstraint(["clinic_id", "patient_id"], ["patients.clinic_id", "patients.id"], ondelete="CASCADE"),
        ForeignKeyConstraint(["clinic_id", "site_id"], ["sites.clinic_id", "sites.id"], ondelete="CASCADE"),
        Index(None, "clinic_id", "site_id", "patient_id"),
    )
