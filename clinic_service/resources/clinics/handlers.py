"""The operations of `spec/clinic/paths/clinics.yaml`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from clinic_service.context import Context, Page
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinics import service
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.serialization import JsonObject


def list_clinics(
    ctx: Context,
    limit: int,
    offset: int | None,
    share_code: str | None,
    created_time_start: datetime | None,
    created_time_end: datetime | None,
    ehr_enabled: bool | None,
) -> Page:
    """One page of the clinics that pass all filters, oldest first."""
    filters = {
        "share_code": share_code,
        "created_time_start": created_time_start,
        "created_time_end": created_time_end,
        "ehr_enabled": ehr_enabled,
    }
    clinics = ctx.uow.clinics.list(filters, limit=limit + 1, offset=offset or 0)
    return Page.of(clinics, offset or 0, limit, partial(clinic_schema.dump, many=True))


def _look_up_founders(ctx: Preparation) -> service.Founders:
    """Look up the accounts of the caller and of the demo patient."""
    return service.find_founders(ctx.accounts, ctx.caller.id, ctx.config.demo_patient_user_id)


@with_preparation(_look_up_founders)
def create_clinic(ctx: Context, founders: service.Founders, body: Any) -> JsonObject:
    """Create a clinic. The caller becomes its first admin."""
    clinic = service.create_clinic(ctx.uow, clinic_schema.load(body), founders)
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic.id))


def get_clinic_by_share_code(ctx: Context, share_code: str) -> JsonObject:
    """The clinic with this share code."""
    clinic_id = ctx.uow.clinics.get_id_by_share_code(share_code)
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id))


def get_clinic(ctx: Context, clinic_id: str) -> JsonObject:
    """One clinic."""
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id))


def update_clinic(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Change the profile of a clinic."""
    service.update_profile(ctx.uow, clinic_id, clinic_schema.load(body))
    return clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id))


def delete_clinic(ctx: Context, clinic_id: str) -> None:
    """Delete a clinic that has no patients except the demo patient."""
    service.delete_clinic(ctx.uow, clinic_id, ctx.config.demo_patient_user_id, ctx.caller.person_id)


def update_tier(ctx: Context, clinic_id: str, body: Any) -> None:
    """Set the service tier of a clinic."""
    service.set_tier(ctx.uow, clinic_id, body["tier"])


def update_suppressed_notifications(ctx: Context, clinic_id: str, body: Any) -> None:
    """Replace the notifications that the clinic does not want."""
    service.suppress_notifications(ctx.uow, clinic_id, body["suppressedNotifications"])
