"""The state of a patient's program that a health record system shows, and the link to the report."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from clinic_service.models import XEALTH_REPORTS
from clinic_service.outbox.events import PROVIDER_NAMES
from clinic_service.preparation import Preparation
from clinic_service.resources.ehr.errors import OrderNotFound, SubscriptionNotFound
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient
from clinic_service.resources.ehr.subscriptions import find_subscription
from clinic_service.resources.ehr.xealth.patient import read_patient
from clinic_service.resources.ehr.xealth.repository import OrderedProgram, SourceRow
from clinic_service.resources.ehr.xealth.requests import find_clinic, find_patient, get_clinic
from clinic_service.resources.patients.errors import PatientNotFound
from clinic_service.unit_of_work import UnitOfWork

_log = logging.getLogger(__name__)
PROGRAM_TITLE = "Tidepool"
_VIEWER_PATH = "/v1/xealth/report/web/viewer.html"
_NOTHING = {"present": False}
_STATES = {"pendingReconnect": "pending reconnect"}


class _Dates(NamedTuple):
    """The latest upload of data, and the latest update of a summary, of both types of data; None for never."""

    uploaded: datetime | None
    updated: datetime | None


def describe_programs(uow: UnitOfWork, body: Mapping[str, Any]) -> dict[str, Any]:
    """The program of the patient, `xealthPrograms.v1`. Without an active subscription there is no program.

    Raises SourceShared, what `read_patient` raises, SeveralPatients and OrderNotFound, in this order.
    """
    clinic = find_clinic(uow, body)
    if clinic is None:
        return _NOTHING
    patient = _find_patient(uow, clinic, body)
    subscription = patient and find_subscription(uow, clinic.id, patient.id, XEALTH_REPORTS)
    if not patient or not subscription or not subscription.active or subscription.document is None:
        return _NOTHING
    order = uow.xealth_orders.find_order(clinic.id, subscription.document.id)
    if order is None:
        raise OrderNotFound
    return {"present": True, "programs": [_describe(uow, clinic, patient, order, body)]}


def _find_patient(uow: UnitOfWork, clinic: EhrClinic, body: Mapping[str, Any]) -> MatchedPatient | None:
    patient = read_patient(body, clinic.settings.mrn_id_type)
    return find_patient(uow, clinic, patient.data, Criterion.MRN_DOB)


def _describe(
    uow: UnitOfWork, clinic: EhrClinic, patient: MatchedPatient, order: OrderedProgram, body: Mapping[str, Any]
) -> dict[str, Any]:
    dates = _read_dates(uow, clinic, patient)
    viewed = _last_view(uow, clinic, patient, order.program_id, body)
    parts = {
        # A report is new when its figures have changed, which can be later than the upload of the data.
        "Last Upload": _day(dates.updated),
        "Last Viewed by You": _day(viewed),
        "Claimed Account?": "Yes" if _is_claimed(uow, clinic, patient) else "No",
        "Cloud Connections": _connections(uow.xealth_orders.data_sources(clinic.id, patient.id)),
    }
    return {
        "title": PROGRAM_TITLE,
        "programId": order.program_id,
        "enrolledDate": order.event_time.astimezone(UTC).date().isoformat(),
        "description": " | ".join(f"{name}: {value}" for name, value in parts.items()),
        "has_alert": dates.updated is not None and (viewed is None or dates.updated > viewed),
        "hasStatusView": dates.uploaded is not None,
    }


def _read_dates(uow: UnitOfWork, clinic: EhrClinic, patient: MatchedPatient) -> _Dates:
    rows = uow.xealth_orders.summary_dates(clinic.id, patient.id)
    return _Dates(latest(row.last_upload_date for row in rows), latest(row.last_updated_date for row in rows))


def latest(times: Iterable[datetime | None]) -> datetime | None:
    """The latest of the times that are not None; None without any."""
    return max((time for time in times if time is not None), default=None)


def _last_view(
    uow: UnitOfWork, clinic: EhrClinic, patient: MatchedPatient, program_id: str, body: Mapping[str, Any]
) -> datetime | None:
    user_id = _ehr_user(body).get("userId")
    if not user_id:
        return None
    return uow.xealth_orders.find_last_view(
        clinic_id=clinic.id,
        patient_id=patient.id,
        ehr_user_id=user_id,
        deployment=body["deployment"],
        program_id=program_id,
    )


def _ehr_user(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body["datasets"].get("ehrUserV1") or {}


def _is_claimed(uow: UnitOfWork, clinic: EhrClinic, patient: MatchedPatient) -> bool:
    """Whether the patient grants a permission to the clinic, but not `custodian`."""
    flags = uow.xealth_orders.permissions(clinic.id, patient.id)
    return flags is not None and any(flags) and not flags.permission_custodian


def _connections(sources: Iterable[SourceRow]) -> str:
    """The state of each provider, which is the state of its latest changed source."""
    latest_of: dict[str, SourceRow] = {}
    for source in sources:
        known = latest_of.get(source.provider_name)
        if known is None or _is_later(source, known):
            latest_of[source.provider_name] = source
    return ", ".join(sorted(map(_connection, latest_of.values()))) or "None"


def _is_later(source: SourceRow, known: SourceRow) -> bool:
    if known.modified_time is None:
        return True
    return source.modified_time is not None and source.modified_time > known.modified_time


def _connection(source: SourceRow) -> str:
    provider, state = source.provider_name, str(source.state)
    name = PROVIDER_NAMES.get(provider) or provider[:1].upper() + provider[1:]
    return f"{name} ({_STATES.get(state, state.lower())})"


def _day(time: datetime | None) -> str:
    return "N/A" if time is None else time.astimezone(UTC).date().isoformat()


def make_link(ctx: Preparation, body: Mapping[str, Any]) -> str:
    """The URL of the patient's report, with a new token. The view is recorded.

    Raises EhrClinicNotFound, SourceShared, what `read_patient` raises, PatientNotFound, SeveralPatients and
    SubscriptionNotFound, in this order; and BadGateway when no token can be created.
    """
    clinic = get_clinic(ctx.uow, body)
    patient = _find_patient(ctx.uow, clinic, body)
    if patient is None:
        raise PatientNotFound
    subscription = find_subscription(ctx.uow, clinic.id, patient.id, XEALTH_REPORTS)
    if subscription is None or not subscription.active:
        raise SubscriptionNotFound
    token = ctx.restricted_tokens.create(patient.user_id, paths=ctx.config.report_token_paths or None)
    _record_view(ctx, clinic, patient, body)
    query = urlencode({"clinicId": clinic.id, "patientId": patient.user_id, "restricted_token": token.id})
    return f"{(ctx.config.application_url or '').rstrip('/')}{_VIEWER_PATH}?{query}"


def _record_view(ctx: Preparation, clinic: EhrClinic, patient: MatchedPatient, body: Mapping[str, Any]) -> None:
    """Record the view. A failure is only logged, because showing the report is more important."""
    user = _ehr_user(body)
    if not user.get("userId"):
        return
    view = {
        "clinic_id": clinic.id,
        "patient_id": patient.id,
        "ehr_user_id": user["userId"],
        "system_login": user.get("systemLogin"),
        "deployment": body["deployment"],
        "program_id": body["programId"],
    }
    try:
        ctx.in_transaction(lambda uow: uow.xealth_orders.add_view(**view))
    except Exception as error:
        _log.warning("a view of a report could not be recorded: %s", type(error).__name__)
