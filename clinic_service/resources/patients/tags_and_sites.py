"""The tags and sites of a patient. Each list is always replaced as a whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, and_, bindparam, delete, select

from clinic_service.models import Patient, PatientSite, PatientTag
from clinic_service.resources.patients.repository import ADD_SITES, ADD_TAGS
from clinic_service.unit_of_work import UnitOfWork


def _of_patient(link: type[PatientTag] | type[PatientSite]) -> ColumnElement[bool]:
    return and_(link.clinic_id == bindparam("of_clinic"), link.patient_id == bindparam("of_patient"))


_TAGS = select(PatientTag.tag_id).where(_of_patient(PatientTag))
_SITES = select(PatientSite.site_id).where(_of_patient(PatientSite)).order_by(PatientSite.position)
_REMOVE_TAGS = delete(PatientTag).where(_of_patient(PatientTag))
_REMOVE_SITES = delete(PatientSite).where(_of_patient(PatientSite))


def replace_tags(uow: UnitOfWork, patient: Patient, tag_ids: Collection[str]) -> bool:
    """Replace the patient's tags by those of `tag_ids` that the clinic has. Returns whether they changed.

    The clinic's row must be locked.
    """
    wanted = uow.patients.known_tags(patient.clinic_id, tag_ids)
    key = _key(patient)
    if {tag_id for (tag_id,) in uow.rows(_TAGS, key)} == set(wanted):
        return False
    uow.change(_REMOVE_TAGS, key)
    uow.insert(ADD_TAGS, *({**_columns(patient), "tag_id": tag_id} for tag_id in wanted))
    return True


def replace_sites(uow: UnitOfWork, patient: Patient, site_ids: Sequence[str]) -> bool:
    """Replace the patient's sites by these sites of the clinic, in this order. Returns whether they changed."""
    wanted = list(dict.fromkeys(site_ids))
    key = _key(patient)
    if [site_id for (site_id,) in uow.rows(_SITES, key)] == wanted:
        return False
    uow.change(_REMOVE_SITES, key)
    uow.insert(ADD_SITES, *({**_columns(patient), "site_id": s, "position": p} for p, s in enumerate(wanted)))
    return True


def _key(patient: Patient) -> dict[str, str]:
    return {"of_clinic": patient.clinic_id, "of_patient": patient.id}


def _columns(patient: Patient) -> dict[str, str]:
    return {"clinic_id": patient.clinic_id, "patient_id": patient.id}
