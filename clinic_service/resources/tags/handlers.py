"""The operations of `spec/clinic/paths/tags.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.labels.schemas import label_schema
from clinic_service.resources.labels.service import rename_label
from clinic_service.resources.tags import service
from clinic_service.serialization import JsonObject


def create_patient_tag(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Create a tag of the clinic."""
    tag_id = service.create_tag(ctx.uow, clinic_id, body["name"])
    return label_schema.dump(ctx.uow.tags.describe_one(clinic_id, tag_id))


def update_patient_tag(ctx: Context, clinic_id: str, patient_tag_id: str, body: Any) -> JsonObject:
    """Rename a tag."""
    rename_label(ctx.uow, ctx.uow.tags, clinic_id, patient_tag_id, body["name"])
    return label_schema.dump(ctx.uow.tags.describe_one(clinic_id, patient_tag_id))


def delete_patient_tag(ctx: Context, clinic_id: str, patient_tag_id: str) -> None:
    """Delete a tag, and remove it from all patients."""
    service.delete_tag(ctx.uow, clinic_id, patient_tag_id)


def convert_patient_tag_to_site(ctx: Context, clinic_id: str, patient_tag_id: str) -> JsonObject:
    """Replace a tag by a site with the same patients."""
    site_id = service.convert_to_site(ctx.uow, clinic_id, patient_tag_id)
    return label_schema.dump(ctx.uow.sites.describe_one(clinic_id, site_id))


def assign_patient_tag_to_clinic_patients(ctx: Context, clinic_id: str, patient_tag_id: str, body: Any) -> None:
    """Give a tag to the patients with the listed user ids, or to all."""
    service.give_tag(ctx.uow, clinic_id, patient_tag_id, body)


def delete_patient_tag_from_clinic_patients(ctx: Context, clinic_id: str, patient_tag_id: str, body: Any) -> None:
    """Remove a tag from the patients with the listed user ids, or from all."""
    service.take_tag(ctx.uow, clinic_id, patient_tag_id, body)
