"""The operations of `spec/clinic/paths/patients.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.resources.patients import service
from clinic_service.resources.patients.schemas import create_patient_schema, patient_schema


def get_patient(ctx: Context, clinic_id: str, patient_id: str) -> Any:
    """A clinic's record of one patient."""
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def list_clinics_for_patient(ctx: Context, user_id: str, limit: int, offset: int | None) -> Any:
    """The records that all clinics have of one user, each with its clinic."""
    patients = ctx.uow.patients.list_for_user(user_id, limit, offset or 0)
    clinics = ctx.uow.clinics.describe([patient.clinic_id for patient in patients])
    return [
        {"patient": patient_schema.dump(patient), "clinic": clinic_schema.dump(clinics[patient.clinic_id])}
        for patient in patients
        # A clinic that has been deleted since its patients were read is not shown any more.
        if patient.clinic_id in clinics
    ]


def prepare_create_patient_from_user(ctx: Context, clinic_id: str, patient_id: str, body: Any) -> service.Newcomer:
    """Look up the account and the profile of the user."""
    given = create_patient_schema.load(body or {})
    return service.look_up_newcomer(ctx.uow, ctx.services.accounts, clinic_id, patient_id, given)


def create_patient_from_user(
    ctx: Context,
    clinic_id: str,
    patient_id: str,
    body: Any,  # noqa: ARG001 - read by the preparation
    prepared: service.Newcomer,
) -> Any:
    """Make a user who has an account a patient of the clinic."""
    service.create_from_user(ctx.uow, clinic_id, patient_id, prepared, ctx.config.demo_patient_user_id)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))
