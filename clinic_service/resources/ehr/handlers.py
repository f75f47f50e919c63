"""The operations of `spec/clinic/paths/ehr.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clinic_service.auth.partners import SecretRefused, is_redox_token
from clinic_service.context import Answer, Context
from clinic_service.resources.clinics.schemas import clinic_schema
from clinic_service.resources.ehr import messages, scheduling
from clinic_service.resources.ehr.matching import Criterion
from clinic_service.resources.ehr.orders import PatientQuery, match_order
from clinic_service.resources.ehr.subscriptions import MatchedDocument
from clinic_service.resources.patients.schemas import patient_schema
from clinic_service.resources.settings.schemas import ehr_settings_schema

_SUBSCRIBES = {"ENABLE_REPORTS": True, "DISABLE_REPORTS": False}


def verify_endpoint(ctx: Context, body: Any) -> Any:
    """Answer the challenge of Redox, if the body has the shared secret."""
    given = body or {}
    if not is_redox_token(ctx.config, given.get("verification-token", "").encode()):
        raise SecretRefused
    return {"challenge": given.get("challenge", "")}


def process_ehr_message(ctx: Context, body: Any, body_text: str) -> Answer:
    """Store a message of Redox, to be acted on later."""
    message_id = messages.receive(ctx.uow, body, body_text)
    return Answer(200, headers=[("x-tidepool-document-id", message_id)])


def match_clinic_and_patient(ctx: Context, body: Any) -> Any:
    """Find the clinic and the patients of a stored order, and subscribe the one patient who matches."""
    named = body["messageRef"]
    order = MatchedDocument(named["documentId"], named["dataModel"], named["eventType"])
    found = match_order(ctx.uow, order, _query(body.get("patients")))
    clinic_id = found.clinic.id
    answer = {
        "clinic": clinic_schema.dump(ctx.uow.clinics.describe_one(clinic_id)),
        "settings": ehr_settings_schema.dump(found.clinic.settings),
    }
    if found.patients:
        patients = ctx.uow.patients.describe_all(clinic_id, [patient.id for patient in found.patients])
        answer["patients"] = patient_schema.dump(patients, many=True)
    return answer


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
