"""Reads which patients have a tag or a site, and when the clinic and its patients last changed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Patient, PatientSite, PatientTag, Site, Tag
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import Somebody
from tests.support.rows import make_label, storing


def patients_with(database: Database, column: Any, label_id: str) -> set[str]:
    """The user ids of the patients who have the label. `column` is where links refer to it, `PatientTag.tag_id` say."""
    link = column.class_
    is_of_patient = and_(link.clinic_id == Patient.clinic_id, link.patient_id == Patient.id)
    with storing(database) as unit:
        found = select(Patient.user_id).join(link, is_of_patient).where(column == label_id)
        return set(unit.session.scalars(found))


def carriers(database: Database, tag_id: str) -> set[str]:
    """The user ids of the patients who carry the tag."""
    return patients_with(database, PatientTag.tag_id, tag_id)


def sites_of(database: Database, person: Somebody) -> list[str]:
    """The ids of the sites of somebody, who is a patient of one clinic, in their order."""
    link = and_(PatientSite.clinic_id == Patient.clinic_id, PatientSite.patient_id == Patient.id)
    with storing(database) as unit:
        found = select(PatientSite.site_id).join(Patient, link).where(Patient.user_id == person.id)
        return list(unit.session.scalars(found.order_by(PatientSite.position)))


def names(database: Database, model: type[Tag] | type[Site], clinic_id: str) -> list[str]:
    """The names of the tags or sites of a clinic, oldest first."""
    with storing(database) as unit:
        return list(unit.session.scalars(select(model.name).where(model.clinic_id == clinic_id).order_by(model.id)))


def clinic_time(database: Database, clinic_id: str) -> datetime:
    """When the clinic last changed."""
    with storing(database) as unit:
        return unit.session.scalars(select(Clinic.updated_time).where(Clinic.id == clinic_id)).one()


def patient_times(database: Database) -> dict[str, datetime]:
    """When patients last changed, by user id; of people who are patients of one clinic only."""
    with storing(database) as unit:
        return {patient.user_id: patient.updated_time for patient in unit.session.scalars(select(Patient))}


def make_labels(unit: UnitOfWork, clinic: Clinic, model: type[Tag] | type[Site], numbers: Iterable[int]) -> None:
    """Tags or sites with the names `Label 0`, `Label 1` and so on."""
    for number in numbers:
        make_label(unit, clinic, model, f"Label {number}")
