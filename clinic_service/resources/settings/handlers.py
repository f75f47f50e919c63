"""The operations of `spec/clinic/paths/settings.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.settings import service
from clinic_service.resources.settings.schemas import (
    PatientNumbers,
    ehr_settings_schema,
    membership_restriction_schema,
    mrn_settings_schema,
    patient_count_schema,
    patient_count_settings_schema,
)
from clinic_service.serialization import JsonObject


def list_membership_restrictions(ctx: Context, clinic_id: str) -> JsonObject:
    """The membership restrictions of the clinic."""
    ctx.uow.clinics.require(clinic_id)
    return _restrictions(ctx, clinic_id)


def update_membership_restrictions(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Replace the membership restrictions of the clinic."""
    service.replace_restrictions(ctx.uow, clinic_id, body.get("restrictions", ()))
    return _restrictions(ctx, clinic_id)


def get_mrn_settings(ctx: Context, clinic_id: str) -> JsonObject:
    """The clinic's settings for medical record numbers."""
    ctx.uow.clinics.require(clinic_id)
    return mrn_settings_schema.dump(ctx.uow.settings.get_mrn(clinic_id))


def update_mrn_settings(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Change the clinic's settings for medical record numbers."""
    service.set_mrn_settings(ctx.uow, clinic_id, required=body["required"], unique=body["unique"])
    return mrn_settings_schema.dump(ctx.uow.settings.get_mrn(clinic_id))


def get_patient_count_settings(ctx: Context, clinic_id: str) -> JsonObject:
    """The patient limits that apply to the clinic."""
    return ctx.uow.clinics.patient_count_settings(clinic_id)


def update_patient_count_settings(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Replace the patient limits of the clinic."""
    service.set_patient_limits(ctx.uow, clinic_id, patient_count_settings_schema.load(body))
    return ctx.uow.clinics.patient_count_settings(clinic_id)


def get_patient_count(ctx: Context, clinic_id: str) -> JsonObject:
    """The current number of the clinic's patients."""
    ctx.uow.clinics.require(clinic_id)
    demo_user_id = ctx.config.demo_patient_user_id
    counts = ctx.uow.patients.count(clinic_id, demo_user_id)
    by_provider = ctx.uow.patients.count_by_provider(clinic_id, demo_user_id)
    return patient_count_schema.dump(PatientNumbers(counts.total, counts.demo, counts.plan, by_provider))


def refresh_patient_count(ctx: Context, clinic_id: str) -> None:
    """Check that the clinic exists. There is nothing to refresh, because patients are counted for each request."""
    ctx.uow.clinics.require(clinic_id)


def get_ehr_settings(ctx: Context, clinic_id: str) -> JsonObject:
    """The settings for the clinic's connection to its health record system."""
    ctx.uow.clinics.require(clinic_id)
    return _ehr_settings(ctx, clinic_id)


def update_ehr_settings(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Replace the settings for the clinic's connection to its health record system."""
    service.set_ehr_settings(ctx.uow, clinic_id, ehr_settings_schema.load(body))
    return _ehr_settings(ctx, clinic_id)


def _restrictions(ctx: Context, clinic_id: str) -> JsonObject:
    rows = ctx.uow.settings.list_restrictions(clinic_id)
    return {"restrictions": membership_restriction_schema.dump(rows, many=True)}


def _ehr_settings(ctx: Context, clinic_id: str) -> JsonObject:
    # Loaded with the schema like a body, because the schema fills in defaults where the stored value is empty.
    return ehr_settings_schema.dump(ehr_settings_schema.load(ctx.uow.settings.get_ehr(clinic_id)))
