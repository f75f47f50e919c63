"""Orders for an account of a new patient."""

from __future__ import annotations

from dataclasses import replace

from clinic_service import clock
from clinic_service.errors import Conflict
from clinic_service.preparation import Preparation, PreparationOutdated
from clinic_service.resources.ehr.matching import PatientData
from clinic_service.resources.ehr.redox.order_content import OrderAction, new_patient, tag_names
from clinic_service.resources.ehr.redox.outcomes import NewOutcome
from clinic_service.resources.ehr.redox.results import ResultKind
from clinic_service.resources.ehr.redox.task import OrderTask, compensated
from clinic_service.resources.patients.accounts.create import CustodialAccount, enrol
from clinic_service.resources.patients.accounts.orphaned import make_or_reuse_account
from clinic_service.resources.tags.service import ensure_tags
from clinic_service.unit_of_work import UnitOfWork

CREATED = "The account of the patient was created."


class PatientExists(Conflict):
    message = "The clinic already has a patient with this medical record number, or with this name and date of birth."


def create_account(ctx: Preparation, task: OrderTask, data: PatientData) -> NewOutcome:
    """Create an account and a record, and switch the reports on if the order requests it.

    Raises PatientExists, UnusableOrder, the errors of creating a patient, and what the accounts directory raises.
    """
    if task.find_similar_patients(ctx.uow, data):
        raise PatientExists
    given = new_patient(task.order.content, data, clock.now())
    account = make_or_reuse_account(ctx, task.clinic.id, given)
    with compensated(ctx, lambda uow: uow.patients.account_changes.compensate(account.change)):
        return ctx.in_transaction(lambda uow: _enrol(uow, task, data, account, ctx.config.demo_patient_user_id))


def _enrol(
    uow: UnitOfWork, task: OrderTask, data: PatientData, account: CustodialAccount, demo_user_id: str | None
) -> NewOutcome:
    task.lock_clinic(uow)
    if task.find_similar_patients(uow, data):
        # A concurrent request created the patient first.
        raise PreparationOutdated
    tag_ids = ensure_tags(uow, task.clinic.id, tag_names(task.clinic.settings, task.order.content) or ())
    account = replace(account, given={**account.given, "tag_ids": tag_ids})
    patient = enrol(uow, task.clinic.id, account, None, demo_user_id)
    with_reports = task.action is OrderAction.CREATE_ACCOUNT_AND_ENABLE_REPORTS
    if with_reports:
        task.set_reports(uow, patient, active=True)
    reports_of = account.user_id if with_reports else None
    return task.note(uow, task.outcome(ResultKind.ACCOUNT_CREATION, CREATED, reports_of=reports_of))
