"""Changing the settings of clinics."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from clinic_service.errors import Violation
from clinic_service.models import EhrProvider
from clinic_service.resources.settings.errors import LimitEndsBeforeStart
from clinic_service.resources.settings.schemas import ehr_settings_schema, patient_count_settings_schema
from clinic_service.unit_of_work import UnitOfWork

_log = logging.getLogger(__name__)
_NEW_NOTE = "New"


def replace_restrictions(uow: UnitOfWork, clinic_id: str, given: Iterable[Mapping[str, Any]]) -> None:
    """Store the membership restrictions, which apply to new members only. Of equal entries only the first is stored.

    Raises ClinicNotFound.
    """
    clinic = uow.clinics.lock(clinic_id)
    pairs = [(entry["emailDomain"].lower(), entry.get("requiredIdp") or None) for entry in given]
    uow.settings.replace_restrictions(clinic_id, list(dict.fromkeys(pairs)))
    uow.clinics.touch(clinic)


def set_mrn_settings(uow: UnitOfWork, clinic_id: str, *, required: bool, unique: bool) -> None:
    """Store the settings for medical record numbers. Raises ClinicNotFound.

    When numbers become unique, patients who share a number keep it until one of them is changed. The unique constraint
    applies to all others immediately.
    """
    clinic = uow.clinics.lock(clinic_id)
    clinic.mrn_required, clinic.mrn_unique = required, unique
    uow.clinics.touch(clinic)
    if unique:
        uow.settings.bind_mrns(clinic_id)
    else:
        uow.settings.release_mrns(clinic_id)


def set_patient_limits(uow: UnitOfWork, clinic_id: str, limits: SimpleNamespace) -> None:
    """Store both limits, even when they do not apply to the clinic at present.

    Raises LimitEndsBeforeStart and ClinicNotFound, in this order.
    """
    for name, limit in (("hardLimit", limits.hard_limit), ("softLimit", limits.soft_limit)):
        if limit and limit.start_date and limit.end_date and limit.start_date > limit.end_date:
            raise LimitEndsBeforeStart(violations=[Violation(f"/body/{name}/endDate", "state")])
    clinic = uow.clinics.lock(clinic_id)
    clinic.patient_count_settings = patient_count_settings_schema.dump(limits)
    uow.clinics.touch(clinic)


def set_ehr_settings(uow: UnitOfWork, clinic_id: str, settings: SimpleNamespace) -> None:
    """Store the settings for the clinic's connection to its health record system. Raises ClinicNotFound."""
    clinic = uow.clinics.lock(clinic_id)
    reports = settings.scheduled_reports
    # The kind of note applies only while a report is sent after each upload.
    reports.on_upload_note_event_type = (
        reports.on_upload_note_event_type or _NEW_NOTE if reports.on_upload_enabled else None
    )
    clinic.ehr_settings = ehr_settings_schema.dump(settings)
    clinic.ehr_provider = EhrProvider(settings.provider)
    clinic.ehr_source_id = settings.source_id
    clinic.ehr_enabled = settings.enabled
    clinic.ehr_on_upload = reports.on_upload_enabled
    uow.clinics.touch(clinic)
    if settings.enabled and settings.source_id:
        _warn_of_shared_source(uow, clinic_id, settings)


def _warn_of_shared_source(uow: UnitOfWork, clinic_id: str, settings: SimpleNamespace) -> None:
    # Allowed, but messages of this source will be refused until the operator decides which clinic keeps it.
    other = uow.settings.find_clinic_of_source(settings.provider, settings.source_id, other_than=clinic_id)
    if other is not None:
        _log.warning("ehr_source_shared", extra={"clinic": clinic_id, "other": other})
