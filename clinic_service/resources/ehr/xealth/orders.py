"""Applies the events of orders: creates the patient, and makes the subscription to reports active or inactive.

Xealth repeats its events, and they can arrive in any order. An event that was already applied is not applied again; an
event that is older than the last applied one is only stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from clinic_service import clock
from clinic_service.errors import BadRequest, Conflict, PaymentRequired, Violation
from clinic_service.gateways.accounts import EmailTaken
from clinic_service.gateways.http import no_answer_is_bad_gateway
from clinic_service.gateways.xealth import FetchedOrder
from clinic_service.models import XEALTH_REPORTS
from clinic_service.models.sort_keys import match_key
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.ehr.errors import OrderMismatch, PreorderNotFound, TrackingIdMissing
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient
from clinic_service.resources.ehr.subscriptions import MatchedDocument, update_subscription
from clinic_service.resources.ehr.xealth.patient import XealthPatient, read_patient
from clinic_service.resources.ehr.xealth.repository import AppliedEvent, PreorderRow
from clinic_service.resources.ehr.xealth.requests import find_clinic, find_patient
from clinic_service.resources.patients.accounts import create
from clinic_service.resources.patients.accounts.orphaned import make_or_reuse_account
from clinic_service.resources.patients.connections import request_first_connections
from clinic_service.resources.patients.errors import DuplicateMrn, MrnRequired
from clinic_service.texts import is_storable
from clinic_service.unit_of_work import UnitOfWork

_ORDER, _NEW, _CANCEL = "order", "new", "cancel"
_NEEDED = ("deployment", "orderId", "eventTimeStamp")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CANCELED = ("canceled", "cancelled")
# The pointer to the order's id in a request. Errors of the order are reported there.
_PLACE = "/body/orderId"


class OrderEvent(NamedTuple):
    """A new or a canceled order: the body of the request, its text as it was sent, and when it happened."""

    body: Mapping[str, Any]
    text: str
    time: datetime

    @property
    def is_new(self) -> bool:
        """Whether the order is new. Otherwise it is canceled."""
        return bool(self.body["eventContext"] == _NEW)


class PreorderInput(NamedTuple):
    """The input of the order's form from which a patient is created."""

    tracking_id: str
    email: str | None
    connect_abbott: bool
    connect_dexcom: bool
    tag_ids: tuple[str, ...]

    @property
    def provider_ids(self) -> list[str]:
        """The providers that the patient is asked to connect."""
        wanted = {"abbott": self.connect_abbott, "dexcom": self.connect_dexcom}
        return [provider_id for provider_id, is_wanted in wanted.items() if is_wanted]


@dataclass(frozen=True, slots=True)
class OrderEnrolment:
    """An account for the patient of an order, and the input from which it was created."""

    account: create.CustodialAccount
    preorder: PreorderInput


@dataclass(frozen=True, slots=True)
class Notification:
    """An event to apply, its clinic and order, and the new account if the event creates a patient."""

    event: OrderEvent
    clinic: EhrClinic
    order: FetchedOrder
    enrolment: OrderEnrolment | None


class _Effect(NamedTuple):
    """The effect of an event: whether it has any, the patient, and the input for a new patient."""

    applies: bool
    known: MatchedPatient | None = None
    new: XealthPatient | None = None


def read_event(body: Mapping[str, Any], text: str) -> OrderEvent | None:
    """The event; None when its kind has no effect here. Raises BadRequest when a needed member is missing."""
    if body["eventType"] != _ORDER or body["eventContext"] not in (_NEW, _CANCEL):
        return None
    missing = [Violation(f"/body/{name}", "required") for name in _NEEDED if not body.get(name)]
    if missing:
        raise BadRequest(violations=missing)
    # These cannot be a segment of a URL path.
    if body["orderId"] in (".", ".."):
        raise BadRequest(violations=[Violation(_PLACE, "format", "id")])
    return OrderEvent(body, text, _time(body["eventTimeStamp"]))


def prepare(ctx: Preparation, body: Mapping[str, Any], text: str) -> Notification | None:
    """Read the order, and create an account when it enrols a new patient; None for an event that has no effect.

    Raises SourceShared; BadGateway when Xealth or the accounts directory fails; what `read_patient` raises;
    SeveralPatients; and for a new patient TrackingIdMissing, PreorderNotFound and what `make_account` raises.
    """
    event = read_event(body, text)
    clinic = find_clinic(ctx.uow, body) if event else None
    if event is None or clinic is None or not _is_for(clinic, body.get("programId")):
        return None
    last = _last_applied(ctx.uow, clinic, event)
    if _is_repeated(ctx.uow, clinic, event, last):
        return None
    order = ctx.xealth.read_order(body["deployment"], body["orderId"])
    _require_same(order, body)
    effect = _effect(ctx.uow, clinic, event, order, last)
    enrolment = _prepare_enrolment(ctx, clinic, order, effect.new) if effect.new else None
    return Notification(event, clinic, order, enrolment)


def apply(uow: UnitOfWork, notification: Notification, demo_user_id: str | None) -> None:
    """Store the event and apply it.

    Raises what `prepare` raises, when the data has changed since; and PreparationOutdated when the effect has changed.
    """
    event, order = notification.event, notification.order
    clinic = find_clinic(uow, event.body, lock=True)
    if clinic != notification.clinic:
        raise PreparationOutdated
    last = _last_applied(uow, clinic, event)
    if _is_repeated(uow, clinic, event, last):
        raise PreparationOutdated
    effect = _effect(uow, clinic, event, order, last)
    if (effect.new is None) != (notification.enrolment is None):
        raise PreparationOutdated
    document = _store(uow, clinic, event, order, applies=effect.applies)
    user_id = effect.known.user_id if effect.known else None
    if notification.enrolment:
        user_id = _enrol(uow, clinic, notification.enrolment, demo_user_id)
    if user_id:
        patient = uow.patients.lock(clinic.id, user_id)
        update_subscription(uow, patient, XEALTH_REPORTS, document, active=event.is_new)


def compensate(uow: UnitOfWork, notification: Notification | None) -> None:
    """Compensate the creation of the patient's account, if there was one."""
    if notification and notification.enrolment:
        uow.patients.account_changes.compensate(notification.enrolment.account.change)


def _time(text: str) -> datetime:
    try:
        if _TIME.fullmatch(text):
            return clock.from_wire(text)
    except ValueError:
        pass
    raise BadRequest(violations=[Violation("/body/eventTimeStamp", "format", "date-time")])


def _is_for(clinic: EhrClinic, program_id: str | None) -> bool:
    """Whether the clinic accepts orders of the program."""
    codes = clinic.settings.procedure_codes
    expected = codes and codes.create_account_and_enable_reports
    return bool(expected) and program_id == expected


def _last_applied(uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent) -> AppliedEvent | None:
    """The last applied event of the order."""
    return uow.xealth_orders.find_last_applied(clinic.id, event.body["deployment"], event.body["orderId"])


def _is_repeated(uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, last: AppliedEvent | None) -> bool:
    """Whether this is the last applied event, and its effect still exists."""
    if last is None or (last.event_id, last.event_context) != (event.body.get("eventId"), event.body["eventContext"]):
        return False
    return event.is_new in uow.xealth_orders.states_last_changed_by(clinic.id, last.id)


def _require_same(order: FetchedOrder, body: Mapping[str, Any]) -> None:
    """Raise OrderMismatch unless this is the order of the event."""
    info = _object(order, "orderInfo")
    if (info.get("deployment"), info.get("orderId")) != (body["deployment"], body["orderId"]):
        raise OrderMismatch


def _effect(
    uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, order: FetchedOrder, last: AppliedEvent | None
) -> _Effect:
    is_outdated = last is not None and last.event_time > event.time
    if is_outdated or (event.is_new and _object(order, "orderInfo").get("orderState") in _CANCELED):
        return _Effect(applies=False)
    patient = read_patient(order.content, clinic.settings.mrn_id_type, place=_PLACE)
    known = find_patient(uow, clinic, patient.data, Criterion.MRN_DOB, place=_PLACE)
    return _Effect(applies=True, known=known, new=patient if event.is_new and known is None else None)


def _prepare_enrolment(
    ctx: Preparation, clinic: EhrClinic, order: FetchedOrder, patient: XealthPatient
) -> OrderEnrolment:
    try:
        return _make_account(ctx, clinic, order, patient)
    except (BadRequest, Conflict, PaymentRequired):
        # A second delivery of the same event may have used the number, the address or the last place of the plan.
        if find_patient(ctx.uow, clinic, patient.data, Criterion.MRN_DOB, place=_PLACE):
            raise PreparationOutdated from None
        raise


def _make_account(ctx: Preparation, clinic: EhrClinic, order: FetchedOrder, patient: XealthPatient) -> OrderEnrolment:
    preorder = _get_preorder(ctx.uow, clinic, order, patient)
    given = {
        "full_name": patient.data.full_name,
        "birth_date": clock.known_date(patient.data.birth_date),
        "mrn": patient.data.mrn,
        "email": preorder.email,
        "tag_ids": preorder.tag_ids,
    }
    with _about_the_order(), no_answer_is_bad_gateway():
        return OrderEnrolment(make_or_reuse_account(ctx, clinic.id, given), preorder)


def _get_preorder(uow: UnitOfWork, clinic: EhrClinic, order: FetchedOrder, patient: XealthPatient) -> PreorderInput:
    """The stored input of the order's form. Raises TrackingIdMissing and PreorderNotFound."""
    tracking_id = _object(order, "preorder").get("dataTrackingId")
    if not isinstance(tracking_id, str) or not tracking_id:
        raise TrackingIdMissing
    row = uow.xealth_orders.find_preorder(clinic.id, tracking_id) if is_storable(tracking_id) else None
    # The form was shown for one patient of one deployment, so its input must not be used for another patient.
    is_of_deployment = row is not None and row.deployment == clinic.settings.source_id
    if row is None or not is_of_deployment or match_key(row.mrn) != match_key(patient.data.mrn):
        raise PreorderNotFound
    return _input(row)


def _input(row: PreorderRow) -> PreorderInput:
    return PreorderInput(
        row.data_tracking_id, row.email, bool(row.connect_abbott), bool(row.connect_dexcom), tuple(row.tag_ids)
    )


def _store(
    uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, order: FetchedOrder, *, applies: bool
) -> MatchedDocument:
    body = event.body
    order_id = uow.xealth_orders.add_order(
        clinic_id=clinic.id,
        deployment=body["deployment"],
        order_id=body["orderId"],
        program_id=body["programId"],
        partner_id=body.get("partnerId"),
        event_id=body.get("eventId"),
        event_type=body["eventType"],
        event_context=body["eventContext"],
        event_time=event.time,
        event_text=event.text,
        order_text=order.text,
        applied_time=uow.now if applies else None,
    )
    return MatchedDocument(order_id, body["eventType"], body["eventContext"])


def _enrol(uow: UnitOfWork, clinic: EhrClinic, enrolment: OrderEnrolment, demo_user_id: str | None) -> str:
    """Create the patient and return the user id. Raises PreparationOutdated when the input has changed meanwhile."""
    preorder, account = enrolment.preorder, enrolment.account
    row = uow.xealth_orders.find_preorder(clinic.id, preorder.tracking_id)
    if row is None or _input(row) != preorder:
        raise PreparationOutdated
    with _about_the_order():
        patient = create.enrol(uow, clinic.id, account, None, demo_user_id)
    request_first_connections(uow, patient, preorder.provider_ids)
    uow.xealth_orders.use_preorder(clinic.id, preorder.tracking_id)
    return account.user_id


@contextmanager
def _about_the_order() -> Iterator[None]:
    """Let errors about the medical record number or the address point to the order's id.

    The request contains neither the number nor the address: they come from the order at Xealth.
    """
    try:
        yield
    except (EmailTaken, MrnRequired, DuplicateMrn) as error:
        raise type(error).at(_PLACE) from None


def _object(order: FetchedOrder, name: str) -> Mapping[str, Any]:
    value = order.content.get(name)
    return value if isinstance(value, Mapping) else {}
