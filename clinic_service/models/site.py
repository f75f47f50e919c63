"""A clinic's sites, and which patients belong to them."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import ClassVar

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from clinic_service.db.base import Base
from clinic_service.db.types import ExactText, ObjectId
from clinic_service.models.clinic import Clinic
from clinic_service.models.patient import Patient
from clinic_service.models.sort_keys import folded

_LONGEST_NAME = 200
_WHITE_SPACE_OF_TAGS = re.compile(r"[\t\n\f\r]")
_NUMBERED = re.compile(r"(.*) \(([0-9]+)\)", re.DOTALL)


class Site(Base):
    __tablename__ = "sites"

    # So many a clinic may have, unless it gained some by taking over another clinic.
    most_per_clinic: ClassVar[int] = 50

    clinic_id: Mapped[str] = mapped_column(ForeignKey("clinics.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[str] = mapped_column(ObjectId, primary_key=True)
    name: Mapped[str]
    # Names with equal keys are one name.
    name_key: Mapped[str] = mapped_column(ExactText())

    clinic: Mapped[Clinic] = relationship(lazy="raise")

    __table_args__ = (UniqueConstraint("clinic_id", "name_key"),)

    @staticmethod
    def key_of(name: str) -> str:
        """The form in which names of sites are compared: neither letter case nor spaces at the end count."""
        return folded(name.rstrip(" "))

    @staticmethod
    def name_of_tag(name: str) -> str:
        """The name of a tag as a site can have it: the only white space of sites is the plain space, never first."""
        return _WHITE_SPACE_OF_TAGS.sub(" ", name).strip(" ")

    @staticmethod
    def free_name(name: str, taken: Container[str]) -> str:
        """`name`; if its key is among `taken`, with ` (2)` or the next free number behind it. 200 characters at most."""
        while Site.key_of(name) in taken:
            name = _with_next_number(name)
        return name


def _with_next_number(name: str) -> str:
    numbered = _NUMBERED.fullmatch(name)
    base, number = (numbered[1], int(numbered[2]) + 1) if numbered else (name, 2)
    suffix = f" ({number})"
    return base[: _LONGEST_NAME - len(suffix)] + suffix


class PatientSite(Base):
    """A patient belongs to a site; `position` keeps the order in which the sites were given."""

    __tablename__ = "patient_sites"

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
