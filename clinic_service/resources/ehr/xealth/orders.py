"""What follows from an event of an order: a patient is made, and the subscription to reports is active or not.

Xealth repeats its events, and they may arrive in another order than they happened in. An event that had its effect already
has none again; one that is older than the last one that had an effect is only kept.
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
from clinic_service.gateways.xealth import XealthOrder
from clinic_service.models import XEALTH_REPORTS
from clinic_service.models.sort_keys import match_key
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.ehr.errors import OrderMismatch, PreorderNotFound, TrackingIdMissing
from clinic_service.resources.ehr.matching import Criterion, EhrClinic, MatchedPatient
from clinic_service.resources.ehr.subscriptions import MatchedDocument, update_subscription
from clinic_service.resources.ehr.xealth.patient import XealthPatient, read_patient
from clinic_service.resources.ehr.xealth.requests import find_clinic, find_patient
from clinic_service.resources.patients.accounts import create
from clinic_service.resources.patients.accounts.left_over import make_or_take_account
from clinic_service.resources.patients.connections import request_first_connections
from clinic_service.resources.patients.errors import DuplicateMrn, MrnRequired
from clinic_service.texts import is_storable
from clinic_service.unit_of_work import UnitOfWork

_ORDER, _NEW, _CANCEL = "order", "new", "cancel"
_NEEDED = ("deployment", "orderId", "eventTimeStamp")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CANCELED = ("canceled", "cancelled")
# Where a request names the order; what is wrong with the order is wrong there.
_PLACE = "/body/orderId"


class OrderEvent(NamedTuple):
    """A new or a canceled order: the body of the request, its text as it was sent, and when it happened."""

    body: Mapping[str, Any]
    text: str
    time: datetime

    @property
    def is_new(self) -> bool:
        return bool(self.body["eventContext"] == _NEW)


class PreorderInput(NamedTuple):
    """What was entered into the form of the order, as far as a patient is made of it."""

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
class Enrolment:
    """An account for the patient of an order, and the input that it was made of."""

    account: create.CustodialAccount
    preorder: PreorderInput


@dataclass(frozen=True, slots=True)
class Notification:
    """An event that may have an effect, the clinic and the order that it is about, and an account if it makes a patient."""

    event: OrderEvent
    clinic: EhrClinic
    order: XealthOrder
    enrolment: Enrolment | None


class _Effect(NamedTuple):
    """What an event does: whether anything, to whom, and who is to become a patient."""

    applies: bool
    known: MatchedPatient | None = None
    new: XealthPatient | None = None


def read_event(body: Mapping[str, Any], text: str) -> OrderEvent | None:
    """The event, if it is one of those that something follows from. Raises BadRequest when it lacks what is needed."""
    if body["eventType"] != _ORDER or body["eventContext"] not in (_NEW, _CANCEL):
        return None
    missing = [Violation(f"/body/{name}", "required") for name in _NEEDED if not body.get(name)]
    if missing:
        raise BadRequest(violations=missing)
    # No path can hold these as a part.
    if body["orderId"] in (".", ".."):
        raise BadRequest(violations=[Violation(_PLACE, "format", "id")])
    return OrderEvent(body, text, _time(body["eventTimeStamp"]))


def prepare(ctx: Preparation, body: Mapping[str, Any], text: str) -> Notification | None:
    """Read the order, and make an account when it makes a patient; None for an event that has no effect.

    Raises SourceShared; BadGateway when Xealth or the directory of accounts fails; what `read_patient` raises;
    SeveralPatients; and where a patient is to be made, TrackingIdMissing, PreorderNotFound and what `make_account` raises.
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
    """Store the event and let it have its effect.

    Raises what `prepare` raises about what has changed since; and PreparationOutdated when it would do something else now.
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
    """Have the account removed that was made for the patient, if one was."""
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
    """Whether the clinic takes orders of the program."""
    codes = clinic.settings.procedure_codes
    expected = codes and codes.create_account_and_enable_reports
    return bool(expected) and program_id == expected


def _last_applied(uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent) -> Any | None:
    """The last event of the order that had an effect."""
    return uow.xealth_orders.find_last_applied(clinic.id, event.body["deployment"], event.body["orderId"])


def _is_repeated(uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, last: Any | None) -> bool:
    """Whether it is the last event that had an effect, and the effect is still there."""
    if last is None or (last.event_id, last.event_context) != (event.body.get("eventId"), event.body["eventContext"]):
        return False
    return event.is_new in uow.xealth_orders.states_resting_on(clinic.id, last.id)


def _require_same(order: XealthOrder, body: Mapping[str, Any]) -> None:
    """Raise OrderMismatch unless it is the order that the event is about."""
    info = _object(order, "orderInfo")
    if (info.get("deployment"), info.get("orderId")) != (body["deployment"], body["orderId"]):
        raise OrderMismatch


def _effect(uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, order: XealthOrder, last: Any | None) -> _Effect:
    is_outdated = last is not None and last.event_time > event.time
    if is_outdated or (event.is_new and _object(order, "orderInfo").get("orderState") in _CANCELED):
        return _Effect(applies=False)
    patient = read_patient(order.content, clinic.settings.mrn_id_type, place=_PLACE)
    known = find_patient(uow, clinic, patient.data, Criterion.MRN_DOB, place=_PLACE)
    return _Effect(applies=True, known=known, new=patient if event.is_new and known is None else None)


def _prepare_enrolment(ctx: Preparation, clinic: EhrClinic, order: XealthOrder, patient: XealthPatient) -> Enrolment:
    try:
        return _make_account(ctx, clinic, order, patient)
    except (BadRequest, Conflict, PaymentRequired):
        # The number, the address or the last place may have been taken by the same event, which has come twice.
        if find_patient(ctx.uow, clinic, patient.data, Criterion.MRN_DOB, place=_PLACE):
            raise PreparationOutdated from None
        raise


def _make_account(ctx: Preparation, clinic: EhrClinic, order: XealthOrder, patient: XealthPatient) -> Enrolment:
    preorder = _get_preorder(ctx.uow, clinic, order, patient)
    given = {
        "full_name": patient.data.full_name,
        "birth_date": patient.data.birth_date,
        "mrn": patient.data.mrn,
        "email": preorder.email,
        "tag_ids": preorder.tag_ids,
    }
    with _about_the_order(), no_answer_is_bad_gateway():
        return Enrolment(make_or_take_account(ctx, clinic.id, given), preorder)


def _get_preorder(uow: UnitOfWork, clinic: EhrClinic, order: XealthOrder, patient: XealthPatient) -> PreorderInput:
    """The input of the form that the order belongs to. Raises TrackingIdMissing and PreorderNotFound."""
    tracking_id = _object(order, "preorder").get("dataTrackingId")
    if not isinstance(tracking_id, str) or not tracking_id:
        raise TrackingIdMissing
    row = uow.xealth_orders.find_preorder(clinic.id, tracking_id) if is_storable(tracking_id) else None
    # The form was shown for one patient of one deployment, so its input is no other patient's.
    is_of_deployment = row is not None and row.deployment == clinic.settings.source_id
    if row is None or not is_of_deployment or match_key(row.mrn) != match_key(patient.data.mrn):
        raise PreorderNotFound
    return _input(row)


def _input(row: Any) -> PreorderInput:
    return PreorderInput(
        row.data_tracking_id, row.email, bool(row.connect_abbott), bool(row.connect_dexcom), tuple(row.tag_ids)
    )


def _store(
    uow: UnitOfWork, clinic: EhrClinic, event: OrderEvent, order: XealthOrder, *, applies: bool
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


def _enrol(uow: UnitOfWork, clinic: EhrClinic, enrolment: Enrolment, demo_user_id: str | None) -> str:
    """Make the patient; gives the user's id. Raises PreparationOutdated when something else was entered meanwhile."""
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
    """What is wrong with the number or the address is wrong with the order, which is all that the request names."""
    try:
        yield
    except (EmailTaken, MrnRequired, DuplicateMrn) as error:
        raise type(error).at(_PLACE) from None


def _object(order: XealthOrder, name: str) -> Mapping[str, Any]:
    value = order.content.get(name)
    return value if isinstance(value, Mapping) else {}
