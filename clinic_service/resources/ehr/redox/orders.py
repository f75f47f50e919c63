"""Carries out orders: finds the clinic and the action, performs it, and stores the outcome.

The outcome is stored in the transaction that carries out the order, so an order is carried out only once even when it is
tried several times. A refusal is an outcome too, and the clinic is told the reason. Only failures of this server and of
other systems are not outcomes: the order is tried again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from clinic_service.errors import ServiceError
from clinic_service.models import EhrProvider, OrderState
from clinic_service.preparation import Preparation
from clinic_service.resources.ehr.errors import MrnMissing, SourceShared
from clinic_service.resources.ehr.matching import PatientData, find_clinic
from clinic_service.resources.ehr.redox.account_orders import create_account
from clinic_service.resources.ehr.redox.messages import patient_data
from clinic_service.resources.ehr.redox.order_content import OrderAction, requested_action
from clinic_service.resources.ehr.redox.outcomes import NewOutcome, OrderOutcomes, StoredOrder
from clinic_service.resources.ehr.redox.results import ResultKind
from clinic_service.resources.ehr.redox.subscription_orders import disable_reports, enable_reports
from clinic_service.resources.ehr.redox.task import OrderTask
from clinic_service.unit_of_work import UnitOfWork

TECHNICAL_PROBLEM = "The order could not be carried out because of a technical problem. Please place it again."


def carry_out(ctx: Preparation, order: StoredOrder) -> NewOutcome:
    """Carry out the order, and store and return the outcome.

    Raises BadGateway and Unavailable, including PreparationOutdated and DuplicateTooEarly, when the order must be tried
    again.
    """
    if OrderOutcomes(ctx.uow).is_done_already(order):
        return _note(ctx, order, NewOutcome(OrderState.IGNORED))
    try:
        task = _task(ctx.uow, order)
    except SourceShared as error:
        return _note(ctx, order, NewOutcome(OrderState.FAILED, failure=error.message))
    return _carry_out(ctx, task) if task else _note(ctx, order, NewOutcome(OrderState.IGNORED))


def give_up(ctx: Preparation, order: StoredOrder, failure: str) -> NewOutcome:
    """Store the outcome that the order could not be carried out because of `failure`. The order must have no outcome."""
    try:
        task = _task(ctx.uow, order)
    except SourceShared:
        task = None
    outcome = _refused(task, _known_kind(ctx.uow, task), TECHNICAL_PROBLEM) if task else NewOutcome(OrderState.FAILED)
    return _note(ctx, order, replace(outcome, failure=failure))


def _task(uow: UnitOfWork, order: StoredOrder) -> OrderTask | None:
    """The task of the order; None when the clinic is unknown, or its settings have no action for the order."""
    clinic = find_clinic(uow, EhrProvider.REDOX, order.source_id)
    action = requested_action(clinic.settings, order.content) if clinic else None
    return OrderTask(order, clinic, action) if clinic and action else None


def _carry_out(ctx: Preparation, task: OrderTask) -> NewOutcome:
    kind = _kind(task.action)
    try:
        data = patient_data(task.order.content, task.clinic.settings.mrn_id_type)
        if data is None:
            raise MrnMissing
        if _is_of_new_patient(ctx.uow, task, data):
            kind = ResultKind.ACCOUNT_CREATION
            return create_account(ctx, task, data)
        if task.action is OrderAction.DISABLE_REPORTS:
            return disable_reports(ctx, task, data)
        return enable_reports(ctx, task, data)
    except ServiceError as error:
        if error.status >= 500:
            raise
        return _note(ctx, task.order, _refused(task, kind, error.message))


def _is_of_new_patient(uow: UnitOfWork, task: OrderTask, data: PatientData) -> bool:
    if task.action is OrderAction.CREATE_ACCOUNT_AND_ENABLE_REPORTS:
        return not task.find_same_patients(uow, data)
    return task.action is OrderAction.CREATE_ACCOUNT


def _known_kind(uow: UnitOfWork, task: OrderTask) -> ResultKind:
    """The kind of the result, which also depends on whether the patient is new, if the order says who that is."""
    with suppress(ServiceError):
        data = patient_data(task.order.content, task.clinic.settings.mrn_id_type)
        if data and _is_of_new_patient(uow, task, data):
            return ResultKind.ACCOUNT_CREATION
    return _kind(task.action)


def _kind(action: OrderAction) -> ResultKind:
    """The kind of the result for a refusal that happens before it is known whether the patient is new."""
    return ResultKind.ACCOUNT_CREATION if action is OrderAction.CREATE_ACCOUNT else ResultKind.MATCHING


def _refused(task: OrderTask, kind: ResultKind, explanation: str) -> NewOutcome:
    return task.outcome(kind, explanation, succeeded=False)


def _note(ctx: Preparation, order: StoredOrder, outcome: NewOutcome) -> NewOutcome:
    return ctx.in_transaction(lambda uow: OrderOutcomes(uow).add(order.id, outcome))
