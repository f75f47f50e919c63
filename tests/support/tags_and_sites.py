"""Who carries a tag or belongs to a site, and when the clinic and its patients changed, as the tests look at it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import and_, select

from clinic_service.db.engine import Database
from clinic_service.models import Clinic, Patient, PatientSite, PatientTag, Site, Tag
from clinic_service.unit_of_work import UnitOfWork
from tests.support.cast import Somebody
from tests.support.rows import make_site, make_tag, storing


def carriers(database: Database, tag_id: str) -> set[str]:
    """The user ids of the patients who carry the tag."""
    link = and_(PatientTag.clinic_id == Patient.clinic_id, PatientTag.patient_id == Patient.id)
    with storing(database) as unit:
        found = select(Patient.user_id).join(PatientTag, link).where(PatientTag.tag_id == tag_id)
        return set(unit.session.scalars(found))


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


def make_tags(unit: UnitOfWork, clinic: Clinic, numbers: Iterable[int]) -> list[Tag]:
    """Tags called `Tag 0`, `Tag 1` and so on."""
    return [make_tag(unit, clinic, f"Tag {number}") for number in numbers]


def make_sites(unit: UnitOfWork, clinic: Clinic, numbers: Iterable[int]) -> list[Site]:
    """Sites called `Site 0`, `Site 1` and so on."""
    return [make_site(unit, clinic, f"Site {number}") for number in numbers]
