"""The operations of `spec/clinic/paths/patients.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from clinic_service.context import Answer, Context, Page
from clinic_service.errors import BadRequest, Violation
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.resources.patients import (
    connections,
    data_sources,
    enrolment,
    permissions,
    reminders,
    reviews,
)
from clinic_service.resources.patients.accounts import create, update
from clinic_service.resources.patients.descriptions import PatientDescription
from clinic_service.resources.patients.errors import NameMissing, WorkspaceTypeMissing
from clinic_service.resources.patients.listing.planner import find_page
from clinic_service.resources.patients.listing.query import read_query
from clinic_service.resources.patients.schemas import (
    create_patient_schema,
    load_data_sources,
    patient_record_schema,
    patient_schema,
    permissions_on_wire,
    reviews_on_wire,
)
from clinic_service.resources.patients.search import Search, find_records
from clinic_service.resources.patients.tide.categories import DEFAULT_CATEGORIES
from clinic_service.resources.patients.tide.report import TideQuery, find_tide_patients
from clinic_service.resources.patients.tide.response import figures_of, report
from clinic_service.serialization import JsonObject


def get_patient(ctx: Context, clinic_id: str, patient_id: str) -> JsonObject:
    """A clinic's record of one patient."""
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def list_patients(ctx: Context, clinic_id: str, query: Mapping[str, Any]) -> Page:
    """One page of a clinic's patients, filtered and sorted."""
    wanted = read_query(query)
    with ctx.uow.snapshot():
        page = find_page(ctx.uow, clinic_id, wanted)
        patients = ctx.uow.patients.describe_all(clinic_id, page.patient_ids)
    meta = {"count": page.matching, "totalCount": page.total}
    body = {"data": patient_schema.dump(patients, many=True), "meta": meta}
    return Page(body, wanted.offset, wanted.limit, has_more=wanted.offset + wanted.limit < page.matching)


def tide_report(
    ctx: Context,
    clinic_id: str,
    period: str,
    tags: list[str],
    last_data_cutoff: datetime,
    categories: list[str] | None,
    exclude_no_data: bool | None,
) -> JsonObject:
    """The patients of a clinic who need attention, by category."""
    if last_data_cutoff.year == 1:
        raise BadRequest(violations=[Violation("/query/lastDataCutoff", "minimum", "0002-01-01T00:00:00Z")])
    query = TideQuery(period, tags, last_data_cutoff, categories or DEFAULT_CATEGORIES, not exclude_no_data)
    with ctx.uow.snapshot():
        found = find_tide_patients(ctx.uow, clinic_id, query, ctx.uow.now)
        ids = dict.fromkeys(patient_id for members in found.values() for patient_id in members)
        patients = ctx.uow.patients.describe_all(clinic_id, ids, with_summaries=False)
        figures = figures_of(ctx.uow, clinic_id, period, ids)
    return report(clinic_id, query, found, patients, figures)


def list_clinics_for_patient(ctx: Context, user_id: str, limit: int, offset: int | None) -> Page:
    """The records of one user in all clinics, each with its clinic."""
    patients = ctx.uow.patients.list_for_user(user_id, limit + 1, offset or 0)
    return Page.of(patients, offset or 0, limit, partial(_with_clinics, ctx))


def find_patients(
    ctx: Context,
    mrn: str | None,
    birth_date: str | None,
    workspace_id: str | None,
    workspace_id_type: str | None,
    offset: int | None,
    limit: int,
) -> Page:
    """Search the patients of all the caller's clinics. Each patient is shown with its clinic."""
    if workspace_id is not None and workspace_id_type is None:
        raise WorkspaceTypeMissing(violations=[Violation("/query/workspaceIdType", "required")])
    search = Search(mrn, birth_date, workspace_id, workspace_id_type)
    patients = find_records(ctx.uow, ctx.caller.id, search, limit + 1, offset or 0)
    return Page.of(patients, offset or 0, limit, partial(_with_clinics, ctx))


def _look_up_user(ctx: Preparation, clinic_id: str, patient_id: str, body: Any) -> enrolment.EnrolmentRequest:
    """Look up the account and the profile of the user."""
    given = create_patient_schema.load(body or {})
    return enrolment.look_up_user(ctx.uow, ctx.accounts, clinic_id, patient_id, given)


@with_preparation(_look_up_user)
def create_patient_from_user(
    ctx: Context, request: enrolment.EnrolmentRequest, clinic_id: str, patient_id: str
) -> JsonObject:
    """Make a user who has an account a patient of the clinic."""
    enrolment.create_from_user(ctx.uow, clinic_id, patient_id, request, ctx.config.demo_patient_user_id)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def delete_patient(ctx: Context, clinic_id: str, patient_id: str) -> None:
    """Remove a patient from one clinic."""
    permissions.remove_patient(ctx.uow, clinic_id, patient_id, ctx.caller.person_id)


def update_patient_permissions(ctx: Context, clinic_id: str, patient_id: str, body: dict[str, Any]) -> Answer:
    """Replace the permissions of the clinic. Without any permission, the patient leaves the clinic."""
    patient = permissions.replace_permissions(ctx.uow, clinic_id, patient_id, body)
    return Answer(200, permissions_on_wire(patient)) if patient else Answer(204)


def _look_for_permission(ctx: Preparation, clinic_id: str, patient_id: str, permission: str) -> bool:
    """Whether the permission is granted when the request arrives."""
    return permissions.is_granted(ctx.uow, clinic_id, patient_id, permission)


@with_preparation(_look_for_permission)
def delete_patient_permission(
    ctx: Context, was_granted: bool, clinic_id: str, patient_id: str, permission: str
) -> None:
    """Withdraw one permission. Without any permission left, the patient leaves the clinic."""
    permissions.withdraw_permission(ctx.uow, clinic_id, patient_id, permission, was_granted=was_granted)


def _make_account(ctx: Preparation, clinic_id: str, body: Any) -> create.CustodialAccount:
    """Create an account that the clinic manages."""
    if not body["fullName"]:
        raise NameMissing
    return create.make_account(ctx, clinic_id, patient_record_schema.load(body))


def _remove_account(ctx: Context, account: create.CustodialAccount) -> None:
    """Compensate the creation of the account."""
    ctx.uow.patients.account_changes.compensate(account.change)


@with_preparation(_make_account, compensation=_remove_account)
def create_patient_account(ctx: Context, account: create.CustodialAccount, clinic_id: str) -> JsonObject:
    """Create a patient with a new account."""
    create.enrol(ctx.uow, clinic_id, account, ctx.caller.person_id, ctx.config.demo_patient_user_id)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, account.user_id))


def _change_address(ctx: Preparation, clinic_id: str, patient_id: str, body: Any) -> update.Update:
    """Change the address of an account that the clinic manages."""
    return update.prepare(ctx, clinic_id, patient_id, patient_record_schema.load(body))


def _change_address_back(ctx: Context, changed: update.Update) -> None:
    """Compensate the change of the account's address."""
    update.compensate(ctx.uow, changed)


@with_preparation(_change_address, compensation=_change_address_back)
def update_patient(ctx: Context, changed: update.Update, clinic_id: str, patient_id: str) -> JsonObject:
    """Replace the clinic's record of a patient."""
    update.replace(ctx.uow, clinic_id, patient_id, changed, ctx.mail_sender)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def update_patient_reviews(ctx: Context, clinic_id: str, patient_id: str) -> list[dict[str, str]]:
    """Record that the caller has reviewed the patient's data now."""
    return reviews_on_wire(reviews.record(ctx.uow, clinic_id, patient_id, ctx.caller.id))


def delete_patient_reviews(ctx: Context, clinic_id: str, patient_id: str) -> list[dict[str, str]]:
    """Remove the latest review, which must be the caller's own."""
    return reviews_on_wire(reviews.take_back(ctx.uow, clinic_id, patient_id, ctx.caller.id))


def send_upload_reminder(ctx: Context, clinic_id: str, patient_id: str) -> JsonObject:
    """Remind a patient by mail to upload data."""
    reminders.remind_to_upload(ctx.uow, clinic_id, patient_id, ctx.mail_sender)
    return patient_schema.dump(ctx.uow.patients.describe_one(clinic_id, patient_id))


def connect_provider(ctx: Context, clinic_id: str, patient_id: str, provider_id: str) -> None:
    """Ask a patient by mail to connect a data provider."""
    connections.request_connection(ctx.uow, clinic_id, patient_id, provider_id, ctx.mail_sender)


def update_patient_data_sources(ctx: Context, user_id: str, body: list[Any]) -> None:
    """Replace the data sources of a user in all clinics."""
    data_sources.update_everywhere(ctx.uow, user_id, load_data_sources(body))


def _with_clinics(ctx: Context, patients: Sequence[PatientDescription]) -> list[JsonObject]:
    return [
        {"patient": patient_schema.dump(patient), "clinic": clinic_schema.dump(clinic)}
        for patient, clinic in ctx.uow.clinics.join(patients)
    ]
