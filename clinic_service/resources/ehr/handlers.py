"""The operations of `spec/clinic/paths/ehr.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_service.context import Answer, Context
from clinic_service.errors import BadRequest, Violation
from clinic_service.gateways.http import no_answer_is_bad_gateway
from clinic_service.preparation import Preparation, with_preparation
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.resources.ehr.matching import Criterion
from clinic_service.resources.ehr.redox import messages, scheduling
from clinic_service.resources.ehr.redox.match_order import PatientQuery, match_order
from clinic_service.resources.ehr.subscriptions import MatchedDocument
from clinic_service.resources.ehr.xealth import orders as xealth_orders
from clinic_service.resources.ehr.xealth import preorders as xealth_preorders
from clinic_service.resources.ehr.xealth import programs as xealth_programs
from clinic_service.resources.ehr.xealth import viewer as xealth_viewer
from clinic_service.resources.patients.schemas import patient_schema
from clinic_service.resources.settings.schemas import ehr_settings_schema
from clinic_service.serialization import JsonObject

_SUBSCRIBES = {"ENABLE_REPORTS": True, "DISABLE_REPORTS": False}


def verify_endpoint(_ctx: Context, body: Any) -> JsonObject:
    """Answer the challenge of Redox, which has proved itself by the shared secret in the body."""
    return {"challenge": body.get("challenge", "")}


def process_ehr_message(ctx: Context, body: Any, body_text: str) -> Answer:
    """Store a message of Redox. The relay processes it later."""
    _require(body, "Meta")
    message_id = messages.receive(ctx.uow, body, body_text)
    return Answer(200, headers=[("x-tidepool-document-id", message_id)])


def match_clinic_and_patient(ctx: Context, body: Any) -> JsonObject:
    """Find the clinic and the patients of a stored order, and subscribe the one patient who matches."""
    _require(body, "messageRef")
    named = body["messageRef"]
    order = MatchedDocument(named["documentId"], named["dataModel"], named["eventType"])
    found = match_order(ctx.uow, order, _query(body.get("patients")))
    clinic_id = found.clinic.id
    answer: JsonObject = {
        "clinic": clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id)),
        "settings": ehr_settings_schema.dump(found.clinic.settings),
    }
    if found.patients:
        patients = ctx.uow.patients.describe_all(clinic_id, [patient.id for patient in found.patients])
        answer["patients"] = patient_schema.dump(patients, many=True)
    return answer


def _require(body: Mapping[str, Any], member: str) -> None:
    """Raise BadRequest when the body lacks a member that the published schema declares optional."""
    if member not in body:
        raise BadRequest(violations=[Violation(f"/body/{member}", "required")])


def _query(options: Mapping[str, Any] | None) -> PatientQuery | None:
    if options is None:
        return None
    action = options.get("onUniqueMatch")
    criteria = [Criterion(name) for name in options["criteria"]]
    return PatientQuery(criteria, None if action is None else _SUBSCRIBES[action])


def sync_ehr_data(ctx: Context, clinic_id: str) -> None:
    """Schedule a report for each subscribed patient of the clinic."""
    scheduling.sync_clinic(ctx.uow, clinic_id)


def sync_ehr_data_for_patient(ctx: Context, patient_id: str) -> None:
    """Schedule a report for the patient in each clinic that wants one on upload."""
    scheduling.sync_patient(ctx.uow, patient_id)


def _look_up_address(ctx: Preparation, body: Any) -> bool | None:
    """Whether an account has the address that was entered into a form; None when there is nothing to look up."""
    address = xealth_preorders.find_address(ctx.uow, body)
    with no_answer_is_bad_gateway():
        return xealth_preorders.is_taken(ctx.accounts, address)


@with_preparation(_look_up_address)
def xealth_preorder(ctx: Context, is_address_taken: bool | None, body: Any) -> JsonObject:
    """The form that Xealth shows before an order is placed. When the form was filled in, its input is stored."""
    return xealth_preorders.answer(ctx.uow, body, is_address_taken=is_address_taken)


def _read_order(ctx: Preparation, body: Any, body_text: str) -> xealth_orders.Notification | None:
    """Read the order from Xealth, and create an account if the order enrols a new patient."""
    return xealth_orders.prepare(ctx, body, body_text)


def _remove_account(ctx: Context, notification: xealth_orders.Notification | None) -> None:
    """Compensate the creation of the account."""
    xealth_orders.compensate(ctx.uow, notification)


@with_preparation(_read_order, compensation=_remove_account)
def xealth_notification(ctx: Context, notification: xealth_orders.Notification | None) -> None:
    """Apply the event of an order."""
    if notification:
        xealth_orders.apply(ctx.uow, notification, ctx.config.demo_patient_user_id)


def xealth_get_programs(ctx: Context, body: Any) -> JsonObject:
    """Whether a patient is enrolled in the program, and the state of the enrolment."""
    return xealth_programs.describe_programs(ctx.uow, body)


def _make_link(ctx: Preparation, body: Any) -> str:
    """Create a token for the report, and make the link."""
    return xealth_programs.make_link(ctx, body)


@with_preparation(_make_link)
def xealth_get_program_url(ctx: Context, link: str) -> JsonObject:  # noqa: ARG001
    """The link to the report of a patient."""
    return {"url": link}


def _check_token(ctx: Preparation, patient_id: str, restricted_token: str) -> None:
    """Check that the token gives access to the patient's data."""
    xealth_viewer.check_token(ctx.restricted_tokens, restricted_token, patient_id)


@with_preparation(_check_token)
def view_pdf_report(ctx: Context, _checked: None, clinic_id: str, patient_id: str, restricted_token: str) -> Answer:
    """The page that shows the report."""
    config = ctx.config
    link = xealth_viewer.report_link(
        ctx.uow, clinic_id, patient_id, restricted_token, application_url=config.application_url or ""
    )
    page, headers = xealth_viewer.render_page(link, config), xealth_viewer.page_headers(config)
    return Answer(200, page, "text/html", headers)
