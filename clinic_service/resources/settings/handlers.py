"""The operations of `spec/clinic/paths/settings.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.settings.schemas import PatientCount, patient_count_schema


def get_patient_count(ctx: Context, clinic_id: str) -> Any:
    """How many patients the clinic has at this moment."""
    ctx.uow.clinics.require(clinic_id)
    demo_user_id = ctx.config.demo_patient_user_id
    counts = ctx.uow.patients.count(clinic_id, demo_user_id)
    by_provider = ctx.uow.patients.count_by_provider(clinic_id, demo_user_id)
    return patient_count_schema.dump(PatientCount(counts.total, counts.demo, counts.plan, by_provider))
