"""The operations of `spec/clinic/paths/sites.yaml`."""

from __future__ import annotations

from typing import Any

from clinic_service.context import Context
from clinic_service.resources.labels.schemas import label_schema
from clinic_service.resources.labels.service import rename_label
from clinic_service.resources.sites import service
from clinic_service.serialization import JsonObject


def create_site(ctx: Context, clinic_id: str, body: Any) -> JsonObject:
    """Create a site of the clinic."""
    site_id = service.create_site(ctx.uow, clinic_id, body["name"])
    return label_schema.dump(ctx.uow.sites.describe_one(clinic_id, site_id))


def update_site(ctx: Context, clinic_id: str, site_id: str, body: Any) -> JsonObject:
    """Rename a site."""
    rename_label(ctx.uow, ctx.uow.sites, clinic_id, site_id, body["name"])
    return label_schema.dump(ctx.uow.sites.describe_one(clinic_id, site_id))


def delete_site(ctx: Context, clinic_id: str, site_id: str) -> None:
    """Delete a site, and remove it from all patients."""
    service.delete_site(ctx.uow, clinic_id, site_id)


def merge_site(ctx: Context, clinic_id: str, site_id: str, body: Any) -> JsonObject:
    """Merge the site in the body (the source) into the site in the path (the target)."""
    service.merge_sites(ctx.uow, clinic_id, source_id=body["id"], target_id=site_id)
    return label_schema.dump(ctx.uow.sites.describe_one(clinic_id, site_id))
