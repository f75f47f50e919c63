"""The operations of `spec/clinic/paths/summaries.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Answer, Context
from clinic_service.resources.summaries import service
from clinic_service.resources.summaries.projection import given_summaries


def update_patient_summary(ctx: Context, patient_id: str, body: Any) -> Answer:
    """Replace the user's summaries in all clinics; 204 when no clinic knows the user."""
    is_patient = service.update_summaries(ctx.uow, patient_id, given_summaries(body))
    return Answer(200 if is_patient else 204)


def delete_patient_summary(ctx: Context, summary_id: str) -> Answer:
    """Remove a summary from all clinics; 204 when none has it."""
    return Answer(200 if service.remove_summary(ctx.uow, summary_id) else 204)
