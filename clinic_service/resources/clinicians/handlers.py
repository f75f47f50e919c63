"""The operations of `spec/clinic/paths/clinicians.yaml`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from clinic_service.context import Context, Page
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinicians import listing, service
from clinic_service.resources.clinicians.errors import ClinicianNotFound
from clinic_service.resources.clinicians.listing import ClinicianRow, Filters
from clinic_service.resources.clinicians.schemas import ClinicianClinicRelationship, clinician_schema, membership_schema
from clinic_service.serialization import JsonObject
from clinic_service.unit_of_work import UnitOfWork


def list_all_clinicians(
    ctx: Context,
    offset: int | None,
    limit: int,
    created_time_start: datetime | None,
    created_time_end: datetime | None,
) -> Page:
    """The clinicians of all clinics, each with its clinic."""
    rows = listing.of_all(ctx.uow, created_time_start, created_time_end, limit + 1, offset or 0)
    return Page.of(rows, offset or 0, limit, partial(_with_clinics, ctx.uow))


def list_clinics_for_clinician(ctx: Context, user_id: str, offset: int | None, limit: int) -> Page:
    """The memberships of one user, each with its clinic."""
    rows = listing.of_user(ctx.uow, user_id, limit + 1, offset or 0)
    return Page.of(rows, offset or 0, limit, partial(_with_clinics, ctx.uow))


def list_clinicians(
    ctx: Context,
    clinic_id: str,
    search: str | None,
    offset: int | None,
    limit: int,
    email: str | None,
    role: str | None,
) -> Page:
    """The members, service accounts and pending invitations of a clinic."""
    filters = Filters(search=search, email=email, role=role)
    rows = listing.of_clinic(ctx.uow, clinic_id, filters, limit + 1, offset or 0)
    return Page.of(rows, offset or 0, limit, partial(clinician_schema.dump, many=True))


def create_clinician(ctx: Context, clinic_id: str, body: dict[str, Any]) -> JsonObject:
    """Store a member or a pending invitation as the body describes it."""
    given = service.Given(body.get("id"), body.get("inviteId"), body["email"], body.get("name"), body["roles"])
    return clinician_schema.dump(service.create_clinician(ctx.uow, clinic_id, given, ctx.caller.id))


def get_clinician(ctx: Context, clinic_id: str, clinician_id: str) -> JsonObject:
    """One member of a clinic by user id."""
    row = ctx.uow.clinicians.find_row(clinic_id, clinician_id)
    if row is None:
        raise ClinicianNotFound
    return clinician_schema.dump(row)


def update_clinician(ctx: Context, clinic_id: str, clinician_id: str, body: dict[str, Any]) -> JsonObject:
    """Change a member's roles and, when given, the name. Other members of the body are ignored."""
    changes = service.Changes(roles=frozenset(body["roles"]), name=body.get("name"))
    return clinician_schema.dump(service.update_clinician(ctx.uow, clinic_id, clinician_id, changes, ctx.caller))


def delete_clinician(ctx: Context, clinic_id: str, clinician_id: str) -> None:
    """Remove a member from the clinic."""
    service.delete_clinician(ctx.uow, clinic_id, clinician_id, ctx.caller.person_id)


def _look_up_service_account(ctx: Preparation, clinic_id: str, body: dict[str, str]) -> str:
    """The user id of the account that the credentials belong to. The credentials are used for nothing else."""
    ctx.uow.clinics.require_migrated(clinic_id)
    return ctx.openid.find_subject(body["client_id"], body["client_secret"])


@with_preparation(_look_up_service_account)
def add_service_account(ctx: Context, user_id: str, clinic_id: str, body: dict[str, str]) -> JsonObject:
    """Make the service account of a partner a member."""
    return clinician_schema.dump(service.add_service_account(ctx.uow, clinic_id, user_id, body["name"]))


def _with_clinics(uow: UnitOfWork, rows: Sequence[ClinicianRow]) -> list[JsonObject]:
    found = [ClinicianClinicRelationship(row, clinic) for row, clinic in uow.clinics.join(rows)]
    return membership_schema.dump(found, many=True)
