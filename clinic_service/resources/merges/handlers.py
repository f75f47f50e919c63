"""The operations of `spec/clinic/paths/merges.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.merges.execution import merge_clinics


def merge_clinic(ctx: Context, clinic_id: str, body: Any) -> None:
    """Merge the clinic that the body names into the one in the path."""
    demo_user_id = ctx.config.demo_patient_user_id
    merge_clinics(ctx.uow, source_id=body["sourceId"], target_id=clinic_id, demo_user_id=demo_user_id)
